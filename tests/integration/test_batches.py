"""Operations on many runs at once: cancel and retry by filter, in the API and in the engine."""

import dataclasses
import re
import threading
import time
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from erip.access.scopes import Scope
from erip.foundation.db import prepared
from tests.definitions import one_step
from tests.definitions import publish as publish_source
from tests.support.api import INPUT, Api, key, publish
from tests.support.races import together
from tests.support.runs import fail, start
from workflows import engine, operations, queries, store
from workflows.models import BatchRun, RunBatch, RunEvent, RunRetry, WorkflowRun
from workflows.operations import OPERATIONS, reading
from workflows.store import RunFilter

pytestmark = pytest.mark.django_db(transaction=True)
CANCEL, RETRY = OPERATIONS["cancel"], OPERATIONS["retry"]


@pytest.fixture
def api() -> Api:
    publish()
    return Api(key(Scope.OPERATOR))


def paths(answer) -> set[str]:
    return {fault["path"] for fault in answer.json()["faults"]}


def settle() -> None:
    operations.work_off(seconds=30)


def followed(api, answer) -> dict:
    """The batch that was accepted, worked off."""
    assert answer.status_code == 202, answer.content
    settle()
    return api.get(answer.headers["Location"].removeprefix("/api/v1")).json()


def states(state: str) -> list[str]:
    """The runs in this state."""
    return [str(run) for run in WorkflowRun.objects.filter(state=state).values_list("id", flat=True)]


# --- cancel -----------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_does_nothing(api):
    start(3)
    fail(start(2))

    answer = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}, "dry_run": True})

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "operation": "cancel",
            "dry_run": True,
            "count": 3,
            "by_workflow": {"look-up": 3},
            "by_status": {"PENDING": 3},
        },
    )
    assert not RunBatch.objects.exists()
    assert WorkflowRun.objects.filter(state="CANCELLED").count() == 0


def test_all_runs_that_the_filter_matches_are_cancelled_and_no_others(api):
    wanted, others = start(5, key="INC-7"), start(2, key="INC-8")

    body = {"filter": {"business_key": "INC-7"}, "expected_count": 5, "reason": "a drill"}
    batch = followed(api, api.post("/runs/cancel", body))

    assert (batch["status"], batch["count"], batch["outcomes"]) == ("done", 5, {"cancelled": 5})
    assert (batch["reason"], batch["created_by"], batch["filter"]) == (
        "a drill", "key:test operator", {"business_key": "INC-7"},
    )  # fmt: skip
    assert set(states("CANCELLED")) == set(wanted)
    assert set(states("PENDING")) == set(others)
    told = RunEvent.objects.filter(type="run.cancelled").values_list("detail", flat=True)
    assert list(told) == [{"by": "key:test operator", "reason": "a drill"}] * 5


def test_another_count_than_expected_is_409_with_the_real_one_and_does_nothing(api):
    start(3)

    answer = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}, "expected_count": 4})

    assert (answer.status_code, answer.json()["code"], answer.json()["count"]) == (409, "count-differs", 3)
    assert not RunBatch.objects.exists()
    assert not BatchRun.objects.exists()


def test_a_run_that_ended_meanwhile_is_an_outcome_and_no_error(api):
    runs = start(3)
    accepted = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}})
    fail(runs[:1])

    batch = followed(api, accepted)
    ended = api.get(f"/batches/{batch['id']}/runs", outcome="already_ended").json()["items"]

    assert batch["outcomes"] == {"already_ended": 1, "cancelled": 2}
    assert [each["run"] for each in ended] == runs[:1]
    assert WorkflowRun.objects.get(pk=runs[0]).state == "FAILED"


def test_the_outcome_of_each_run_is_read_page_by_page(api):
    runs = start(5)
    accepted = api.post("/runs/cancel", {"filter": {"ids": [runs[0].upper(), *runs[1:]]}})
    address = accepted.headers["Location"].removeprefix("/api/v1") + "/runs"
    assert [each["outcome"] for each in api.get(address).json()["items"]] == ["pending"] * 5
    settle()

    seen, cursor = [], None
    while True:
        page = api.get(address, outcome="cancelled", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [each["run"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == sorted(runs)
    assert api.get(address, outcome="pending").json() == {"items": [], "next_cursor": None}
    assert [each["id"] for each in api.get("/batches").json()["items"]] == [accepted.json()["id"]]


def test_progress_is_not_counted_each_time_it_is_asked_for(api):
    """Of 100,000 runs, a count takes tens of milliseconds, and whoever waits for a batch asks all the time."""
    batch = RunBatch.objects.create(id=uuid4(), operation="cancel", filter={}, total=100_000, created_by="t")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflows_batchrun (batch_id, run_id)"
            " SELECT %s, gen_random_uuid() FROM generate_series(1, 100000)",
            [batch.pk],
        )
    now = [100.0]

    def clock() -> float:
        # Each look at it is a millisecond later.
        now[0] += 0.001
        return now[0]

    progress = reading.Progress(clock)
    read = partial(operations.batch_document, str(batch.pk), progress)
    began = time.perf_counter()
    assert read()["outcomes"] == {"pending": 100_000}
    print(f"counted in {(time.perf_counter() - began) * 1000:.1f} ms")
    BatchRun.objects.filter(batch=batch).update(outcome="cancelled", at=timezone.now())
    with CaptureQueriesContext(connection) as asked:
        assert read()["outcomes"] == {"pending": 100_000}
    assert not [one for one in asked.captured_queries if "batchrun" in one["sql"]]
    # After 50 times what the count took it is counted again.
    now[0] += 0.06
    assert read()["outcomes"] == {"cancelled": 100_000}
    # A batch that has ended is counted once more, and never again: it does not change.
    RunBatch.objects.filter(pk=batch.pk).update(finished_at=timezone.now())
    assert read()["status"] == "done"
    now[0] += 1e6
    with CaptureQueriesContext(connection) as asked:
        assert read()["outcomes"] == {"cancelled": 100_000}
    assert not [one for one in asked.captured_queries if "batchrun" in one["sql"]]


def test_a_batch_of_nothing_is_done_at_once(api):
    batch = api.post("/runs/cancel", {"filter": {"business_key": "nobody"}}).json()

    assert (batch["status"], batch["count"], batch["outcomes"]) == ("done", 0, {})


def test_the_same_request_under_one_key_is_one_batch(api):
    start(2)
    body = {"filter": {"workflow": "look-up"}, "expected_count": 2}

    first = api.post("/runs/cancel", body, Idempotency_Key="k")
    settle()
    again = api.post("/runs/cancel", body, Idempotency_Key="k")

    assert (again.status_code, again.json()) == (202, first.json())
    assert RunBatch.objects.count() == 1


def test_a_batch_may_not_have_more_runs_than_the_limit(api, monkeypatch):
    start(3)
    monkeypatch.setattr(operations.batches, "MOST_RUNS", 2)

    answer = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}})

    assert (answer.status_code, answer.json()["code"]) == (409, "batch-too-large")
    assert not BatchRun.objects.exists()


# --- retry ------------------------------------------------------------------------------------------------


def test_failed_runs_are_retried_once_each_with_their_lineage(api):
    failed = fail(start(3, key="INC-7", lane="critical"))
    fail(start(1), code="other")
    start(1)

    filter_ = {"error_code": "connection_refused", "failed_step": "enrich"}
    batch = followed(api, api.post("/runs/retry", {"filter": filter_, "expected_count": 3}))
    outcomes = api.get(f"/batches/{batch['id']}/runs").json()["items"]

    assert batch["outcomes"] == {"retried": 3}
    for each in outcomes:
        old, new = api.get(f"/runs/{each['run']}").json(), api.get(f"/runs/{each['result']}").json()
        assert (old["retried_as"], old["retry_of"]) == (new["id"], None)
        assert (new["retry_of"], new["retried_as"]) == (old["id"], None)
        assert (new["business_key"], new["lane"], new["input"]) == ("INC-7", "critical", INPUT)
        assert (new["started_by"], new["version"]) == ("key:test operator", 1)
    assert {each["run"] for each in outcomes} == set(failed)
    listed = {each["id"]: each for each in api.get("/runs", limit=200).json()["items"]}
    assert {listed[each["result"]]["retry_of"] for each in outcomes} == set(failed)
    # What has a retry is not matched again.
    assert api.post("/runs/retry", {"filter": filter_, "dry_run": True}).json()["count"] == 0


def test_two_people_at_once_start_each_run_once(api):
    failed = fail(start(300))
    other = Api(key(Scope.OPERATOR, name="another"))
    body = {"filter": {"workflow": "look-up", "status": "FAILED"}, "expected_count": 300}

    answers = together([lambda: api.post("/runs/retry", body), lambda: other.post("/runs/retry", body)])
    assert [answer.status_code for answer in answers] == [202, 202]
    together([settle, settle])

    batches = [api.get(f"/batches/{answer.json()['id']}").json() for answer in answers]
    counted = {
        name: sum(batch["outcomes"].get(name, 0) for batch in batches) for name in ("retried", "already_retried")
    }
    assert [batch["status"] for batch in batches] == ["done", "done"]
    assert counted == {"retried": 300, "already_retried": 300}
    assert WorkflowRun.objects.count() == 600
    assert {str(run) for run in RunRetry.objects.values_list("retry_of", flat=True)} == set(failed)
    told = BatchRun.objects.values_list("run_id", "result").distinct()
    assert len(told) == 300  # both name the same retry


def test_by_default_only_what_went_wrong_is_retried(api):
    fail(start(1))
    fail(start(1), state="TIMED_OUT")
    engine.cancel_run(start(1)[0], principal="test")

    every = api.post("/runs/retry", {"filter": {"workflow": "look-up"}, "dry_run": True}).json()
    named = api.post("/runs/retry", {"filter": {"status": "CANCELLED"}, "dry_run": True}).json()

    assert every["by_status"] == {"FAILED": 1, "TIMED_OUT": 1}
    assert named["by_status"] == {"CANCELLED": 1}


def test_a_batch_waits_while_the_lane_is_full(api, lane_settings):
    fail(start(5, lane="bulk"))
    lane_settings(ERIP_ADMISSION_MAX_BACKLOG=1)
    start(1, lane="bulk")

    batch = followed(api, api.post("/runs/retry", {"filter": {"lane": "bulk"}}))

    assert (batch["status"], batch["outcomes"]) == ("waiting", {"pending": 5})
    assert "bulk" in batch["waits_for"]
    lane_settings(ERIP_ADMISSION_MAX_BACKLOG=1_000)
    RunBatch.objects.update(not_before=timezone.now())
    settle()
    assert operations.batch_document(batch["id"])["outcomes"] == {"retried": 5}


def test_an_archived_run_is_retried_too(api):
    run = fail(start(1))[0]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_workflowrun SET finished_at = now() - interval '1 day'")
    assert store.archive_runs(older_than=-60.0, limit=10) == 1

    batch = followed(api, api.post("/runs/retry", {"filter": {"error_code": "connection_refused"}}))

    assert batch["outcomes"] == {"retried": 1}
    assert api.get(f"/runs/{run}").json()["retried_as"] == str(WorkflowRun.objects.get().pk)


def test_a_run_that_cannot_be_started_again_does_not_hold_up_the_others(api, monkeypatch):
    failed = fail(start(3))
    whole = RETRY.portion

    def poisoned(batch, run_ids):
        if failed[1] in run_ids:
            raise RuntimeError("it cannot be read")
        return whole(batch, run_ids)

    monkeypatch.setitem(OPERATIONS, "retry", dataclasses.replace(RETRY, portion=poisoned))
    batch = followed(api, api.post("/runs/retry", {"filter": {"workflow": "look-up"}}))
    lost = api.get(f"/batches/{batch['id']}/runs", outcome="failed").json()["items"]

    assert (batch["status"], batch["outcomes"]) == ("done", {"failed": 1, "retried": 2})
    assert [(each["run"], each["detail"]) for each in lost] == [(failed[1], "it cannot be read")]


def test_a_batch_of_an_operation_that_only_a_newer_release_knows_waits_for_it(api, monkeypatch):
    start(1)
    accepted = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}})
    monkeypatch.delitem(OPERATIONS, "cancel")
    settle()

    assert operations.batch_document(accepted.json()["id"])["status"] == "waiting"


def test_the_error_codes_of_real_failures_are_found(run_to_end, api):
    publish_source(one_step("sample.flaky", "{times: 9, permanent: true}"))
    publish_source(one_step("sample.boom", name="two"))
    hopeless, boom = str(run_to_end("one").pk), str(run_to_end("two").pk)
    engine.cancel_run(start(1)[0], principal="test")

    def found(**wanted: str) -> list[str]:
        return [each["id"] for each in api.get("/runs", **wanted).json()["items"]]

    assert found(error_code="hopeless") == [hopeless]
    assert found(failed_step="only") == [boom, hopeless]
    assert len(found(error_code="cancelled")) == 1


# --- one run ----------------------------------------------------------------------------------------------


def test_a_run_is_retried_with_a_corrected_input(api):
    run = fail(start(1, key="INC-7"))[0]

    refused = api.post(f"/runs/{run}/retry", {"input": {"cves": [7]}, "inputs": 1})
    wrong = api.post(f"/runs/{run}/retry", {"input": {"cves": [7]}})
    answer = api.post(f"/runs/{run}/retry", {"input": {"cves": ["CVE-1"]}})

    assert (refused.status_code, paths(refused)) == (422, {"inputs"})
    assert (wrong.status_code, paths(wrong)) == (422, {"input.cves[0]"})
    assert (answer.status_code, answer.json()["retry_of"]) == (202, run)
    new = api.get(f"/runs/{answer.json()['id']}").json()
    assert (new["input"], new["business_key"], new["retry_of"]) == ({"cves": ["CVE-1"]}, "INC-7", run)


def test_a_run_is_retried_once_and_its_retry_again(api):
    run = fail(start(1))[0]
    first = api.post(f"/runs/{run}/retry").json()["id"]

    again = api.post(f"/runs/{run}/retry")
    fail([first])
    chained = api.post(f"/runs/{first}/retry")

    assert (again.status_code, again.json()["code"], again.json()["retried_as"]) == (409, "run-already-retried", first)
    assert chained.status_code == 202
    assert queries.run_detail(first)["retry_of"] == run


def test_two_people_who_retry_one_run_at_once_start_one(api):
    run = fail(start(1))[0]

    answers = together([lambda: api.post(f"/runs/{run}/retry")] * 4)

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert WorkflowRun.objects.count() == 2


def test_the_database_refuses_a_second_retry_and_half_an_outcome(api):
    (run,) = start(1)
    RunRetry.objects.create(retry_of=run, retried_as="00000000-0000-4000-8000-000000000001", by="a")
    for wrong in (
        lambda: RunRetry.objects.create(retry_of=run, retried_as="00000000-0000-4000-8000-000000000002", by="b"),
        lambda: (
            RunRetry.objects.create(retry_of=RunRetry.objects.get().retried_as, retried_as=run, by="c")
            and RunRetry.objects.create(retry_of="00000000-0000-4000-8000-000000000003", retried_as=run, by="d")
        ),
        lambda: BatchRun.objects.create(batch_id=run, run_id=run, outcome="cancelled"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            wrong()


# --- filters ----------------------------------------------------------------------------------------------


def test_each_filter_of_the_list_narrows_it_and_the_operations_alike(api):
    old = fail(start(1, key="INC-100% sure"))[0]
    new = fail(start(1, key="INC-100_sure", lane="bulk"), code="other", state="TIMED_OUT")[0]
    between = {}
    for moment in ("created_at", "finished_at"):
        first, second = WorkflowRun.objects.order_by("id").values_list(moment, flat=True)
        between[moment] = (first + (second - first) / 2).isoformat().replace("+00:00", "Z")
    engine.retry_run(new, principal="test")
    wanted = {
        "workflow": ("look-up", {old, new}),
        "status": ("TIMED_OUT", {new}),
        "lane": ("bulk", {new}),
        "business_key": ("INC-100_sure", {new}),
        "business_key_prefix": ("INC-100%", {old}),
        "business_key_contains": ("00% s", {old}),
        "error_code": ("other", {new}),
        "failed_step": ("enrich", {old, new}),
        "created_after": (between["created_at"], {new}),
        "created_before": (between["created_at"], {old}),
        "ended_after": (between["finished_at"], {new}),
        "ended_before": (between["finished_at"], {old}),
        "retried": ("true", {new}),
    }
    assert wanted.keys() | {"ids", "spaces"} == {field.name for field in dataclasses.fields(RunFilter)}

    for name, (value, found) in wanted.items():
        listed = {each["id"] for each in api.get("/runs", **{name: value}).json()["items"]}
        body = {name: value == "true" if name == "retried" else value}
        counted = api.post("/runs/retry", {"filter": body, "dry_run": True})
        assert listed & {old, new} == found, name
        assert counted.json()["count"] == len(found - {new}), name  # the new one has a retry
    assert api.get("/runs", business_key_prefix="INC-100_").json()["items"][0]["id"] != old


@pytest.mark.parametrize("address", ["/runs/cancel", "/runs/retry"])
def test_every_fault_of_a_request_is_named_at_once_with_its_path(api, address):
    body = {
        "filter": {
            "workflow": 7,
            "status": "READY",
            "lane": "fast",
            "business_key": "",
            "error_code": "x" * 101,
            "created_after": "yesterday",
            "retried": "yes",
            "ids": ["7", None],
            "buisness_key": "x",
        },
        "dry_run": 1,
        "expected_count": "5",
        "reason": None,
        "confirm": True,
    }

    answer = api.post(address, body)

    assert answer.status_code == 422
    assert paths(answer) == {
        *(f"filter.{name}" for name in body["filter"] if name != "ids"),
        "filter.ids[0]",
        "filter.ids[1]",
        "dry_run",
        "expected_count",
        "reason",
        "confirm",
    }


@pytest.mark.parametrize(
    ("address", "filter_", "path"),
    [
        ("/runs/cancel", {}, "filter"),
        ("/runs/cancel", {"status": "FAILED"}, "filter.status"),
        ("/runs/retry", {"status": "RUNNING"}, "filter.status"),
        ("/runs/retry", {"ids": []}, "filter.ids"),
        ("/runs/retry", {"limit": 5}, "filter.limit"),
        ("/runs/retry", {"workflow": None}, "filter.workflow"),
        ("/runs/retry", None, "filter"),
        ("/runs/retry", [], "filter"),
    ],
)
def test_a_filter_that_fits_no_run_or_every_run_is_refused(api, address, filter_, path):
    answer = api.post(address, {"filter": filter_})

    assert (answer.status_code, paths(answer)) == (422, {path})


HOSTILE = ["%", "_", "\\", "'; DROP TABLE workflows_workflowrun; --", "%s", "{where}", "\U0010ffff", "é", "$1", "\n"]


@pytest.mark.parametrize(
    "name", ["workflow", "business_key", "business_key_prefix", "business_key_contains", "error_code", "failed_step"]
)
def test_hostile_texts_are_texts(api, name):
    (run,) = fail(start(1, key="INC-7"))

    for text in HOSTILE:
        listed = api.get("/runs", **{name: text})
        counted = api.post("/runs/retry", {"filter": {name: text}, "dry_run": True})
        assert (listed.status_code, listed.json()["items"]) == (200, []), text
        assert (counted.status_code, counted.json()["count"]) == (200, 0), text
    assert api.get("/runs", **{name: "a\0"}).status_code == 400
    assert WorkflowRun.objects.filter(pk=run).exists()


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T00:00:00Z"])
@pytest.mark.parametrize("name", ["created_after", "created_before", "ended_after", "ended_before"])
def test_moments_at_the_edges_are_moments(api, name, moment):
    fail(start(1))
    everything = name.endswith("after") != moment.startswith("9")

    assert len(api.get("/runs", **{name: moment}).json()["items"]) == int(everything)


def test_a_code_that_is_longer_than_an_index_takes_is_kept_and_found(api):
    (run,) = fail(start(1), code="x" * 10_000)

    assert [each["id"] for each in api.get("/runs", error_code="x" * 100).json()["items"]] == [run]


def test_a_filter_that_takes_too_long_says_so(api, monkeypatch):
    monkeypatch.setattr(RunFilter, "where", lambda _: ("pg_sleep(2) IS NOT NULL", []))
    start(1)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 200")
    try:
        answer = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}, "dry_run": True})
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")

    assert (answer.status_code, answer.json()["code"]) == (422, "filter-too-slow")


# --- permissions ------------------------------------------------------------------------------------------


def staff(*codenames: str) -> Client:
    user = User.objects.create_user(f"staff {User.objects.count()}", password="a-long-password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_an_operator_may_and_a_viewer_may_only_look(api):
    fail(start(1))
    viewer = Api(key(Scope.VIEWER))
    batch = api.post("/runs/retry", {"filter": {"workflow": "look-up"}}).json()["id"]

    for address in ("/runs/cancel", "/runs/retry"):
        assert viewer.post(address, {"filter": {"workflow": "look-up"}, "dry_run": True}).status_code == 403
    assert viewer.get(f"/batches/{batch}").status_code == 200
    assert viewer.get(f"/batches/{batch}/runs").status_code == 200
    assert Api().get(f"/batches/{batch}").status_code == 401


def test_the_api_refuses_staff_what_the_admin_refuses_them(api):
    fail(start(1))
    body = {"filter": {"workflow": "look-up"}, "dry_run": True}

    def asked(client: Client) -> int:
        return client.post("/api/v1/runs/retry", body, content_type="application/json").status_code

    assert asked(staff("change_workflowrun")) == 200
    assert asked(staff("view_workflowrun")) == 403
    assert staff("view_workflowrun").get("/api/v1/batches").status_code == 200
    assert staff("view_worker").get("/api/v1/batches").status_code == 403


def test_unknown_batches_and_wrong_cursors_are_refused(api):
    nobody = "00000000-0000-7000-8000-000000000000"

    assert api.get(f"/batches/{nobody}").json()["code"] == "unknown-batch"
    assert api.get(f"/batches/{nobody}/runs").json()["code"] == "unknown-batch"
    assert api.get("/batches/7").status_code == 404
    assert paths(api.get("/batches", cursor="7", limit="x", page=1)) == {"cursor", "limit", "page"}
    assert paths(api.get(f"/batches/{nobody}/runs", outcome="lost")) == {"outcome"}


def test_batches_are_forgotten_a_while_after_their_end(api):
    start(1)
    kept = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}}).json()["id"]
    settle()
    gone = api.post("/runs/cancel", {"filter": {"workflow": "look-up"}}).json()["id"]
    RunBatch.objects.filter(pk=gone).update(finished_at=timezone.now() - timedelta(days=31))

    assert store.forget_batches(older_than_days=30) == 1
    assert [str(each) for each in RunBatch.objects.values_list("pk", flat=True)] == [kept]
    assert BatchRun.objects.count() == 1


# --- what it costs ----------------------------------------------------------------------------------------


def test_a_claim_and_a_good_end_still_update_a_run_in_place(api):
    """PostgreSQL updates a row in place (HOT) only if no column of any index changes: neither the keys nor the
    conditions of the indexes for filters may name what a claim changes."""
    start(5)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_workflowrun SET state = 'RUNNING', started_at = now(), seq = seq + 1")
        cursor.execute("SELECT pg_stat_get_xact_tuples_hot_updated('workflows_workflowrun'::regclass)")
        assert cursor.fetchone()[0] == 5
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'workflows_workflowrun'")
        assert not [definition for (definition,) in cursor.fetchall() if "state" in definition]


def test_a_portion_costs_the_same_however_large_its_batch_is(api, monkeypatch):
    """Each statement finds its rows by their keys or places. PostgreSQL plans it when it knows nothing of the batch
    yet, and then the index of all that waits, or of the whole batch, looks as good (34 s for one portion, measured)."""
    start(3)
    plans: list[str] = []
    execute = prepared.execute

    def explained(cursor, statement, parameters, **more):
        if "batchrun" in statement or "runpause" in statement:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN (FORMAT TEXT) {statement}", parameters)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
        execute(cursor, statement, parameters, **more)

    monkeypatch.setattr(prepared, "execute", explained)
    for operation in ("pause", "resume"):
        begun = operations.begin(OPERATIONS[operation], RunFilter(workflow="look-up"), principal="test")
        operations.work_off(seconds=30, only=begun)
    updates = [plan for plan in plans if plan.startswith("Update on workflows_batchrun")]
    assert len(updates) == 2
    assert all("Tid Scan" in plan for plan in updates)
    searches = [plan for plan in plans if "LockRows" in plan and "batchrun" in plan]
    assert len(searches) >= 2
    assert not [plan for plan in searches if "Sort" in plan], "the whole rest of the batch would be sorted each time"
    control = [plan for plan in plans if "workflows_steprun" in plan]
    assert len(control) == 2
    for index in ("step_ready", "step_due", "step_running"):
        assert not [plan for plan in control if index in plan], index


def test_what_another_process_could_not_do_is_done_although_it_lies_before_the_rest(api, monkeypatch):
    monkeypatch.setattr(operations.batches, "PORTION", 2)
    runs = sorted(start(6))
    batch = operations.begin(CANCEL, RunFilter(workflow="look-up"), principal="test")
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                assert [*store.lock_portion(batch, limit=2)] == runs[:2]
                held.set()
                assert go_on.wait(60)
                transaction.set_rollback(True)
        finally:
            connection.close()

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    assert operations.work_off(seconds=30, only=batch) == 4
    go_on.set()
    other.join()
    settle()
    assert set(BatchRun.objects.filter(batch_id=batch).values_list("outcome", flat=True)) == {"cancelled"}
    assert RunBatch.objects.get(pk=batch).finished_at is not None


def test_the_filters_that_are_said_to_be_quick_have_their_index(api):
    wanted = {
        "business_key_prefix": "run_key",
        "error_code": "run_error",
        "workflow": "run_workflow",
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        for name, index in wanted.items():
            where, parameters = RunFilter(**{name: "abc"}).where()
            cursor.execute(f"EXPLAIN SELECT id FROM workflows_workflowrun r WHERE {where}", parameters)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert index in plan, plan
            assert re.search("Index Cond.*abc", plan), plan


def test_lineage_is_forgotten_when_both_runs_are(api):
    old, older = "018bcfe5-0000-7000-8000-000000000001", "018bcfe5-0000-7000-8000-000000000002"
    (run,) = start(1)
    RunRetry.objects.create(retry_of=older, retried_as=old, by="test")
    RunRetry.objects.create(retry_of=old, retried_as=run, by="test")

    store.drop_archive(before=timezone.now() - timedelta(days=31))

    assert [str(each) for each in RunRetry.objects.values_list("retry_of", flat=True)] == [old]
