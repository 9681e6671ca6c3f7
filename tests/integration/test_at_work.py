"""What runs where, and which steps wait for a person: over the API and as `erip` shows them."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from django.db import connection, connections

from erip.foundation.process import draining
from erip_client.cli.app import run as erip
from tests.definitions import one_step, publish
from tests.support.api import Api, key
from tests.support.server import serving
from workflows import engine, store
from workflows.core import machine
from workflows.events.streaming import listening
from workflows.models import StepRun, Worker, WorkflowRun
from workflows.store import Report

pytestmark = pytest.mark.django_db(transaction=True)

ITEMS = """
name: many
steps:
  each: {uses: sample.block_once, foreach: "${{ input.items }}", with: {}}
"""


def started(*keys: str) -> list[str]:
    publish(one_step("sample.block_once"))
    requests = [engine.StartRequest({}, business_key) for business_key in keys]
    return [run.id for run in engine.start_runs("one", requests, principal="t")]


def claimed(runs: list[str], name: str = "wally") -> list[store.Claim]:
    worker = store.register_worker(name, "here", 7, ["standard"])
    return list(store.claim(runs, worker_id=worker, lanes=["standard"]))


def unknown(*keys: str) -> list[str]:
    runs = started(*keys)
    for claim in claimed(runs):
        engine.report([Report(claim.run_id, machine.StepLost(claim.step, claim.attempt, 5))])
    return runs


@pytest.fixture
def api() -> Api:
    return Api(key())


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving() as url:
        monkeypatch.setenv("ERIP_API_KEY", key())
        yield url
    draining.forget()
    listening.forget()
    connections.close_all()


def test_each_worker_says_what_it_runs_and_one_that_stopped_is_left_out(api: Api) -> None:
    runs = started("A-1", "A-2")
    claimed(runs)
    store.stop_worker(store.register_worker("gone", "here", 8, ["standard"]))
    store.register_worker("idle", "here", 9, [])
    idle, wally = api.get("/workers").json()["items"]
    assert (idle["name"], idle["running"], idle["steps"], idle["lanes"]) == ("idle", 0, [], [])
    assert (wally["name"], wally["alive"], wally["running"], wally["lanes"]) == ("wally", True, 2, ["standard"])
    assert {(one["run"], one["business_key"], one["step"], one["item"]) for one in wally["steps"]} == {
        (runs[0], "A-1", "only", None), (runs[1], "A-2", "only", None),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_worker SET heartbeat_at = now() - interval '1 h'")
    assert not any(one["alive"] for one in api.get("/workers").json()["items"])


def test_a_worker_with_many_steps_names_the_oldest_and_counts_all(api: Api) -> None:
    claimed(started(*(f"A-{number}" for number in range(25))))
    (wally,) = api.get("/workers").json()["items"]
    assert (wally["running"], len(wally["steps"])) == (25, 20)


def test_unknown_steps_are_listed_page_by_page_and_found_by_key(api: Api) -> None:
    runs = unknown("A-1", "A-2", "A-3")
    started("A-4")
    seen, cursor = [], ""
    for _ in range(3):
        page = api.get(f"/steps/unknown?limit=1{cursor}").json()
        seen += [one["run"] for one in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(runs)
    assert page["next_cursor"] is None
    (found,) = api.get("/steps/unknown?workflow=one&business_key=A-2").json()["items"]
    assert (found["run"], found["step"], found["uses"]) == (runs[1], "only", "sample.block_once")
    assert (found["worker"], found["run_status"]) == ("wally", WorkflowRun.objects.get(pk=runs[1]).state)
    for path in ("?business_key=A", "?workflow=on", "?business_key=A-4"):
        assert api.get(f"/steps/unknown{path}").json()["items"] == []
    for cursor in ("x", f"{runs[0]} only 9999999999", f"{runs[0]} ONLY 1", f"{runs[0]} only -2"):
        assert api.get(f"/steps/unknown?{urlencode({'cursor': cursor})}").status_code == 400


def test_the_list_is_read_from_its_own_index() -> None:
    unknown("A-1")
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT count(*) FROM workflows_steprun WHERE state = 'UNKNOWN'")
        plan = " ".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "step_unknown" in plan


def test_the_program_answers_by_key_and_asks_which_where_there_are_several(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown("A-1", "A-2", "A-2")

    def says(*words: str, status: int = 0) -> str:
        assert erip([*words, "--url", program]) == status
        said = capsys.readouterr()
        return said.out + said.err

    listed = says("resolve")
    assert listed.count("A-2") == 2
    assert "erip resolve" in listed
    assert "wally" in says("workers")
    assert "is UNKNOWN. Say which: erip resolve" in says("resolve", "one", "only", "failed", "--key", "A-2", status=7)
    assert "No step other" in says("resolve", "one", "other", "failed", "--key", "A-1", status=3)
    assert "FAILED" in says("resolve", "one", "only", "failed", "--key", "A-1")
    assert "No step only" in says("resolve", "one", "only", "failed", "--key", "A-1", status=3)
    says("resolve", "one", "--key", "A-1", status=2)
    StepRun.objects.filter(state="UNKNOWN").delete()
    assert "No step waits" in says("resolve")
    Worker.objects.update(stopped_at="2026-01-01T00:00:00Z")
    assert "no worker" in says("workers")
