"""A process that stood still says so itself: when it goes on, nobody else can tell any more."""

import time

import pytest

from monitoring import reporting
from monitoring.core.changes import What, merged, of_lives
from monitoring.core.components import REPORT_EVERY, SILENT_AFTER
from monitoring.reporting import Standing
from tests.unit.monitoring.core.test_changes import life


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - 1_700_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reporting, "time", clock)
    return clock


def turn(standing: Standing, clock: Clock, *, after: float, takes: float = 0.01, ends: bool = True) -> None:
    clock.now += after
    standing.begin()
    clock.now += takes
    if ends:
        standing.end()


def test_who_was_frozen_between_two_reports_says_when(clock: Clock) -> None:
    standing = Standing("worker")
    turn(standing, clock, after=0)
    rests = clock.now
    turn(standing, clock, after=9.5)

    failed, goes_on = standing.changes
    assert (failed.component, failed.what, failed.direct) == ("worker", What.FAILED, True)
    assert failed.after == pytest.approx(rests)
    assert failed.by == pytest.approx(rests + REPORT_EVERY)
    assert (goes_on.what, goes_on.by) == (What.RECOVERED, pytest.approx(rests + 9.5))


def test_a_busy_machine_and_a_database_that_is_away_are_no_standstill(clock: Clock) -> None:
    standing = Standing("web")
    turn(standing, clock, after=0)
    turn(standing, clock, after=SILENT_AFTER - 0.1)
    turn(standing, clock, after=REPORT_EVERY, takes=30)
    turn(standing, clock, after=REPORT_EVERY, ends=False)
    turn(standing, clock, after=10)

    assert not standing.changes


def test_what_others_missed_and_what_it_says_itself_is_one_change(clock: Clock) -> None:
    """The names are the same, and the times meet."""
    clock.now = time.time()
    standing = Standing("worker")
    turn(standing, clock, after=0)
    turn(standing, clock, after=9)
    failed, goes_on = standing.changes
    host, pid = failed.member.split("/")
    missed = of_lives(
        [
            life("worker", int(pid), born=900, age=7, host=host),
            life("web", 1, born=900, age=1),
        ],
        clock.now - 2,
    )

    (one, other) = merged([*missed, failed, goes_on])
    assert one.direct
    assert other is goes_on
