"""An event that ends the process that takes it is set aside, and the events around it take effect."""

import pytest

from tests.support.events import accept, event
from tests.workers import process, until
from workflows.events.models import Block, DeadLetter, LogEntry

pytestmark = pytest.mark.django_db(transaction=True)


def consume_in_a_process(log, **settings: str) -> bool:
    """Whether the process lived until no event was waiting; otherwise an event has killed it."""
    with process(["-m", "tests.support.killed", "probe.poison"], log, **settings) as started:
        until(lambda: started.poll() is not None or not Block.objects.exists(), seconds=60, what=f"done; log: {log}")
        return started.poll() is None


@pytest.mark.parametrize("before", [0, 45])
def test_an_event_that_kills_consumers_is_set_aside_after_a_few_of_them(before: int, tmp_path) -> None:
    # Given events of one key, and others, around one that no process survives
    poison = event(type="probe.poison")
    accept([*(event() for _ in range(before)), poison, *(event() for _ in range(45)), event(subject="other")])

    # When one consumer after the other takes them
    deaths = 0
    while not consume_in_a_process(tmp_path / "consumer.log", ERIP_EVENT_LEASE_SECONDS="1"):
        deaths += 1
        assert deaths <= 5, (tmp_path / "consumer.log").read_text()[-3000:]

    # Then it is set aside with its reason, and all others are logged, in their order
    letter = DeadLetter.objects.get()
    assert (letter.event_id, letter.code) == (poison["id"], "process_lost")
    # One more if an owner died before it recorded what it had tried.
    assert 4 <= letter.attempts <= deaths
    assert "processes ended" in letter.message
    assert LogEntry.objects.count() == before + 46
    assert not LogEntry.objects.filter(type="probe.poison").exists()


def test_a_consumer_that_is_killed_for_another_reason_costs_no_event(tmp_path) -> None:
    accept([event() for _ in range(5)])
    log = tmp_path / "consumer.log"
    with process(["-m", "tests.support.killed", "probe.poison"], log):
        until(lambda: not Block.objects.exists(), seconds=60, what=f"done; log: {log}")
    accept([event() for _ in range(300)])
    assert consume_in_a_process(log)

    assert not DeadLetter.objects.exists()
    assert LogEntry.objects.count() == 305
