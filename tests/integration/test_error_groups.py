"""Groups of errors on a real database: each failure is counted once, and rows grow with kinds and minutes alone."""

import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from monitoring import store
from monitoring.buffering import Buffer
from monitoring.core.fingerprints import Error, Source, kind_of
from monitoring.core.groups import Definition, Link, Tallies
from monitoring.grouping import read
from monitoring.models import ErrorCount, ErrorGroup, ErrorKey
from monitoring.store.error_reading import HOUR, MINUTE, GroupFilter, error_counts, error_group, error_groups
from tests.definitions import publish
from tests.workers import until
from workflows import engine
from workflows.models import RunEvent, WorkflowRun

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


def tallied(error: Error, *, at: datetime = NOW, count: int = 1, definition: Definition | None = None) -> Tallies:
    tallies = Tallies()
    link = Link("run", f"run at {at}", at)
    tallies.add(kind_of(error), at, count=count, links=[link], definition=definition)
    return tallies


def refused(text: str = "it is refused", **more: Any) -> Error:
    return Error(Source.ATTEMPT, "acme.check", "refused", "Refused", text, **more)


def all_read(source: Source) -> None:
    """Read until everything that is there was read. Tests on other databases of the server do not hold this up."""
    until(lambda: not read(source) and settled(source))


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
