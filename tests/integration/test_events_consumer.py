"""Events go from the journal into the log: once, in order, whatever fails."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from tests.support.events import Recorder, accept, consuming, event
from tests.workers import until
from workflows.events import faults, letters
from workflows.events.effects import Round, Unavailable
from workflows.events.errors import DeadLetterResolved
from workflows.events.models import Block, DeadLetter, Event, Partition
from workflows.events.store import rounds

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_rounds_of_one_consumer_overlap_and_each_partition_has_one_at_a_time() -> None:
    both = threading.Barrier(2)

    class Waiting(Recorder):
        """Continues once another round is also under way."""

        def refuse(self, round: Round) -> None:
            if not self.rounds:
                both.wait(timeout=20)

    recorder = Waiting()
    events = [event(id=f"{number}", subject=f"asset-{number % 50}") for number in range(400)]
    accept(events)  # before the consumer starts, so that the first round of each loop finds something
    with consuming(recorder):
        until(lambda: len(recorder.committed) == 400)
    one, other = recorder.rounds[:2]
    assert not {each.partition for each in one} & {each.partition for each in other}
    for key in range(50):
        wanted = [one["id"] for one in events if one["subject"] == f"asset-{key}"]
        assert [each.id for one in recorder.rounds for each in one if each.subject == f"asset-{key}"] == wanted


def test_an_event_that_comes_again_takes_no_effect_again_wherever_it_comes() -> None:
    recorder = Recorder()
    first = [event(id=f"{number}") for number in range(20)]
    with consuming(recorder):
        accept(first)
        until(lambda: logged() == 20)
        # The same source and id under another subject, and so in another partition; then something new.
        accept([{**one, "subject": "elsewhere", "data": "changed"} for one in first] + [event(id="new")])
        until(lambda: "new" in recorder.ids)
        until(lambda: not Block.objects.exists())
    assert sorted(recorder.ids) == sorted([*(one["id"] for one in first), "new"])
    assert logged() == 21


def test_a_poison_event_goes_to_the_dead_letters_and_its_partition_goes_on_in_order(
    event_settings: Callable[..., None],
) -> None:
    event_settings(ERIP_EVENT_ATTEMPTS=2)

    class Picky(Recorder):
        def refuse(self, round: Round) -> None:
            if any(one.id == "poison" for one in round.events):
                raise ValueError("cannot be done")

    picky, other = Picky(), Recorder()
    other.name = "other"
    events = [event(id="poison" if number == 120 else f"{number}") for number in range(300)]
    with consuming(picky, other):
        accept(events)
        until(lambda: logged() == 300)
        until(lambda: not Block.objects.exists())
    letter = DeadLetter.objects.get()
    assert (letter.event_id, letter.effect, letter.code, letter.message) == (
        "poison", "recorder", "value_error", "cannot be done",
    )  # fmt: skip
    assert letter.attempts == 2
    assert Event.objects.get(partition=letter.partition, position=letter.position).event_id == "poison"
    order = [one["id"] for one in events]
    assert list(Event.objects.order_by("position").values_list("event_id", flat=True)) == order
    assert picky.committed == [id_ for id_ in order if id_ != "poison"]
    assert other.committed == order, "the effect that did not fail has every event"


def test_many_failures_in_a_row_are_a_broken_effect_and_hold_the_partition(
    event_settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    event_settings(ERIP_EVENT_ATTEMPTS=1)
    monkeypatch.setattr(faults, "GIVEN_UP_MAX", 3)
    monkeypatch.setattr(faults, "FIRST_PAUSE", 0.0)

    class Broken(Recorder):
        calls = 0

        def refuse(self, round: Round) -> None:
            self.calls += 1
            raise KeyError("always")

    broken = Broken()
    with consuming(broken):
        accept([event() for _ in range(50)])
        until(lambda: DeadLetter.objects.count() == 3)
        calls = broken.calls
        accept([event(subject="asset-2")])  # this can be waited for: the consumer goes on with its rounds
        until(lambda: broken.calls > calls)
    assert DeadLetter.objects.count() <= 4
    assert sum(block.events - block.done for block in Block.objects.all()) >= 46


def test_an_effect_that_is_unavailable_holds_its_events_and_loses_none() -> None:
    class Away(Recorder):
        away = True

        def refuse(self, round: Round) -> None:
            if self.away:
                raise Unavailable("its service is away")

    effect = Away()
    with consuming(effect):
        accept([event() for _ in range(10)])
        until(lambda: alive_for() > 2)
        assert logged() == 0
        effect.away = False
        until(lambda: logged() == 10)
    assert len(effect.committed) == 10
    assert not DeadLetter.objects.exists()


def alive_for() -> float:
    """How many seconds the consumer has been running, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(extract(epoch FROM max(heartbeat_at - joined_at)), 0) FROM events_consumer")
        return float(cursor.fetchone()[0])


def test_what_an_effect_rejects_is_a_dead_letter_of_its_own_and_can_be_tried_again_or_given_up() -> None:
    class Rejecting(Recorder):
        refused = True

        def refuse(self, round: Round) -> None:
            for one in round.events:
                if self.refused and one.id == "bad":
                    round.reject(one, effect=self.name, code="too_deep", message="nine deep", target="part")

    effect = Rejecting()
    with consuming(effect):
        accept([event(id="good"), event(id="bad")])
        until(lambda: DeadLetter.objects.count() == 1)
        effect.refused = False
        letter = DeadLetter.objects.get()
        letters.retry(letter.pk, by="test")
        until(lambda: effect.ids.count("bad") == 2)
        until(lambda: not Block.objects.exists())
    assert (letter.code, letter.target) == ("too_deep", "part")
    assert effect.rounds[-1][0].replay == "recorder:part"
    assert (logged(), DeadLetter.objects.count()) == (2, 1)
    with pytest.raises(DeadLetterResolved):
        letters.discard(letter.pk, by="test")


def test_two_consumers_share_the_partitions_and_a_leaving_one_hands_its_own_over() -> None:
    first, second = Recorder(), Recorder()
    with consuming(first):
        with consuming(second):
            until(lambda: Partition.objects.exclude(owner_id=None).values("owner_id").distinct().count() == 2)
            accept([event(subject=f"asset-{number}") for number in range(400)])
            until(lambda: logged() == 400)
        until(lambda: Partition.objects.exclude(owner_id=None).values("owner_id").distinct().count() == 1)
        accept([event(subject=f"asset-{number}") for number in range(100)])
        until(lambda: logged() == 500)
    assert first.ids
    assert second.ids
    assert not set(first.ids) & set(second.ids)
    assert Event.objects.values("event_id").distinct().count() == 500


def test_who_is_not_the_owner_reads_and_writes_nothing() -> None:
    with consuming(Recorder()):
        until(lambda: Partition.objects.exclude(owner_id=None).count() == 16)
        owner = Partition.objects.first().owner_id
    accept([event()])
    Partition.objects.update(owner_id=owner + 1)
    with transaction.atomic():
        _, taken = rounds.read(owner, dict.fromkeys(range(16), 200))
        assert taken == []
        _, taken = rounds.read(owner + 1, dict.fromkeys(range(16), 200))
        assert len(taken) == 1


def test_the_plan_of_the_hot_reading_uses_the_journals_key() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_block (partition, events, body) "
            "SELECT n % 16, 1, '\\x00' FROM generate_series(1, 5000) n"
        )
        cursor.execute("ANALYZE events_block")
        cursor.execute("EXPLAIN SELECT * FROM events_block WHERE partition = 3 ORDER BY seq LIMIT 200")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "events_block_pkey" in plan
        assert "Seq Scan" not in plan
        transaction.set_rollback(True)
