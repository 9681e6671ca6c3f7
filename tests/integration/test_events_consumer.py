"""From the journal into the log: once, in order, whatever fails."""

from collections.abc import Iterator

import pytest

from tests.support.events import Recorder, accept, consuming, event
from tests.workers import until
from workflows.events import ingest
from workflows.events.models import Block, Event, Partition

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_writer() -> Iterator[None]:
    """The writer keeps a connection to the test's database, which nobody else may hold at its end."""
    yield
    if ingest._writer is not None:
        ingest._writer.stop()
        ingest._forget_parent()


def logged() -> int:
    return Event.objects.count()


def test_what_is_accepted_is_logged_once_in_the_order_of_its_key_and_seen_by_the_effects_once() -> None:
    recorder = Recorder()
    events = [event(id=f"{number}", subject=f"asset-{number % 7}") for number in range(500)]
    with consuming(recorder):
        for start in range(0, 500, 50):
            accept(events[start : start + 50])
        until(lambda: logged() == 500)
        until(lambda: len(recorder.committed) == 500)
    assert not Block.objects.exists()
    for key in range(7):
        wanted = [one["id"] for one in events if one["subject"] == f"asset-{key}"]
        rows = Event.objects.filter(subject=f"asset-{key}").order_by("position")
        assert [row.event_id for row in rows] == wanted
        assert [each.id for one in recorder.rounds for each in one if each.subject == f"asset-{key}"] == wanted
    for partition in Partition.objects.all():
        positions = list(
            Event.objects.filter(partition=partition.number).order_by("position").values_list("position", flat=True)
        )
        assert positions == list(range(partition.position))
