"""Rules that gather events for one run: `collect`, and `debounce: {for, max}`."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from erip.access.flags import stored as switches
from erip.access.scopes import Scope
from tests.definitions import publish
from tests.support.api import Api, key
from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows.events import active, gathering, letters, links, pending, replaying, stored
from workflows.events.errors import UnknownPendingStart
from workflows.events.models import Block, DeadLetter, Event, PendingEvent, PendingStart, TriggeredRun
from workflows.events.queries import Filter
from workflows.events.triggers import Triggers
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

COLLECT = (
    '{event: acme.found, business_key: "${{ event.subject }}", input: {found: "${{ events }}", n: "${{ count }}"},'
    ' collect: {for: 1h, max: 5, each: "${{ event.data.n }}"}}'
)
DEBOUNCE = (
    '{event: acme.found, business_key: "${{ event.subject }}", input: {last: "${{ event.data.n }}", n: "${{ count }}"},'
    " debounce: {for: 30m, max: 1h}}"
)


@pytest.fixture(autouse=True)
def fresh_rules() -> Iterator[None]:
    active.forget()
    yield
    active.forget()


def respond(*rules: str, schema: str = "{type: object}") -> str:
    listed = "".join(f"  - {rule}\n" for rule in rules)
    steps = "steps:\n  only: {uses: sample.echo, with: {value: 1}}\n"
    return publish(f"name: respond\ninput: {schema}\n{steps}on:\n{listed}")


def found(n: int, subject: str = "host-1", **more: Any) -> dict[str, Any]:
    return event(type="acme.found", subject=subject, data={"n": n}, **more)


def take(*events: dict[str, Any], each_alone: bool = False) -> None:
    """Send these events, in one request or one each, and let them take effect."""
    active.forget()
    with consuming(Triggers()):
        for batch in [[one] for one in events] if each_alone else [list(events)]:
            accept(batch)
            until(lambda: not Block.objects.exists(), seconds=30)


def let_time_pass(**ago: float) -> None:
    """As if every pending start had been opened so long ago."""
    by = timedelta(**ago)
    for row in PendingStart.objects.all():
        row.since, row.due_at = row.since - by, row.due_at - by
        row.save()


def work_off() -> None:
    gathering.start_due(until=float("inf"))


def test_while_events_take_no_effect_what_was_gathered_waits() -> None:
    respond(COLLECT)
    take(*[found(n) for n in range(3)])
    let_time_pass(hours=1)
    switches.put("event-effects", switches.Wanted(everyone=False, note="INC-77"), by="test")
    gathering.start_what_is_due()
    gathering._start_closed()
    assert (PendingStart.objects.count(), WorkflowRun.objects.count()) == (1, 0)
    switches.reset("event-effects")
    work_off()
    assert (PendingStart.objects.count(), WorkflowRun.objects.count()) == (0, 1)


def test_collect_starts_one_run_with_all_events_of_a_case() -> None:
    respond(COLLECT)
    take(*[found(n, f"host-{n % 2}") for n in range(6)])
    work_off()
    assert not WorkflowRun.objects.exists(), "they wait for the time"
    assert sorted(PendingStart.objects.values_list("business_key", "count")) == [("host-0", 3), ("host-1", 3)]
    let_time_pass(hours=1)
    work_off()
    runs = {run.business_key: run for run in WorkflowRun.objects.all()}
    assert {key: run.input for key, run in runs.items()} == {
        "host-0": {"found": [0, 2, 4], "n": 3},
        "host-1": {"found": [1, 3, 5], "n": 3},
    }
    assert runs["host-0"].started_by == "event:acme.found"
    assert not PendingStart.objects.exists()
    assert not PendingEvent.objects.exists()
    # All of its events are noted, and the last one is shown.
    told = links.event_of(str(runs["host-1"].pk))
    assert len(told["events"]) == 3
    assert told["events"][-1] == told["position"]
    assert TriggeredRun.objects.filter(run_id=runs["host-1"].pk, signalled=False).count() == 3


def test_with_max_events_the_run_starts_at_once_and_the_next_event_opens_another() -> None:
    respond(COLLECT)
    take(*[found(n) for n in range(12)])
    until(lambda: WorkflowRun.objects.count() == 2, seconds=30)
    assert sorted(run.input["found"] for run in WorkflowRun.objects.all()) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert PendingStart.objects.get().count == 2


def test_an_event_after_the_time_is_not_added_although_the_run_has_not_started_yet() -> None:
    respond(COLLECT)
    take(found(1))
    let_time_pass(hours=2)
    take(found(2))
    until(lambda: WorkflowRun.objects.exists(), seconds=30)
    assert WorkflowRun.objects.get().input == {"found": [1], "n": 1}
    assert PendingStart.objects.get().count == 1


def test_what_would_be_too_large_starts_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.core.gathering.MAX_BYTES", 3_000)
    respond('{event: acme.found, input: {all: "${{ events }}"}, collect: {for: 1h, max: 100}}')
    take(*[event(type="acme.found", id=str(n), data={"text": "x" * 1_000}) for n in range(5)])
    until(lambda: WorkflowRun.objects.count() == 2, seconds=30)
    assert sorted(len(run.input["all"]) for run in WorkflowRun.objects.all()) == [2, 2]
    assert PendingStart.objects.get().count == 1


def test_debounce_starts_one_run_with_the_last_event_once_no_other_comes() -> None:
    respond(DEBOUNCE)
    take(*[found(n) for n in range(3)], each_alone=True)
    first = PendingStart.objects.get()
    assert (first.count, PendingEvent.objects.count()) == (3, 1)
    let_time_pass(minutes=20)
    take(found(3))
    row = PendingStart.objects.get()
    assert row.due_at > timezone.now() + timedelta(minutes=25), "the event made it wait longer"
    assert row.due_at <= row.since + timedelta(hours=1)
    let_time_pass(minutes=25)
    take(found(4))
    row = PendingStart.objects.get()
    assert row.due_at == row.since + timedelta(hours=1), "but not longer than max"
    let_time_pass(minutes=20)
    work_off()
    run = WorkflowRun.objects.get()
    assert run.input == {"last": 4, "n": 5}
    assert links.event_of(str(run.pk))["event"] is not None


def test_a_key_of_its_own_tells_the_cases_apart() -> None:
    respond(
        '{event: acme.found, business_key: "${{ event.subject }}", input: {n: "${{ count }}"},'
        ' collect: {for: 1h, max: 9, key: "${{ event.source }}"}}'
    )
    take(found(1, "a", source="/x"), found(2, "b", source="/x"), found(3, "a", source="/y"))
    assert sorted(PendingStart.objects.values_list("count", flat=True)) == [1, 2]


def test_an_event_that_is_replayed_is_gathered_once_and_starts_its_run_once() -> None:
    respond(COLLECT)
    one = found(1, id="again")
    take(one)
    assert Event.objects.get(event_id="again")

    def replay() -> None:
        replaying.replay(Filter(type="acme.found"), "triggers", by="test")
        settle()

    def settle() -> None:
        with consuming(Triggers()):
            until(lambda: not Block.objects.exists(), seconds=30)

    replay()
    assert PendingStart.objects.get().count == 1
    let_time_pass(hours=1)
    work_off()
    replay()
    assert WorkflowRun.objects.count() == 1
    assert not PendingStart.objects.exists()


def test_what_was_gathered_by_a_rule_that_is_deleted_or_changed_starts_its_run_all_the_same() -> None:
    publish("name: respond\nsteps: {only: {uses: sample.echo, with: {value: 1}}}\n")
    rule: dict[str, Any] = {"event": "acme.found", "collect": {"for": "1h", "max": 9}}
    stored.put("gather", workflow="respond", rule=rule, author="test")
    take(found(1))
    stored.put("gather", workflow="respond", rule={**rule, "lane": "high"}, author="test")
    take(found(2))
    stored.delete("gather", author="test")
    take(found(3))
    assert sorted(PendingStart.objects.values_list("count", flat=True)) == [1, 1]
    let_time_pass(hours=1)
    work_off()
    assert sorted(run.lane for run in WorkflowRun.objects.all()) == ["high", "standard"]


def test_events_of_a_run_that_cannot_be_started_are_dead_letters_and_a_retry_gathers_them_again() -> None:
    respond(COLLECT, schema="{properties: {found: {items: {type: string}}}}")
    take(found(1), found(2))
    take(found(7, "host-2"))
    let_time_pass(hours=1)
    work_off()
    assert not WorkflowRun.objects.exists()
    assert not PendingStart.objects.exists()
    dead = list(DeadLetter.objects.order_by("id"))
    assert [(letter.effect, letter.target, letter.code) for letter in dead] == [
        ("triggers", "respond", "input_invalid")
    ] * 3
    assert "respond: on[0]: input.found[0]" in dead[0].message
    respond(COLLECT)
    active.forget()
    for letter in dead:
        letters.retry(letter.pk, by="test")
    with consuming(Triggers()):
        until(lambda: not Block.objects.exists(), seconds=30)
    let_time_pass(hours=1)
    work_off()
    assert sorted(run.input["n"] for run in WorkflowRun.objects.all()) == [1, 2]


def test_an_event_of_which_nothing_can_be_kept_is_a_dead_letter_of_its_own() -> None:
    respond(COLLECT)
    take(found(1), event(type="acme.found", subject="host-1", data={}), found(3))
    assert DeadLetter.objects.get().code == "rule_failed"
    assert "collect.each: there is no event.data.n" in DeadLetter.objects.get().message
    assert PendingStart.objects.get().count == 2


def test_a_run_that_this_release_cannot_start_is_put_off_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    respond(COLLECT)
    take(found(1), found(2, "host-2"))
    let_time_pass(hours=1)
    PendingStart.objects.filter(business_key="host-1").update(rule={"event": "x", "collect": {"newer": True}})
    work_off()
    assert WorkflowRun.objects.get().business_key == "host-2"
    row = PendingStart.objects.get()
    assert row.due_at > timezone.now()
    assert "this release cannot read its rule" in row.problem
    # Nor does a fault that nobody thought of hold the others up.
    PendingStart.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    take(found(3, "host-3"))
    let_time_pass(hours=1)

    def broken(*args: Any, **more: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("workflows.events.gathering.versions.read", broken)
        work_off()
    assert {row.business_key for row in PendingStart.objects.all()} == {"host-1", "host-3"}
    assert all(row.problem for row in PendingStart.objects.all())
    let_time_pass(minutes=2)
    work_off()
    assert WorkflowRun.objects.filter(business_key="host-3").exists()


def test_a_person_sees_what_waits_and_starts_or_discards_it() -> None:
    respond(COLLECT)
    take(found(1), found(2), found(3, "host-2"))
    api = Api(key(Scope.OPERATOR))
    listed = api.get("/pending-starts?workflow=respond").json()
    assert listed["count"] == 2
    by_key = {one["business_key"]: one for one in listed["items"]}
    assert by_key["host-1"]["count"] == 2
    assert "or at once with event number 5" in by_key["host-1"]["explain"]
    assert api.get("/pending-starts?workflow=other").json() == {"items": [], "count": 0}
    place = f"/pending-starts/{by_key['host-1']['id']}"
    assert len(api.get(place).json()["events"]) == 2
    started = api.post(f"{place}/start", None).json()
    assert WorkflowRun.objects.get(pk=started["run_id"]).input == {"found": [1, 2], "n": 2}
    assert api.get(place).status_code == 404
    assert api.post(f"/pending-starts/{by_key['host-2']['id']}/discard", None).json() == {"events": 1}
    letter = DeadLetter.objects.get()
    assert (letter.resolution, letter.code) == ("discarded", "pending_start_discarded")
    assert WorkflowRun.objects.count() == 1
    with pytest.raises(UnknownPendingStart):
        pending.discard(by_key["host-2"]["id"], by="test")


def test_two_consumers_and_two_starters_gather_each_event_once() -> None:
    respond(
        '{event: acme.found, input: {found: "${{ events }}"},'
        ' collect: {for: 100ms, max: 7, each: "${{ event.data.n }}"}}'
    )
    active.forget()
    with consuming(Triggers()), consuming(Triggers()):
        for start in range(0, 300, 20):
            accept([found(n, f"host-{n}") for n in range(start, start + 20)])
            work_off()
        until(lambda: not Block.objects.exists(), seconds=60)
        until(lambda: (work_off(), PendingStart.objects.exists())[1] is False, seconds=60)
    seen = [n for run in WorkflowRun.objects.all() for n in run.input["found"]]
    assert sorted(seen) == list(range(300))
    assert TriggeredRun.objects.count() == 300
    assert max(len(run.input["found"]) for run in WorkflowRun.objects.all()) <= 7


def test_a_look_for_what_is_due_reads_its_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT id FROM events_pendingstart WHERE due_at <= now() ORDER BY due_at LIMIT 16")
        assert "pending_due" in "".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
