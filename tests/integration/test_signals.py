"""Signals by workflow and business key, with an answer that says what the run did of it, and from the admin."""

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connections

from erip.access.scopes import Scope
from tests.definitions import publish
from tests.support.api import Api, key
from workflows import engine, errors
from workflows.models import RunSignal, StepRun, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

CASE = """
name: case
steps:
  hold: {wait: {signal: evidence, schema: {type: object, required: [file]}}}
output: ${{ steps.hold.output.payload.file }}
"""


@pytest.fixture
def api() -> Api:
    publish(CASE)
    return Api(key(Scope.OPERATOR))


def start(business_key: str | None = "B-17") -> str:
    return engine.start_runs("case", [engine.StartRequest({}, business_key)], principal="t")[0].id


def test_a_signal_finds_the_run_of_its_business_key(api: Api) -> None:
    other, run_id = start("B-16"), start()
    body = {"business_key": "B-17", "payload": {"file": "a.pdf"}}
    answer = api.post("/workflows/case/signals/evidence", body)
    assert (answer.status_code, answer.json()) == (200, {"id": run_id, "status": "given", "step": "hold", "run": None})
    assert WorkflowRun.objects.get(pk=run_id).output == "a.pdf"
    assert WorkflowRun.objects.get(pk=other).state == "WAITING"
    again = api.post("/workflows/case/signals/evidence", body)
    assert (again.status_code, again.json()["code"]) == (404, "unknown-run"), "it has ended"


def test_one_of_several_is_never_guessed(api: Api) -> None:
    runs = {start(), start()}
    answer = api.post("/workflows/case/signals/evidence", {"business_key": "B-17", "payload": {"file": 1}})
    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous-run")
    assert all(run in answer.json()["detail"] for run in runs)
    assert RunSignal.objects.count() == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/workflows/none/signals/evidence", {"business_key": "B-17"}, 404),
        ("/workflows/case/signals/evidence", {"business_key": "B-18"}, 404),
        ("/workflows/case/signals/evidence", {}, 422),
        ("/workflows/case/signals/evidence", {"business_key": ""}, 422),
        ("/workflows/case/signals/evidence", {"business_key": "\u0000"}, 422),
        ("/workflows/case/signals/evidence", {"business_key": ["B-17"]}, 422),
        ("/workflows/case/signals/evidence", {"business_key": "B-17", "payload": {}}, 422),
        ("/workflows/case/signals/other", {"business_key": "B-17"}, 422),
        ("/workflows/case/signals/Evidence", {"business_key": "B-17"}, 404),
    ],
)
def test_what_does_not_fit_is_refused(api: Api, path: str, body: Any, status: int) -> None:
    start()
    answer = api.post(path, body)
    assert answer.status_code == status, answer.content
    assert Api(key(Scope.VIEWER)).post(path, body).status_code == (403 if "Evidence" not in path else 404)


def test_the_answer_says_what_the_run_did_of_it(api: Api) -> None:
    run_id = start()
    told = api.post(f"/runs/{run_id}/signals/evidence", {"payload": {"file": "a.pdf"}}, Prefer="wait=5")
    assert told.headers["Preference-Applied"] == "wait"
    assert (told.json()["step"], told.json()["run"]["status"], told.json()["run"]["output"]) == (
        "hold",
        "SUCCEEDED",
        "a.pdf",
    )
    publish("name: long\nsteps: {one: {wait: {signal: a}}, two: {needs: [one], wait: {signal: b}}}")
    long = engine.start_runs("long", [engine.StartRequest({}, "L-1")], principal="t")[0].id
    told = api.post("/workflows/long/signals/a", {"business_key": "L-1", "payload": 1}, Prefer="wait=1")
    assert told.json()["run"]["status"] == "WAITING"
    assert [step["status"] for step in told.json()["run"]["steps"]] == ["SUCCEEDED", "WAITING"]
    assert WorkflowRun.objects.get(pk=long).notify


def test_the_same_key_sends_it_once(api: Api) -> None:
    start()
    body = {"business_key": "B-17", "payload": {"file": "a.pdf"}}
    first = api.post("/workflows/case/signals/evidence", body, Idempotency_Key="k1")
    second = api.post("/workflows/case/signals/evidence", body, Idempotency_Key="k1")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()


def test_many_at_once_are_each_given_once_or_refused(api: Api) -> None:
    publish("name: many\nsteps: {a: {wait: {signal: go}}, b: {wait: {signal: go}}, c: {wait: {signal: go}}}")
    run_id = engine.start_runs("many", [engine.StartRequest({}, "M-1")], principal="t")[0].id
    barrier, told, lock = threading.Barrier(8), [], threading.Lock()

    def send(number: int) -> None:
        barrier.wait(timeout=20)
        try:
            answer = str(engine.signal_by_key("many", "M-1", "go", number, principal="t")[1].step)
        except (errors.SignalNotWanted, errors.RunAlreadyEnded, errors.UnknownRun):
            answer = "refused"
        finally:
            connections.close_all()
        with lock:
            told.append(answer)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert Counter(told) == {"a": 1, "b": 1, "c": 1, "refused": 5}
    assert set(StepRun.objects.filter(run_id=run_id).values_list("state", flat=True)) == {"SUCCEEDED"}


def test_from_the_admin(api: Api, admin_client: Any) -> None:
    run_id = start()
    address = f"/admin/workflows/workflowrun/{run_id}"
    assert "Send a signal" in admin_client.get(f"{address}/change/").content.decode()
    form = {"_form_submitted": "on", "signal": "evidence"}
    admin_client.post(f"{address}/signal/", {**form, "payload": "{not json"})
    assert WorkflowRun.objects.get(pk=run_id).state == "WAITING"
    admin_client.post(f"{address}/signal/", {**form, "payload": '{"file": "b.pdf"}'})
    assert WorkflowRun.objects.get(pk=run_id).output == "b.pdf"
