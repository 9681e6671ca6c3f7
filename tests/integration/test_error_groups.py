"""Groups of errors on a real database: each failure is counted once, and rows grow with kinds and minutes alone."""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.core.signals import got_request_exception
from django.db import connection, connections, transaction
from django.test import Client

from erip.access.scopes import Scope
from erip.foundation import hooks
from monitoring import buffering, store
from monitoring.buffering import Buffer
from monitoring.core.fingerprints import Error, Source, kind_of
from monitoring.core.groups import Definition, Link, Tallies
from monitoring.grouping import read
from monitoring.models import ErrorCount, ErrorGroup, ErrorKey, Page
from monitoring.paging import send_due
from monitoring.store.error_reading import HOUR, MINUTE, GroupFilter, error_counts, error_group, error_groups
from tests.definitions import publish
from tests.support.api import Api, key
from tests.workers import until
from workflows import engine
from workflows import store as run_store
from workflows.core.machine import RunTimedOut, StepFailed
from workflows.core.states import Lane
from workflows.graphs import graph_of
from workflows.models import RunEvent, StepRun, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

NOW = (datetime.now(UTC) - timedelta(days=1)).replace(minute=30, second=30, microsecond=0)
FAILS = """
name: fails
steps:
  fetch:
    uses: sample.flaky
    with: {times: 9, permanent: true}
    retry: {max_attempts: 1}
"""
SECRET = "what the caller sent"
TRACE = """Traceback (most recent call last):
  File "/srv/acme/steps.py", line 7, in check
    raise Refused(
acme.steps.Refused: it is refused
"""


def tallied(error: Error, *, at: datetime = NOW, count: int = 1, definition: Definition | None = None) -> Tallies:
    tallies = Tallies()
    link = Link("run", f"run at {at}", at)
    tallies.add(kind_of(error), at, count=count, links=[link], definition=definition)
    return tallies


def refused(text: str = "it is refused", **more: Any) -> Error:
    return Error(Source.ATTEMPT, "acme.check", "refused", "Refused", text, **more)


def all_read(source: Source, *, seconds: float = 60.0) -> None:
    """Read until everything that is there was read. Tests on other databases of the server do not hold this up."""
    until(lambda: not read(source) and settled(source), seconds=seconds)


def settled(source: Source) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT position >= bound FROM monitoring_errorcursor WHERE source = %s", [str(source)])
        row = cursor.fetchone()
        return row is not None and bool(row[0])


# --- the store ----------------------------------------------------------------------------------------------


def test_a_million_equal_errors_cost_rows_by_the_minute() -> None:
    for minute in range(3):
        for _ in range(10):
            store.keep_errors(tallied(refused(), at=NOW + timedelta(minutes=minute), count=33_334), release="1")
    group = ErrorGroup.objects.get()
    assert group.count == 1_000_020
    assert ErrorCount.objects.filter(tier=MINUTE).count() == 3
    assert ErrorCount.objects.filter(tier=HOUR).get().count == 1_000_020
    assert ErrorKey.objects.count() == 1
    counts = error_counts([group.id], since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1), by=MINUTE)
    assert [count for _, count in counts[group.id]] == [333_340] * 3


def test_kinds_beyond_the_number_that_is_kept_are_counted_as_one() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    for word in words:
        store.keep_errors(tallied(refused(f"no such host {word}")), release="1", most=3)
    titles = sorted(ErrorGroup.objects.values_list("title", "count"))
    assert len(titles) == 4
    assert ("Errors of kinds beyond the number that is kept", 2) in titles


def test_a_resolved_group_that_is_seen_again_is_a_regression() -> None:
    store.keep_errors(tallied(refused()), release="1.0")
    number = ErrorGroup.objects.get().id
    assert store.resolve_group(number, by="me", reason="fixed", under="1.0", release="1.1", definition=None)
    assert not store.resolve_group(number, by="me", reason="again", under="1.0", release=None, definition=None)
    later = datetime.now(UTC) + timedelta(hours=1)

    # What failed before, and what fails in a release without the fix, changes nothing.
    assert not store.keep_errors(tallied(refused()), release="1.1").regressions
    assert not store.keep_errors(tallied(refused(), at=later), release="1.0.9").regressions
    assert ErrorGroup.objects.get().state == "resolved"

    kept = store.keep_errors(tallied(refused(), at=later), release="1.1")
    assert (kept.new, kept.regressions) == ({}, {Source.ATTEMPT: 1})
    shown = error_group(number)
    assert shown is not None
    assert (shown["state"], shown["regression"], shown["regressions"]) == ("open", True, 1)
    assert [row["id"] for row in error_groups(GroupFilter(regression=True))] == [number]
    assert store.keep_errors(tallied(refused(), at=later), release="1.1").regressions == {}

    assert store.ignore_group(number, by="me", reason="known")
    assert store.keep_errors(tallied(refused(), at=later), release="2").regressions == {}
    assert (ErrorGroup.objects.get().state, ErrorGroup.objects.get().last_release) == ("ignored", "2")
    assert store.reopen_group(number, by="me", reason="it hurts")
    assert error_groups(GroupFilter(regression=True)) == []


def test_a_fix_in_a_version_of_the_workflow_is_not_expected_of_older_versions() -> None:
    old, new, other = Definition("pay", 3), Definition("pay", 4), Definition("refund", 1)
    later = datetime.now(UTC) + timedelta(hours=1)
    store.keep_errors(tallied(refused(), definition=old), release="1")
    number = ErrorGroup.objects.get().id
    assert ErrorGroup.objects.get().first_definition == "pay@3"
    for seen, again in ((old, False), (new, True), (other, True)):
        store.reopen_group(number, by="me", reason="")
        store.resolve_group(number, by="me", reason="", under="1", release=None, definition=new)
        kept = store.keep_errors(tallied(refused(), at=later, definition=seen), release="1")
        assert bool(kept.regressions) is again, seen


def test_errors_without_a_traceback_go_to_the_group_of_those_that_have_one() -> None:
    try:
        raise ValueError("total of order 17 is negative")
    except ValueError:
        text = traceback.format_exc()
    first = Error(Source.ATTEMPT, "acme.check", "step_raised", "ValueError", "total of order 17 is negative", text)
    second = Error(Source.ATTEMPT, "acme.check", "step_raised", "ValueError", "total of order 9 is negative")
    for errors in ((first, second), (second, first)):
        ErrorGroup.objects.all().delete()
        for error in errors:
            store.keep_errors(tallied(error), release="1")
        group = ErrorGroup.objects.get()
        assert group.count == 2
        assert group.place.endswith("test_errors_without_a_traceback_go_to_the_group_of_those_that_have_one")
        assert "order <n> is negative" in group.traceback
        assert group.title == "ValueError: total of order <n> is negative"


def test_processes_that_meet_the_same_new_kinds_make_one_group_of_each() -> None:
    errors = [refused(f"it is {word}") for word in ("late", "short", "lost", "odd")]
    barrier = threading.Barrier(4)
    failed: list[BaseException] = []

    def process(number: int) -> None:
        try:
            for turn in range(5):
                tallies = Tallies()
                for error in errors[number:] + errors[:number]:
                    tallies.add(kind_of(error), NOW, count=2)
                barrier.wait(30)
                store.keep_errors(tallies, release=f"{turn}")
        except BaseException as error:
            failed.append(error)
            barrier.abort()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=process, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert sorted(ErrorGroup.objects.values_list("count", flat=True)) == [40, 40, 40, 40]
    assert sum(ErrorCount.objects.filter(tier=HOUR).values_list("count", flat=True)) == 160


def test_what_is_old_is_forgotten() -> None:
    old = datetime.now(UTC) - timedelta(days=401)
    store.keep_errors(tallied(refused("a"), at=old), release="1")
    store.keep_errors(tallied(refused("b"), at=datetime.now(UTC) - timedelta(days=15)), release="1")
    store.forget_errors(most=100)
    assert ErrorGroup.objects.get().title == "Refused: b"
    assert [row.tier for row in ErrorCount.objects.all()] == [HOUR]
    assert ErrorKey.objects.count() == 1


# --- what the engine stored --------------------------------------------------------------------------------


def test_failed_attempts_are_read_once_with_their_runs_version_and_traceback(
    run_to_end: Callable[..., WorkflowRun],
) -> None:
    publish(FAILS)
    runs = [run_to_end("fails") for _ in range(3)]
    all_read(Source.ATTEMPT)
    all_read(Source.ATTEMPT)
    group = ErrorGroup.objects.get()
    assert (group.count, group.source, group.what, group.state) == (3, "attempt", "sample.flaky", "open")
    assert (group.code, group.title) == ("hopeless", "PermanentStepError: it will never work")
    assert (group.first_definition, group.last_definition) == ("fails@1", "fails@1")
    assert {link["id"] for link in group.links} == {str(run.id) for run in runs}
    assert group.traceback.startswith("Traceback")
    assert (group.place, dict(group.why)["function"]) == ("sample.steps.flaky", "sample.steps.flaky")


def test_an_attempt_is_counted_although_its_id_was_committed_late() -> None:
    publish(FAILS)
    run = WorkflowRun.objects.get(pk=engine.start_runs("fails", [engine.StartRequest({})], principal="t")[0].id)
    written, go_on = threading.Event(), threading.Event()

    def fail(message: str) -> None:
        RunEvent.objects.create(
            run=run, type="step.attempt_failed", step="fetch", attempt=1,
            detail={"error": {"code": "refused", "message": message}},
        )  # fmt: skip

    def slow() -> None:
        try:
            with transaction.atomic():
                fail("the slow one")
                written.set()
                go_on.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(30)
    fail("the quick one")
    try:
        # The quick one has the higher id. Reading it now would leave the slow one behind for good.
        assert not read(Source.ATTEMPT)
        assert not read(Source.ATTEMPT)
        assert ErrorGroup.objects.count() == 0
    finally:
        go_on.set()
        thread.join(30)
    all_read(Source.ATTEMPT)
    assert sorted(ErrorGroup.objects.values_list("title", "count")) == [
        ("refused: the quick one", 1),
        ("refused: the slow one", 1),
    ]


def test_a_reading_that_breaks_off_has_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(FAILS)
    run = WorkflowRun.objects.get(pk=engine.start_runs("fails", [engine.StartRequest({})], principal="t")[0].id)
    hostile: list[Any] = [
        {"error": {"code": "refused", "message": "plain"}},
        {"error": "no object"}, {"error": None}, {}, {"error": [1, 2]}, {"trace": {"traceback": 7}},
        {"error": {"code": 5, "type": {"a": 1}, "message": ["x"]}, "trace": [1]},
    ]  # fmt: skip
    RunEvent.objects.bulk_create(
        RunEvent(run=run, type="step.attempt_failed", step="fetch", attempt=1, detail=detail) for detail in hostile
    )
    moved = store.move
    monkeypatch.setattr(store, "move", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        until(lambda: read(Source.ATTEMPT))
    assert ErrorGroup.objects.count() == 0
    monkeypatch.setattr(store, "move", moved)
    all_read(Source.ATTEMPT)
    assert sum(ErrorGroup.objects.values_list("count", flat=True)) == len(hostile)


# --- requests ------------------------------------------------------------------------------------------------


def test_errors_of_requests_are_kept_without_what_the_request_said() -> None:
    buffer = Buffer()

    def view(secret: str) -> None:
        raise ValueError(f"cannot read {secret}")

    secrets = [f"s3cret-{number}" for number in range(50)]
    for number in range(50):
        try:
            view(secrets[number])
        except ValueError:
            error = sys.exc_info()[1]
            assert error is not None
            link = Link("request", f"r{number}", NOW + timedelta(seconds=number / 10), "POST /api/v1/x")
            buffer.add_raised(error, what="requests", link=link)
    store.keep_errors(buffer.take(), release="1")
    group = ErrorGroup.objects.get()
    assert (group.count, group.title, len(group.links)) == (50, "ValueError", 20)
    assert group.links[0]["id"] == "r49"
    assert "raise ValueError(f" in group.traceback
    assert "s3cret" not in str(ErrorGroup.objects.values().get())


def test_errors_of_real_requests_come_to_groups_by_both_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError(SECRET)

    monkeypatch.setattr(buffering, "buffer", Buffer())
    got_request_exception.disconnect(dispatch_uid="monitoring.errors")
    with hooks.request_failed.only():
        buffering.listen()
        try:
            # By Django: a view that breaks.
            monkeypatch.setattr("monitoring.store.error_reading.error_groups", broken)
            client = Client(raise_request_exception=False)
            answer = client.get("/api/v1/errors", headers={"Authorization": f"Bearer {key(Scope.VIEWER)}"})
            assert answer.status_code == 500
            # By the light path, which is no request of Django's.
            try:
                broken()
            except ValueError as error:
                hooks.announce_failed_request(error, "POST /api/v1/events")
        finally:
            got_request_exception.disconnect(dispatch_uid="monitoring.errors")
    buffering.flush()
    monkeypatch.undo()
    # One place, reached in two ways, is one kind.
    group = ErrorGroup.objects.get()
    assert {link["detail"] for link in group.links} == {"GET /api/v1/errors", "POST /api/v1/events"}
    assert (group.title, group.count, group.what) == ("ValueError", 2, "requests")
    assert SECRET not in str(ErrorGroup.objects.values().get())


def test_an_alert_that_no_receiver_takes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffering, "buffer", Buffer())
    body = {"title": "t", "severity": "page", "alerts": [], "impact": {}}
    message = uuid4()
    store.put_pages([(message, "webhook:http://127.0.0.1:1/secret", body)])
    Page.objects.update(attempts=1_000)
    send_due()
    assert Page.objects.get().failed
    buffering.flush()
    group = ErrorGroup.objects.get()
    assert (group.source, group.links[0]["kind"], group.links[0]["id"]) == ("alert", "alert", str(message))
    assert "secret" not in str(ErrorGroup.objects.values().get())


UNATTEMPTED = {
    # what of it fails → a definition; each fails before a worker has attempted anything
    "no-step": """
name: no-step
steps:
  only: {uses: sample.echo, with: {value: "${{ input.list[9] }}"}}
""",
    "no-output": """
name: no-output
steps:
  only: {uses: sample.echo, if: "${{ false }}", with: {value: 1}}
output: ${{ input.list[9] }}
""",
    "no-items": """
name: no-items
steps:
  each: {uses: sample.echo, foreach: "${{ input.list }}", with: {value: "${{ item.list[9] }}"}}
""",
    "late": """
name: late
timeout: 1s
steps:
  only: {wait: {signal: never}}
""",
    "unsigned": """
name: unsigned
steps:
  only: {wait: {signal: never, timeout: 1s}}
""",
}


def test_what_fails_in_a_run_without_an_attempt_is_grouped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffering, "buffer", Buffer())
    with hooks.run_failed.only(buffering.add_run):
        for name, text in UNATTEMPTED.items():
            publish(text)
            for run in engine.start_runs(name, [engine.StartRequest({"list": [{}, {}, {}]})] * 2, principal="t"):
                WorkflowRun.objects.filter(id=run.id).update(deadline_at=NOW if name == "late" else None)
        StepRun.objects.filter(due_at__isnull=False).update(due_at=NOW)
        engine.release_due(list(Lane), limit=10)
        overdue = run_store.overdue_runs(limit=10)
        run_store.apply([run_store.Report(run_id, RunTimedOut()) for run_id in overdue], graph_of=graph_of)
    assert {*WorkflowRun.objects.values_list("workflow", "state")} == {
        (name, "TIMED_OUT" if name == "late" else "FAILED") for name in UNATTEMPTED
    }
    assert not RunEvent.objects.filter(type="step.attempt_failed").exists()
    buffering.flush()
    found = {row["what"]: row for row in ErrorGroup.objects.values()}
    assert {what: (row["source"], row["code"], row["count"]) for what, row in found.items()} == {
        "no-step.only": ("run", "expression_error", 2),
        "no-output": ("run", "output_error", 2),
        "no-items.each": ("run", "expression_error", 6),
        "late": ("run", "timed_out", 2),
        "unsigned.only": ("run", "signal_timed_out", 2),
    }
    runs = {str(run.id): run.workflow for run in WorkflowRun.objects.all()}
    for what, row in found.items():
        assert {runs[link["id"]] for link in row["links"]} == {what.partition(".")[0]}
        assert row["last_definition"] == f"{what.partition('.')[0]}@1"


def test_an_attempt_that_fails_a_run_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffering, "buffer", Buffer())
    publish(FAILS)
    [run] = engine.start_runs("fails", [engine.StartRequest({})], principal="t")
    with hooks.run_failed.only(buffering.add_run):
        failed = StepFailed("fetch", 1, {"code": "flaky", "message": "x"}, False, 0.0)
        worker = run_store.register_worker("w", "host", 1, list(Lane))
        run_store.claim([run.id], worker_id=worker, lanes=list(Lane))
        run_store.apply([run_store.Report(run.id, failed)], graph_of=graph_of)
    assert WorkflowRun.objects.get().state == "FAILED"
    assert len(buffering.buffer) == 0


# --- by API ----------------------------------------------------------------------------------------------------


def test_groups_are_listed_shown_and_decided_about_by_api() -> None:
    viewer, operator = Api(key(Scope.VIEWER)), Api(key(Scope.OPERATOR))
    for number, text in enumerate(("it is late", "it is short", "it is lost")):
        at = datetime.now(UTC) - timedelta(minutes=number)
        store.keep_errors(tallied(refused(text), at=at, count=5), release="1")
    first = viewer.get("/errors?limit=2").json()
    assert [one["title"] for one in first["items"]] == ["Refused: it is late", "Refused: it is short"]
    assert [sum(one["hours"]) for one in first["items"]] == [5, 5]
    rest = viewer.get(f"/errors?limit=2&cursor={quote(first['next_cursor'])}").json()
    assert ([one["title"] for one in rest["items"]], rest["next_cursor"]) == (["Refused: it is lost"], None)
    assert [one["title"] for one in viewer.get("/errors?text=SHORT").json()["items"]] == ["Refused: it is short"]
    for cursor in (
        "x",
        "2026-01-01|1",
        "2026-01-01T00:00:00Z|",
        "0001-01-01T00:00:00Z|1",
        f"{NOW.isoformat()}|" + "9" * 19,
    ):
        assert viewer.get(f"/errors?cursor={quote(cursor)}").status_code == 400, cursor

    number = first["items"][0]["id"]
    shown = viewer.get(f"/errors/{number}?range=10m").json()
    assert {part["name"] for part in shown["why"]} == {"source", "what", "code", "type", "message"}
    assert (shown["counts"]["step"], [one["count"] for one in shown["counts"]["items"]]) == (60, [5])
    assert shown["links"][0]["kind"] == "run"

    assert viewer.post(f"/errors/{number}/resolve", {"reason": "x"}).status_code == 403
    assert operator.post(f"/errors/{number}/resolve", {}).status_code == 422
    faults = operator.post(f"/errors/{number}/resolve", {"reason": "x", "version": 3}).json()["faults"]
    assert [fault["path"] for fault in faults] == ["workflow"]
    body = {"reason": "fixed", "release": "1.1", "workflow": "pay", "version": 4}
    resolved = operator.post(f"/errors/{number}/resolve", body).json()
    assert (resolved["state"], resolved["resolved_release"], resolved["resolved_version"]) == ("resolved", "1.1", 4)
    again = operator.post(f"/errors/{number}/resolve", {"reason": "x"})
    assert (again.status_code, again.json()["code"]) == (409, "error-group-decided")
    assert operator.post(f"/errors/{number}/ignore", {"reason": "noise"}).json()["state"] == "ignored"
    assert operator.post(f"/errors/{number}/reopen", {"reason": "no"}).json()["reason"] == "no"
    assert operator.post("/errors/999999/reopen", {"reason": "no"}).status_code == 404
    assert viewer.get("/errors/999999").status_code == 404


# --- for people ------------------------------------------------------------------------------------------------


def test_the_command_lists_groups_and_shows_one() -> None:
    store.keep_errors(tallied(refused("it is \x1b[31mred"), count=7), release="1.0")
    number = ErrorGroup.objects.get().id

    def said(*arguments: str) -> str:
        out = StringIO()
        call_command("pulse", "errors", *arguments, stdout=out)
        return out.getvalue()

    listed = said()
    assert f"{number}  open" in listed
    assert "Refused: it is" in listed
    assert "\x1b" not in listed
    assert json.loads(said("--json"))["items"][0]["count"] == 7
    assert "message: it is" in said(str(number))
    assert json.loads(said(str(number), "--json"))["links"][0]["kind"] == "run"
    assert "no error" in said("--state", "resolved")
    with pytest.raises(CommandError, match="no group 999"):
        said("999999")


def test_the_admin_shows_groups_and_asks_for_a_reason(admin_client: Client) -> None:
    store.keep_errors(tallied(refused("<b>it</b> is refused", traceback=TRACE)), release="1.0")
    number = ErrorGroup.objects.get().id
    pages = "/admin/monitoring/errorgroup/"
    assert b"&lt;b&gt;it&lt;/b&gt; is refused" in admin_client.get(pages).content
    shown = admin_client.get(f"{pages}{number}/change/").content.decode()
    assert "acme.steps.check" in shown
    assert "raise Refused(" in shown
    for reason, state in (("", "open"), ("fixed in 2", "resolved")):
        body = {"action": "resolve", "_selected_action": [number], "index": 0, "reason": reason}
        admin_client.post(pages, body)
        assert ErrorGroup.objects.get().state == state
    assert (ErrorGroup.objects.get().reason, ErrorGroup.objects.get().changed_by) == ("fixed in 2", "user:admin")


# --- floods ----------------------------------------------------------------------------------------------------

#: errors of a flood; with ERIP_ERROR_FLOOD=1000000 and `-s -k flood` the figures of the documentation
FLOOD = int(os.environ.get("ERIP_ERROR_FLOOD", "5000"))


def rows() -> int:
    return ErrorGroup.objects.count() + ErrorKey.objects.count() + ErrorCount.objects.count()


def test_a_flood_of_requests_that_fail_costs_rows_by_the_minute() -> None:
    def view(number: int) -> None:
        raise ValueError(f"cannot read {number}")

    buffer, spent = Buffer(), 0.0
    for number in range(FLOOD):
        try:
            view(number)
        except ValueError as error:
            at = NOW + timedelta(minutes=number * 5 // FLOOD)
            began = time.process_time()
            buffer.add_raised(error, what="requests", link=Link("request", str(number), at, "POST /api/v1/x"))
            spent += time.process_time() - began
        if number % (FLOOD // 40) == 0:
            store.keep_errors(buffer.take(), release="1")
    store.keep_errors(buffer.take(), release="1")
    print(f"{FLOOD:,} errors of requests: {rows()} rows, {1e6 * spent / FLOOD:.1f} µs each")
    assert ErrorGroup.objects.get().count == FLOOD
    # One group with its key; five minutes; the hour, or two.
    assert rows() <= 2 + 5 + 2


def test_a_flood_of_failed_attempts_costs_rows_by_the_minute(run_to_end: Callable[..., WorkflowRun]) -> None:
    publish(FAILS)
    run = run_to_end("fails")
    all_read(Source.ATTEMPT)
    before = rows()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_runevent (run_id, at, type, step, item, attempt, detail)
            SELECT run_id, at + make_interval(secs => 300.0 * n / %s), type, step, item, attempt,
                   jsonb_set(detail, '{error,message}', to_jsonb('order ' || n || ' is refused'))
            FROM workflows_runevent, generate_series(1, %s) n WHERE run_id = %s AND type = 'step.attempt_failed'
            """,
            [FLOOD, FLOOD, run.id],
        )
    began = time.process_time(), time.monotonic()
    all_read(Source.ATTEMPT, seconds=1_200)
    spent, took = time.process_time() - began[0], time.monotonic() - began[1]
    each = 1e6 * spent / FLOOD
    print(f"{FLOOD:,} failed attempts: {rows()} rows, read in {took:.1f} s, {each:.1f} µs of the leader for each")
    assert ErrorGroup.objects.get().count == FLOOD + 1
    # Six minutes at most, and another hour.
    assert rows() - before <= 6 + 2
