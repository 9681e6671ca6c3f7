import uuid

import pytest

from erip.access.scopes import Scope
from tests.support.api import INPUT, Api, key, publish
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db
START = "/workflows/look-up/runs"


@pytest.fixture
def api() -> Api:
    publish()
    return Api(key(Scope.OPERATOR))


def paths(answer) -> set[str]:
    return {fault["path"] for fault in answer.json()["faults"]}


def test_a_started_run_is_accepted_with_its_address(api):
    answer = api.post(START, {"input": INPUT, "business_key": "INC-7"})

    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["Location"] == f"/api/v1/runs/{body['id']}"
    assert (body["workflow"], body["version"], body["lane"]) == ("look-up", 1, "high")
    assert (body["business_key"], body["existing"]) == ("INC-7", False)
    assert body["created_at"].endswith("Z")
    assert WorkflowRun.objects.get(pk=body["id"]).started_by == "key:test operator"


def test_the_callers_lane_goes_before_the_definitions(api):
    assert api.post(START, {"input": INPUT, "lane": "critical"}).json()["lane"] == "critical"


def test_an_input_is_checked_against_the_workflows_schema(api):
    answer = api.post(START, {"input": {"cves": ["ok", 1, 2]}})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert paths(answer) == {"input.cves[1]", "input.cves[2]"}


def test_every_fault_of_a_body_is_named_at_once(api):
    answer = api.post(START, {"input": [], "business_key": 5, "lane": "fast", "version": "1", "buisness_key": "x"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")
    assert paths(answer) == {"input", "business_key", "lane", "version", "buisness_key"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"{}",
        b"{",
        b"\xff",
        b'{"input": {"a": "\\u0000"}}',
        b'{"input": {"\\u0000": 1}}',
        b'{"input": {}, "business_key": "a\\u0000"}',
        b'{"input": {}, "business_key": ""}',
        b'{"input": {"n": 1e999}}',
        b'{"input": {"n": ' + b"9" * 400 + b"}}",
        b'{"input": {"n": NaN}}',
        b'{"input": {"cves": ' + b"[" * 900 + b"]" * 900 + b"}}",
        b'{"input": {"cves": [], "x": ' + b"[" * 100_000,
        b'{"input": {"cves": "\\ud800"}}',
        b'{"input": {"cves": []}, "version": 99999999999}',
        b'{"input": {"cves": []}, "version": 0}',
        b'{"input": {"cves": []}, "business_key": "' + b"x" * 201 + b'"}',
    ],
)
def test_nonsense_is_refused_and_never_a_server_error(api, body):
    answer = api.post(START, body)

    assert answer.status_code in (400, 422), answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert WorkflowRun.objects.count() == 0


def test_numbers_at_the_edge_come_back_as_they_went_in(api):
    numbers = {"big": 2**64 - 1, "small": -(2**63), "float": 1.7976931348623157e308, "tiny": 5e-324, "round": 1e30}

    run = api.post(START, {"input": {**INPUT, **numbers}}).json()

    got = api.get(f"/runs/{run['id']}").json()["input"]
    assert {name: type(sent)(got[name]) for name, sent in numbers.items()} == numbers


def test_too_large_a_body_is_413_and_another_media_type_415(api):
    assert api.post(START, b" " * (1024 * 1024 + 1)).status_code == 413
    assert api.send("POST", START, b"input=1", Content_Type="application/x-www-form-urlencoded").status_code == 415
    assert api.send("POST", START, b"{}", Content_Type="").status_code == 415


def test_an_unknown_workflow_or_version_is_404(api):
    assert api.post("/workflows/nobody/runs", {"input": {}}).json()["code"] == "unknown-workflow"
    assert api.post(START, {"input": INPUT, "version": 7}).json()["code"] == "unknown-version"


# --- idempotency ------------------------------------------------------------------------------------------


def test_the_same_request_under_one_key_starts_one_run(api):
    body = {"input": INPUT, "business_key": "INC-7"}

    first = api.post(START, body, Idempotency_Key="k-1")
    again = api.post(START, dict(reversed(body.items())), Idempotency_Key="k-1")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == {**first.json(), "existing": True}
    assert WorkflowRun.objects.count() == 1


def test_another_request_under_the_same_key_is_refused(api):
    api.post(START, {"input": INPUT}, Idempotency_Key="k-1")

    answer = api.post(START, {"input": {"cves": []}}, Idempotency_Key="k-1")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-mismatch")


def test_two_callers_do_not_share_their_keys(api):
    other = Api(key(Scope.OPERATOR, name="other"))

    api.post(START, {"input": INPUT}, Idempotency_Key="k-1")
    other.post(START, {"input": INPUT}, Idempotency_Key="k-1")

    assert WorkflowRun.objects.count() == 2


@pytest.mark.parametrize("bad", ["", "x" * 256, "ü"])
def test_a_key_that_is_none_is_refused_before_anything_starts(api, bad):
    answer = api.post(START, {"input": INPUT}, Idempotency_Key=bad)

    assert (answer.status_code, paths(answer)) == (400, {"Idempotency-Key"})
    assert WorkflowRun.objects.count() == 0


# --- many -------------------------------------------------------------------------------------------------


def test_a_bulk_start_answers_with_the_ids_in_order(api):
    inputs = [{"cves": [f"CVE-2026-{number}"]} for number in range(1500)]

    answer = api.post("/runs/bulk", {"workflow": "look-up", "inputs": inputs, "lane": "bulk"})

    assert answer.status_code == 202
    body = answer.json()
    assert body["count"] == 1500
    runs = WorkflowRun.objects.in_bulk([uuid.UUID(run) for run in body["ids"]])
    assert [runs[uuid.UUID(run)].input for run in body["ids"]] == inputs


def test_a_bulk_start_with_a_fault_starts_nothing_and_names_each(api):
    inputs = [INPUT, {"cves": [1]}, INPUT, {}]

    answer = api.post("/runs/bulk", {"workflow": "look-up", "inputs": inputs})

    assert answer.status_code == 422
    assert paths(answer) == {"inputs[1].cves[0]", "inputs[3].cves"}
    assert WorkflowRun.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"workflow": "look-up", "inputs": []}, "inputs"),
        ({"workflow": "look-up", "inputs": [{}] * 10_001}, "inputs"),
        ({"workflow": "look-up", "inputs": [{}, 5]}, "inputs[1]"),
        ({"workflow": "Not A Name", "inputs": [{}]}, "workflow"),
        ({"workflow": "look-up\n", "inputs": [{}]}, "workflow"),
        ({"inputs": [{}]}, "workflow"),
    ],
)
def test_a_bulk_start_that_makes_no_sense_is_refused(api, body, path):
    answer = api.post("/runs/bulk", body)

    assert (answer.status_code, paths(answer)) == (422, {path})


# --- looking ----------------------------------------------------------------------------------------------


def test_a_run_is_shown_with_its_steps_and_events(api):
    run = api.post(START, {"input": INPUT}).json()

    shown = api.get(f"/runs/{run['id']}").json()
    events = api.get(f"/runs/{run['id']}/events").json()["items"]

    assert shown["input"] == INPUT
    assert [(step["id"], step["item"], step["attempt"]) for step in shown["steps"]] == [("enrich", None, 0)]
    assert events
    assert {"at", "type", "step", "item", "attempt", "worker", "detail"} == set(events[0])


def test_pages_of_runs_are_newest_first_and_complete(api):
    started = [api.post(START, {"input": INPUT}).json()["id"] for _ in range(5)]

    seen, cursor = [], None
    while True:
        page = api.get("/runs", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == started[::-1]


def test_the_filters_narrow_the_list(api):
    wanted = api.post(START, {"input": INPUT, "business_key": "INC 7", "lane": "bulk"}).json()
    api.post(START, {"input": INPUT})

    def found(**query):
        return [run["id"] for run in api.get("/runs", **query).json()["items"]]

    assert found(business_key="INC 7") == found(lane="bulk") == [wanted["id"]]
    assert len(found(workflow="look-up")) == 2
    assert found(workflow="nobody") == found(created_after="2999-01-01T00:00:00Z") == found(status="FAILED") == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"status": "DONE"}, "status"),
        ({"lane": "fast"}, "lane"),
        ({"limit": "0"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_after": "0001-01-01T00:00:00+14:00"}, "created_after"),
        ({"business_key": "\x00"}, "business_key"),
        ({"cursor": "made-up"}, "cursor"),
        ({"cursor": "\x00"}, "cursor"),
        ({"staus": "FAILED"}, "staus"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(api, query, path):
    answer = api.get("/runs", **query)

    assert (answer.status_code, paths(answer)) == (400, {path})


@pytest.mark.parametrize("tail", ["", "/events"])
def test_a_run_that_is_not_there_is_404(api, tail):
    assert api.get(f"/runs/{uuid.uuid4()}{tail}").json()["code"] == "unknown-run"
    assert api.get(f"/runs/not-an-id{tail}").json()["code"] == "not-found"


# --- changing ---------------------------------------------------------------------------------------------


def test_a_cancelled_run_stays_cancelled(api):
    run = api.post(START, {"input": INPUT}).json()["id"]

    cancelled = api.post(f"/runs/{run}/cancel", {"reason": "a drill"})
    again = api.post(f"/runs/{run}/cancel")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert (again.status_code, again.json()["code"]) == (409, "run-already-ended")


def test_a_cancelled_run_is_run_again_as_a_new_one(api):
    run = api.post(START, {"input": INPUT, "business_key": "INC-7"}).json()["id"]
    assert api.post(f"/runs/{run}/retry").json()["code"] == "run-not-ended"
    api.post(f"/runs/{run}/cancel")

    answer = api.post(f"/runs/{run}/retry")

    assert answer.status_code == 202
    assert answer.json()["id"] != run
    assert answer.json()["business_key"] == "INC-7"
    assert api.get(f"/runs/{answer.json()['id']}").json()["input"] == INPUT


def test_only_an_unknown_step_can_be_resolved(api):
    run = api.post(START, {"input": INPUT}).json()["id"]

    known = api.post(f"/runs/{run}/steps/enrich/resolve", {"outcome": "succeeded", "output": {}})
    wrong = api.post(f"/runs/{run}/steps/enrich/resolve", {"outcome": "perhaps", "item": -1})

    assert (known.status_code, known.json()["code"]) == (409, "step-not-unknown")
    assert (wrong.status_code, paths(wrong)) == (422, {"outcome", "item"})


@pytest.mark.parametrize("operation", ["cancel", "retry", "steps/a/resolve"])
def test_changing_a_run_that_is_not_there_is_404(api, operation):
    body = {"outcome": "failed"} if "resolve" in operation else None

    assert api.post(f"/runs/{uuid.uuid4()}/{operation}", body).json()["code"] == "unknown-run"
