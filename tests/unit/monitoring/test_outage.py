"""A ladder while PostgreSQL is away, until somebody takes the alert on at the leader's host."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitoring import paging
from monitoring.alerting import Judging
from monitoring.core.components import Observation, State
from monitoring.core.ladders import Roster
from monitoring.core.oncall import read_plan
from monitoring.memory import Memory
from monitoring.paging import Outage
from monitoring.store.channels import Channel
from monitoring.taken import TakenFile

PLAN = {
    "people": {},
    "rotations": {},
    "ladders": {"default": {"rungs": [{"to": [f"channel/{name}"], "wait": "10s"} for name in ("first", "second")]}},
}


class Leader:
    """One leader that cannot reach PostgreSQL, on a clock of the test. said: the targets of its messages."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        self.said: list[str] = []
        self.folder = folder
        monkeypatch.setattr(paging, "time", self)
        monkeypatch.setattr("monitoring.taken.time", self)
        monkeypatch.setattr(paging, "once", lambda _, send: (self.said.append(send.args[0]), self.sent(send)))
        monkeypatch.setattr(paging.watching, "observations", self.observations)
        channels = {
            name: Channel(name, "mail", "none", "", "", datetime.now(UTC), "ana") for name in ("first", "second")
        }
        self.judging = Judging()
        self.judging.roster = Roster(read_plan(PLAN, set(channels)), (), frozenset(channels))
        self.judging.channels = channels
        self.outage = self.started()

    def started(self) -> Outage:
        return Outage(self.judging, Memory(self.folder / "memory.json"), TakenFile(self.folder))

    def time(self) -> float:
        return self.now

    def observations(self) -> list[Observation]:
        return [Observation("postgresql", State.DOWN, "It does not answer.", self.now, 7.0)]

    def sent(self, send: Any) -> None:
        self.outage._on_the_way.discard((send.args[1], send.args[0]))

    def looks(self, seconds: int) -> list[str]:
        """Whom it called within so many seconds."""
        before = len(self.said)
        for _ in range(seconds):
            self.now += 1
            # A message is on its way until its thread has sent it.
            self.outage._on_the_way.clear()
            self.outage.look()
        return [target.removeprefix("channel:") for target in self.said[before:]]


@pytest.fixture
def leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leader:
    return Leader(tmp_path, monkeypatch)


def test_while_nobody_takes_it_on_the_next_rung_is_called(leader: Leader) -> None:
    assert leader.looks(8) == ["first"]
    assert leader.looks(12) == ["second"]


@pytest.mark.parametrize("rules", [[], ["postgresql-down"]])
def test_once_taken_on_nobody_else_is_called_nor_after_a_restart(leader: Leader, rules: list[str]) -> None:
    assert leader.looks(8) == ["first"]
    TakenFile(leader.folder).write(by="ana", note="on it", rules=rules)
    assert leader.looks(30) == []

    leader.judging.open = ()
    leader.outage = leader.started()
    assert leader.looks(30) == []
    (alert,) = leader.outage._alerts.values()
    assert alert.acknowledged


def test_what_is_of_other_rules_or_began_later_is_not_taken_on(leader: Leader) -> None:
    TakenFile(leader.folder).write(by="ana", note="an earlier outage", rules=[])
    assert leader.looks(8) == ["first"]
    TakenFile(leader.folder).write(by="ana", note="", rules=["etcd-down"])
    assert leader.looks(12) == ["second"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": "x"}', '{"at": 1, "by": 2, "note": 3, "rules": 4}', "\0"])
def test_a_file_of_other_makings_stops_no_ladder(leader: Leader, text: str) -> None:
    assert leader.looks(8) == ["first"]
    (leader.folder / "taken.json").write_text(text)
    assert leader.looks(12) == ["second"]
