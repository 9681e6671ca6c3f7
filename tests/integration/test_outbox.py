"""Lifecycle events are in the journal if and only if what they report is in the database."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import connection, transaction

from tests.definitions import CHAIN, FAN_OUT, one_step, publish
from tests.workers import until
from workflows import engine, store
from workflows.core import blocks, lifecycle, machine, triggers
from workflows.core.machine import RunTimedOut, StepFailed
from workflows.events import active, interest
from workflows.events.conf import conf
from workflows.events.models import Block, Subscription
from workflows.graphs import graph_of
from workflows.journal import store as journal
from workflows.models import WorkflowRun
from workflows.store import Report, outbox, rows
from workflows.store.outbox import Interest
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

EVERYTHING = Interest(lifecycle.TYPES, 16)


@pytest.fixture
def everything() -> None:
    outbox.set_interest(EVERYTHING)


def told() -> list[dict[str, Any]]:
    """What is in the journal, in the order of each partition."""
    entries = [entry for block in Block.objects.all() for entry in blocks.decode(bytes(block.body))]
    events = [orjson.loads(entry.text) for entry in entries]
    assert [(e.type, e.source, e.subject, e.id) for e in entries] == [
        (e["type"], e["source"], e["subject"], e["id"]) for e in events
    ]
    return events


def shown(events: list[dict[str, Any]]) -> list[str]:
    return [f"{e['type'].removeprefix('workflow.')} {e['data'].get('step', '')}".strip() for e in events]


def start(workflow: str, input: object = None, *, principal: str = "key:test", **options: Any) -> str:
    request = engine.StartRequest(input if input is not None else {}, **options)  # type: ignore[arg-type]
    return engine.start_runs(workflow, [request], principal=principal)[0].id


def test_a_run_tells_of_its_life_in_order(everything: None, run_to_end: Callable[..., WorkflowRun]) -> None:
    publish(CHAIN)

    run = run_to_end("chain", {"times": 1}, business_key='case "7" \\ ü')

    events = told()
    assert shown(events) == [
        "run.started",
        "step.started a", "step.completed a",
        "step.started b", "step.completed b",
        "step.started c", "step.completed c",
        "step.started d", "step.completed d",
        "run.succeeded",
    ]  # fmt: skip
    assert {e["subject"] for e in events} == {str(run.pk)}
    assert {e["source"] for e in events} == {"/erip/workflows/chain"}
    assert {e["data"]["business_key"] for e in events} == {'case "7" \\ ü'}
    assert len({e["id"] for e in events}) == len(events)
    assert events[-1]["data"] == {
        "run_id": str(run.pk),
        "workflow": "chain",
        "version": 1,
        "lane": "standard",
        "business_key": 'case "7" \\ ü',
        "state": "SUCCEEDED",
        "created_at": run.created_at.isoformat().replace("+00:00", "Z"),
        "finished_at": events[-1]["time"],
        "error": None,
    }


def test_nothing_of_inputs_and_outputs_is_told(everything: None, run_to_end: Callable[..., WorkflowRun]) -> None:
    publish(one_step("sample.echo", '{value: "${{ input.secret }}"}'))

    run_to_end("one", {"secret": "hunter2"})

    assert told()
    assert "hunter2" not in orjson.dumps(told()).decode()


def test_failures_are_told_with_their_error(everything: None, run_to_end: Callable[..., WorkflowRun]) -> None:
    publish(one_step("sample.flaky", "{times: 9, permanent: true}"))

    run_to_end("one")

    failed = {e["type"]: e["data"] for e in told()}
    assert failed["workflow.step.failed"]["error"]["code"] == "hopeless"
    assert failed["workflow.run.failed"]["error"] is not None


def test_each_attempt_begins_and_only_the_last_ends(everything: None, run_to_end: Callable[..., WorkflowRun]) -> None:
    publish(one_step("sample.flaky", "{times: 2}"))

    run_to_end("one")

    events = [(e["type"], e["data"]["attempt"]) for e in told() if ".step." in e["type"]]
    assert events == [
        ("workflow.step.started", 1),
        ("workflow.step.started", 2),
        ("workflow.step.started", 3),
        ("workflow.step.completed", 3),
    ]


def test_items_of_a_fan_out_are_told_one_by_one(everything: None, run_to_end: Callable[..., WorkflowRun]) -> None:
    publish(FAN_OUT)

    run_to_end("fan-out", {"items": list(range(120)), "times": 1})

    events = told()
    assert len({e["id"] for e in events}) == len(events)
    items: dict[str, set[int]] = {}
    for event in events:
        if event["data"].get("step") == "each" and event["data"]["item"] is not None:
            items.setdefault(event["type"], set()).add(event["data"]["item"])
    assert items == {"workflow.step.started": set(range(120)), "workflow.step.completed": set(range(120))}
    assert shown(events)[-4:] == ["step.completed each", "step.started after", "step.completed after", "run.succeeded"]


def test_items_that_get_a_place_later_are_told(everything: None, run_to_end: Callable[..., WorkflowRun]) -> None:
    publish(FAN_OUT.replace("foreach:", "max_parallel: 2\n    foreach:"))

    run_to_end("fan-out", {"items": list(range(9)), "times": 1}, business_key="k")

    began = [e for e in told() if e["type"] == "workflow.step.started" and e["data"]["item"] is not None]
    assert sorted(e["data"]["item"] for e in began) == list(range(9))
    assert {(e["data"]["business_key"], e["data"]["attempt"], e["data"]["step"]) for e in began} == {("k", 1, "each")}
    assert sorted(e["id"] for e in began) == sorted(f"{e['subject']}:each:{n}:1:RUNNING" for n, e in enumerate(began))


def test_a_cancelled_and_an_overdue_run_are_told(everything: None) -> None:
    publish(one_step("sample.echo"))
    cancelled, overdue = start("one"), start("one")

    engine.cancel_run(cancelled, principal="user:ann")
    engine.report([Report(overdue, RunTimedOut())])

    assert {(e["subject"], e["type"]) for e in told()} == {
        (cancelled, "workflow.run.started"), (cancelled, "workflow.run.cancelled"),
        (overdue, "workflow.run.started"), (overdue, "workflow.run.timed_out"),
    }  # fmt: skip


def test_a_bulk_start_tells_of_each_run_in_a_block_for_each_partition(everything: None) -> None:
    publish(one_step("sample.echo"))

    started = engine.start_runs("one", [engine.StartRequest({})] * 300, principal="key:test")

    assert sorted(e["subject"] for e in told()) == sorted(run.id for run in started)
    assert Block.objects.count() <= 16


def test_what_is_rolled_back_is_not_told(everything: None) -> None:
    publish(one_step("sample.echo"))

    with transaction.atomic():
        engine.start_runs("one", [engine.StartRequest({})] * 2, principal="key:test")
        transaction.set_rollback(True)

    assert not told()


def test_a_report_that_no_longer_counts_tells_nothing(everything: None, executor: Executor) -> None:
    publish(one_step("sample.echo"))
    run_id = start("one")
    executor.execute([run_id])
    before = told()

    late = Report(run_id, StepFailed("only", 1, {"code": "late", "message": "late"}, False, 0.0))
    store.apply([late], graph_of=graph_of)

    assert told() == before


def test_a_decision_on_what_no_longer_holds_tells_nothing(everything: None) -> None:
    """The condition in the statement itself does not hold: the row has changed since the plan was made."""
    publish(one_step("sample.echo"))
    run_id = start("one")
    WorkflowRun.objects.filter(pk=run_id).update(seq=77)
    writes = rows.Writes()
    writes.outbox._put(view_of(run_id), lifecycle.Told("workflow.run.failed", "x", '{"id":"x"}'))
    writes.runs.append((run_id, 0, None, None, None, False))

    with connection.cursor() as cursor:
        assert writes.write(cursor) == set()

    assert shown(told()) == ["run.started"]


def view_of(run_id: str) -> Any:
    run = WorkflowRun.objects.get(pk=run_id)
    return lifecycle.RunView(run_id, run.workflow, None, run.lane, run.state, {}, run.created_at)


@pytest.mark.parametrize(("kind", "depth"), [("nexus.threat.detected", 1), ("a#7", 1), ("workflow.run.failed", 3)])
def test_runs_that_an_event_started_carry_their_depth(
    everything: None, executor: Executor, kind: str, depth: int
) -> None:
    publish(FAN_OUT.replace("foreach:", "max_parallel: 1\n    foreach:"))
    by = triggers.started_by(kind, depth)

    run_id = start("fan-out", {"items": [1, 2, 3], "times": 1}, principal=by)
    bulk = engine.start_runs("fan-out", [engine.StartRequest({"items": [], "times": 1})] * 2, principal=by)
    executor.execute([run_id])

    assert WorkflowRun.objects.get(pk=run_id).state == "SUCCEEDED"
    events = told()
    assert {e["subject"] for e in events} == {run_id, *(run.id for run in bulk)}
    assert {triggers.depth_of(e) for e in events} == {depth}


def test_only_what_is_wanted_is_told(run_to_end: Callable[..., WorkflowRun]) -> None:
    outbox.set_interest(Interest(frozenset({"workflow.step.completed"})))
    publish(CHAIN)

    run_to_end("chain", {"times": 1})

    assert {e["type"] for e in told()} == {"workflow.step.completed"}


def test_what_somebody_wants_is_learnt_from_subscriptions_streams_triggers_and_settings(settings: Any) -> None:
    from workflows.events.store.streams import see_types

    Subscription.objects.create(url="https://a.example", types=["workflow.run.f*", "nexus.*"], created_by="t")
    Subscription.objects.create(url="https://b.example", types=["*"], created_by="t", enabled=False)
    see_types(["workflow.step.started"])
    settings.ERIP_EVENTS_ALWAYS_LOG = ["workflow.run.cancelled"]
    conf.cache_clear()
    publish(
        one_step("sample.echo", extra="", name="after").replace(
            "steps:", "on: {event: workflow.step.completed}\nsteps:"
        )
    )
    active.forget()

    wanted = {"workflow.run.failed", "workflow.run.cancelled", "workflow.step.completed"}
    assert interest.wanted_types() == {*wanted, "workflow.step.started"}

    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_streamedtype SET seen_at = now() - interval '11 min'")
    assert interest.wanted_types() == wanted
    conf.cache_clear()


def test_a_process_that_knows_nothing_yet_looks_before_it_tells() -> None:
    Subscription.objects.create(url="https://a.example", types=["workflow.run.*"], created_by="t")
    publish(one_step("sample.echo"))
    outbox.set_interest(None)
    try:
        run_id = start("one")
    finally:
        interest.stop()

    assert [e["subject"] for e in told()] == [run_id]


def statements(do: Callable[[], object]) -> list[str]:
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        do()
    return seen


def test_with_nobody_interested_the_engines_statements_are_as_they_were(settings: Any) -> None:
    """Byte for byte what the other statements are without the outbox's CTEs: no trace of it, no other plan."""
    settings.ERIP_DB_PREPARE = False
    publish(CHAIN)
    worker = store.register_worker("test", "here", 1, ["standard"])

    def life() -> list[str]:
        def do() -> None:
            run_id = start("chain", {"times": 1})
            engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 2, principal="key:test")
            (claim,) = store.claim([run_id], worker_id=worker, lanes=["standard"])
            succeeded = machine.StepSucceeded(claim.step, claim.attempt, {"value": 1})
            store.apply([Report(run_id, succeeded)], graph_of=graph_of, reporter=worker, go_on=True)
            engine.cancel_run(run_id, principal="user:ann")

        return [sql for sql in statements(do) if "SAVEPOINT" not in sql]

    outbox.set_interest(EVERYTHING)
    life()  # fills the caches
    with_all = life()
    outbox.set_interest(Interest())
    without = life()

    assert sum("events_block" in sql for sql in with_all) == 5
    assert not any(
        "events_" in sql or "told" in sql.replace(" told AS (\nINSERT INTO workflows_runevent", "") for sql in without
    )
    assert [taken_out(sql) for sql in with_all] == without


def taken_out(sql: str) -> str:
    """The statement without the part that reports, and without the column that only this part needs."""
    sql = sql.replace(f" RETURNING pg_notify('{outbox.EVENTS_CHANNEL}', '')", outbox.ANNOUNCE)
    of_one = outbox.TELL_NEW.replace(outbox.CONDITION, "WHERE v.run_id IN (SELECT id FROM run)")
    of_many = outbox.TELL_NEW.replace(outbox.CONDITION, "")
    for text in (f",{outbox._TELL}", f", told AS ({of_one})", f";\n{of_many}", outbox.TELL_CLAIMED):
        sql = sql.replace(text, "").replace(text.replace(outbox.ANNOUNCE, ""), "")
    return sql.replace("RETURNING r.id, r.started_by,", "RETURNING r.id,").replace("seq, started_by\n", "seq\n")


def test_consumers_are_woken_by_what_is_told(everything: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.listening import heard, listening

    publish(one_step("sample.echo"))
    assert outbox.EVENTS_CHANNEL == journal.CHANNEL
    # At most one announcement in this time: on a busy machine a start may take longer than the usual interval.
    monkeypatch.setattr(outbox, "ANNOUNCE_EVERY", 3600.0)
    with listening(journal.CHANNEL) as raw:
        for begin in (start, lambda name: engine.start_runs(name, [engine.StartRequest({})] * 2, principal="t")):
            outbox.nothing_announced()

            begin("one")

            told_of: list[str] = []
            until(lambda: told_of.extend(heard(raw, seconds=1.0)) or told_of, seconds=60)  # noqa: B023
            assert told_of == [""]
        start("one")
        assert heard(raw, seconds=0.1) == [], "announced again at once"
