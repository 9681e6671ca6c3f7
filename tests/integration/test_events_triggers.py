"""Rules on the real database: events start runs, once, as the rules say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from tests.definitions import publish
from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows.events import active
from workflows.events.models import Block, DeadLetter, Event, TriggeredRun, TriggerMark
from workflows.events.triggers import Triggers
from workflows.models import Chunk, WorkflowRun
from workflows.store import chunks as store_chunks
from workflows.worker import chunks as working
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)


def respond(*rules: str, name: str = "respond", schema: str = "{type: object}", extra: str = "") -> str:
    listed = "".join(f"  - {rule}\n" for rule in rules)
    steps = "steps:\n  only: {uses: sample.echo, with: {value: 1}}\n"
    return publish(f"name: {name}\n{extra}input: {schema}\n{steps}on:\n{listed}")


def take(*events: dict[str, Any]) -> None:
    """Send these events, one request each, and let them take effect."""
    active.forget()
    before = Event.objects.count()
    with consuming(Triggers()):
        for one in events:
            accept([one])
        until(lambda: not Block.objects.exists() and Event.objects.count() >= before)


def test_an_event_starts_the_run_that_a_rule_says() -> None:
    respond(
        '{event: acme.found, if: "event.data.severity == \'critical\'", input: {cve: "${{ event.data.cve }}"},'
        ' business_key: "${{ event.subject }}", lane: critical}'
    )
    take(
        event(type="acme.found", subject="host-1", data={"severity": "critical", "cve": "CVE-2026-1"}),
        event(type="acme.found", subject="host-2", data={"severity": "low", "cve": "CVE-2026-2"}),
        event(type="acme.other", subject="host-3", data={"severity": "critical"}),
    )
    run = WorkflowRun.objects.get()
    assert (run.workflow, run.input, run.business_key) == ("respond", {"cve": "CVE-2026-1"}, "host-1")
    assert (run.lane, run.started_by) == ("critical", "event:acme.found")
    assert run.steps.get().state == "READY"
    link = TriggeredRun.objects.get()
    assert (link.run_id, link.trigger) == (run.id, "respond: on[0]")
    logged = Event.objects.get(subject="host-1")
    assert (link.partition, link.position, link.logged_at) == (logged.partition, logged.position, logged.logged_at)


def test_an_event_that_is_sent_again_starts_nothing_again() -> None:
    respond("{event: acme.*}")
    one = event(type="acme.found")
    take(one, one, one)
    assert WorkflowRun.objects.count() == 1
    # Not even when the bus no longer knows the event's id, as after ERIP_EVENT_DEDUPE_DAYS.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_identity")
    take(one)
    assert Event.objects.count() == 2
    assert WorkflowRun.objects.count() == 1


def test_all_events_of_a_round_start_their_runs_at_once() -> None:
    respond('{event: acme.found, input: {n: "${{ event.data.n }}"}}')
    with consuming(Triggers()):
        accept([event(type="acme.found", subject=f"host-{n}", data={"n": n}) for n in range(500)])
        until(lambda: WorkflowRun.objects.count() == 500)
    assert sorted(run.input["n"] for run in WorkflowRun.objects.all()) == list(range(500))
    assert TriggeredRun.objects.count() == 500


def test_like_runs_of_a_round_share_chunks_and_others_do_not(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is, short steps count as short.
    monkeypatch.setattr(working, "LEAVE_AFTER", 60.0)
    respond('{event: acme.found, input: {n: "${{ event.data.n }}"}}')
    respond("{event: acme.found, lane: critical}", name="urgent")
    respond("{event: acme.found, deadline: \"${{ timestamp('2099-01-01T00:00:00Z') }}\"}", name="due")
    with consuming(Triggers()):
        accept([event(type="acme.found", subject=f"host-{n}", data={"n": n}) for n in range(60)])
        until(lambda: WorkflowRun.objects.count() == 180)
    together = {str(run_id) for chunk in Chunk.objects.all() for run_id in chunk.runs}
    alike = WorkflowRun.objects.filter(workflow="respond")
    assert together == {str(run.pk) for run in alike}
    executor.execute([store_chunks.token(chunk.pk) for chunk in Chunk.objects.all()])
    alike = alike.all()
    assert {run.state for run in alike} == {"SUCCEEDED"}
    assert {run.started_by for run in alike} == {"event:acme.found"}
    assert sorted(run.input["n"] for run in alike) == list(range(60))
    assert not Chunk.objects.exists()


def test_the_first_rule_that_matches_decides() -> None:
    respond("{event: acme.*, source: /lab/*, action: drop}", "{event: acme.found, lane: high}", "{event: acme.*}")
    take(
        event(type="acme.found", source="/lab/7"),
        event(type="acme.found", source="/prod/1"),
        event(type="acme.lost", source="/prod/1"),
    )
    assert sorted(run.lane for run in WorkflowRun.objects.all()) == ["high", "standard"]
    assert Event.objects.count() == 3


def test_each_workflow_is_asked_by_itself() -> None:
    respond("{event: acme.found, action: drop}", name="one")
    respond("{event: acme.found}", name="two")
    respond("{event: acme.*}", name="three")
    take(event(type="acme.found"))
    assert sorted(run.workflow for run in WorkflowRun.objects.all()) == ["three", "two"]


@pytest.mark.parametrize("kind", ["dedupe", "debounce"])
def test_within_its_window_a_case_starts_one_run(kind: str) -> None:
    respond(f'{{event: acme.found, business_key: "${{{{ event.subject }}}}", {kind}: 10m}}')
    take(*[event(type="acme.found", subject=f"host-{n % 3}") for n in range(12)])
    assert sorted(run.business_key for run in WorkflowRun.objects.all()) == ["host-0", "host-1", "host-2"]
    # When the windows have passed, each case starts a run again.
    TriggerMark.objects.update(until=datetime.now(UTC) - timedelta(seconds=1))
    take(*[event(type="acme.found", subject=f"host-{n % 3}") for n in range(12)])
    assert WorkflowRun.objects.count() == 6


def test_only_debounce_makes_an_open_window_longer() -> None:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    for kind in ("dedupe", "debounce"):
        respond(f"{{event: acme.{kind}, {kind}: 1h}}", name=kind)
        take(event(type=f"acme.{kind}"))
        key = TriggerMark.objects.latest("until").key
        TriggerMark.objects.filter(key=key).update(until=soon)
        take(event(type=f"acme.{kind}"))
        longer = TriggerMark.objects.get(key=key).until > soon
        assert longer == (kind == "debounce")
        assert WorkflowRun.objects.filter(workflow=kind).count() == 1


def test_two_consumers_with_events_of_one_case_start_one_run() -> None:
    respond("{event: acme.found, dedupe: 10m}")
    with consuming(Triggers()), consuming(Triggers()):
        for start in range(0, 400, 20):
            accept([event(type="acme.found", subject=f"host-{n}") for n in range(start, start + 20)])
        until(lambda: Event.objects.count() == 400)
    assert WorkflowRun.objects.count() == 1


@pytest.mark.parametrize(
    ("says", "schema", "code", "message"),
    [
        ('if: "event.data.n > 3"', "{}", "condition_failed", "there is no event.data.n"),
        ('if: "event.subject"', "{}", "condition_failed", "gave a string, an `if` needs true or false"),
        ('input: {a: {b: "${{ event.data.n }}"}}', "{}", "rule_failed", "input.a.b: there is no event.data.n"),
        ('input: "${{ event.subject }}"', "{}", "rule_failed", "input: gave no object"),
        ('deadline: "${{ event.subject }}"', "{}", "rule_failed", "deadline: is not a date"),
        ('business_key: "${{ event.data }}"', "{}", "rule_failed", "business_key: gave no text"),
        ('input: {n: "${{ event.subject }}"}', "{properties: {n: {type: integer}}}", "input_invalid", "input.n:"),
    ],
)  # fmt: skip
def test_an_event_that_a_rule_cannot_take_is_a_dead_letter_and_the_others_go_on(
    says: str, schema: str, code: str, message: str
) -> None:
    respond(f"{{event: acme.found, {says}}}", schema=schema)
    respond("{event: acme.found}", name="other")
    take(event(type="acme.found", id="bad", subject="asset"), event(type="acme.found", id="next", subject="asset"))
    letters = DeadLetter.objects.order_by("id")
    assert [letter.event_id for letter in letters] == ["bad", "next"]
    assert (letters[0].effect, letters[0].target, letters[0].code) == ("triggers", "respond", code)
    assert letters[0].message.startswith("respond: on[0]: ")
    assert message in letters[0].message
    assert [run.workflow for run in WorkflowRun.objects.all()] == ["other", "other"]


def test_a_deadline_that_is_still_to_come_is_the_runs_and_one_that_has_passed_is_not() -> None:
    respond(
        '{event: acme.found, deadline: "${{ event.data.due }}", business_key: "${{ event.data.due }}"}',
        extra="timeout: 1h\n",
    )
    ahead = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    take(*[event(type="acme.found", data={"due": due}) for due in (ahead, "2021-05-03", "2030-01-01T12:00:00+01:00")])
    runs = {run.business_key: run for run in WorkflowRun.objects.all()}
    assert runs[ahead].deadline_at is not None
    assert runs[ahead].deadline_at.isoformat() == f"{ahead}T23:59:59+00:00"
    assert runs["2021-05-03"].deadline_at == runs["2021-05-03"].created_at + timedelta(hours=1)
    assert runs["2030-01-01T12:00:00+01:00"].deadline_at == datetime(2030, 1, 1, 11, tzinfo=UTC)


def test_a_chain_of_runs_that_start_one_another_ends() -> None:
    respond("{event: acme.found}")
    take(event(type="acme.found"), event(type="acme.found", eripdepth=3), event(type="acme.found", eripdepth=8))
    assert sorted(run.started_by for run in WorkflowRun.objects.all()) == ["event:acme.found", "event:acme.found#4"]
    assert DeadLetter.objects.get().code == "too_deep"


def test_the_latest_version_of_a_workflow_says_what_starts_it() -> None:
    respond("{event: acme.found}")
    take(event(type="acme.found"))
    respond("{event: acme.lost}")
    take(event(type="acme.found"), event(type="acme.lost"))
    assert [run.started_by for run in WorkflowRun.objects.order_by("id")] == ["event:acme.found", "event:acme.lost"]
    assert WorkflowRun.objects.order_by("id").last().version.number == 2
