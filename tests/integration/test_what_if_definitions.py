"""What another definition would have made of runs, by REST: planted differences are found, and nothing is written."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from erip.access.scopes import Scope
from tests.definitions import publish
from tests.integration.test_replay_definitions import pays
from tests.integration.test_what_if import counts
from tests.support.api import Api, key
from workflows import engine
from workflows.models import WorkflowRun
from workflows.replay import stored as stored_runs
from workflows.replay import what_if_definition as looking
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

LOSSES = [*range(0, 2000, 200), 1500, 1999]


@pytest.fixture
def api() -> Api:
    publish(pays(1000))
    return Api(key(Scope.VIEWER))


@pytest.fixture
def runs(executor: Executor, api: Api) -> dict[int, str]:
    """Ended ones by their loss, and by -1 one of a loss of 1500 that waits."""
    given = [{"loss": loss, "waits": False} for loss in LOSSES] + [{"loss": 1500, "waits": True}]
    started = engine.start_runs("pays", [engine.StartRequest(one) for one in given], principal="test", many=True)
    ids = [one.id for one in started]
    from tests.workers import until

    def over() -> bool:
        executor.execute(ids)
        return WorkflowRun.objects.filter(finished_at=None).count() == 1

    until(over, seconds=120)
    return dict(zip([*LOSSES, -1], ids, strict=True))


def asked(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.post("/workflows/pays/what-if", body)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def every(api: Api, **body: Any) -> tuple[int, list[dict[str, Any]]]:
    compared, items, cursor = 0, [], None
    while True:
        page = asked(api, **body, **({"cursor": cursor} if cursor else {}))
        compared, items, cursor = compared + page["compared"], [*items, *page["items"]], page["next_cursor"]
        if cursor is None:
            return compared, items


def test_just_the_runs_that_would_be_others_are_named_and_nothing_is_written(api: Api, runs: dict[int, str]) -> None:
    before = counts()
    compared, items = every(api, source=pays(1600), limit=5)
    assert compared == len(LOSSES)
    assert {one["run_id"] for one in items} == {runs[loss] for loss in LOSSES if 1000 <= loss < 1600}
    for one in items:
        told = {each["path"]: (each["stored"], each["then"]) for each in one["differences"]}
        assert told["steps.board.state"] == ("SUCCEEDED", "SKIPPED")
        assert (one["open"], one["unknown"], one["ends"], one["more"]) == (False, [], "SUCCEEDED", 0)
    assert counts() == before


def test_waiting_names_the_open_ones_alone(api: Api, runs: dict[int, str]) -> None:
    compared, items = every(api, definition=json.loads(json.dumps(document(1600))), against="waiting")
    assert (compared, [one["run_id"] for one in items], items[0]["open"]) == (1, [runs[-1]], True)
    assert every(api, source=pays(1600), against="all")[0] == len(LOSSES) + 1


def test_what_is_not_known_is_said_and_the_same_definition_changes_nothing(api: Api, runs: dict[int, str]) -> None:
    compared, items = every(api, source=pays(800))
    assert {one["run_id"] for one in items} == {runs[800]}
    assert items[0]["unknown"][0].startswith("steps.board: it would have begun")
    assert items[0]["ends"] in (None, "SUCCEEDED")
    assert every(api, version=1) == (compared, [])
    publish(pays(1600))
    assert len(every(api, version=2)[1]) == sum(1000 <= loss < 1600 for loss in LOSSES)


def test_a_page_ends_by_its_time_and_goes_on_where_it_ended(
    api: Api, runs: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "SECONDS", 0.0)
    page = asked(api, source=pays(1600))
    assert (page["compared"], page["next_cursor"] is None) == (1, False)
    assert every(api, source=pays(1600))[0] == len(LOSSES)


PLANTED = {loss for loss in LOSSES if 1000 <= loss < 1600}


def test_a_run_that_would_take_too_long_is_named_and_the_others_are_compared(
    api: Api, runs: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = runs[1200]
    before = looking.by_definition

    def decided(run: Any, *graphs: Any, **more: Any) -> Any:
        if run.view.id == slow:
            more["between"] = looking.Patience(-1.0).check
        return before(run, *graphs, **more)

    monkeypatch.setattr(looking, "by_definition", decided)
    compared, items = every(api, source=pays(1600))
    assert compared == len(LOSSES)
    told = {one["run_id"]: one for one in items}
    assert {runs[loss] for loss in PLANTED} == told.keys()
    assert (told[slow]["differences"], told[slow]["ends"]) == ([], None)
    assert "takes longer than" in told[slow]["unknown"][0]
    assert all(one["differences"] for id_, one in told.items() if id_ != slow)


@pytest.mark.parametrize("most", [0, 9, 25])
def test_runs_that_are_large_are_named_and_none_is_left_out_or_looked_at_twice(
    api: Api, runs: dict[int, str], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """0: each is too large; 9: some are; 25: a few are in memory at once."""
    monkeypatch.setattr(stored_runs, "ROWS", most)
    compared, items = every(api, source=pays(1600), limit=5)
    assert compared == len(LOSSES)
    large = {one["run_id"] for one in items if any("steps, items and events" in why for why in one["unknown"])}
    named = [one["run_id"] for one in items]
    assert len(named) == len({*named})
    assert {*named} - large == {runs[loss] for loss in PLANTED} - large
    assert len(large) == {0: len(LOSSES), 25: 0}.get(most, len(large))
    assert {one["ends"] for one in items if one["run_id"] in large} <= {None}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "one of"),
        ({"source": "x", "version": 1}, 422, "one of"),
        ({"source": "name: pays\nsteps: {a: {uses: nothing.there}}\n"}, 422, "steps.a.uses"),
        ({"source": "name: other\nsteps: {a: {wait: {for: 1s}}}\n"}, 422, "name-mismatch"),
        ({"definition": []}, 422, "definition"),
        ({"version": 9}, 404, "version"),
        ({"version": 1, "cursor": "7:x"}, 422, "cursor"),
        ({"version": 1, "cursor": "1:x"}, 422, "cursor"),
        ({"version": 1, "against": "future"}, 422, "against"),
        ({"version": 1, "limit": 0}, 422, "limit"),
        ({"version": 1, "more": 1}, 422, "more"),
    ],
)
def test_what_is_wrong_is_said(api: Api, body: dict[str, Any], status: int, said: str) -> None:
    answer = api.post("/workflows/pays/what-if", body)
    assert answer.status_code == status, answer.content
    assert said in answer.content.decode()


def test_a_workflow_that_is_not_there_is_not_found(api: Api) -> None:
    for body in ({"version": 1}, {"source": pays(1)}):
        assert api.post("/workflows/nothing/what-if", body).status_code == 404


def test_the_example_of_the_page_is_one(api: Api, runs: dict[int, str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "operations.md").read_text("utf-8")
    found = re.search(r"^POST /api/v1/workflows/breach-response/what-if\n(.*?)\n```", page, re.M | re.S)
    assert found
    body = json.loads(found[1])
    assert asked(api, **{**body, "version": 1})["items"] == []


def document(limit: int) -> dict[str, Any]:
    from workflows.core.definition import parse

    return parse(pays(limit), "yaml")


def test_what_is_measured_is_what_is_read_and_not_what_is_stored(
    api: Api, runs: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of one letter is stored in a hundredth of its size."""
    monkeypatch.setattr(stored_runs, "BYTES", 200_000)
    changes = {
        "workflows_workflowrun SET output = %s WHERE id": runs[1200],
        "workflows_steprun SET output = %s WHERE run_id": runs[1000],
    }
    with connection.cursor() as cursor:
        for change, run in changes.items():
            cursor.execute(f"UPDATE {change} = %s", [json.dumps("a" * 1_000_000), run])
        cursor.execute("SELECT pg_column_size(output) FROM workflows_workflowrun WHERE id = %s", [runs[1200]])
        assert cursor.fetchone()[0] < 100_000
    compared, items = every(api, source=pays(1600))
    assert compared == len(LOSSES)
    large = {one["run_id"] for one in items if any("steps, items and events" in why for why in one["unknown"])}
    assert large == {*changes.values()}
