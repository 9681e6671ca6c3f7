"""What another decision table would have said: planted differences are found, all of them and no others, and nothing is
written."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from erip.access.scopes import Scope
from erip.audit.commands import audited
from tests.definitions import publish
from tests.support.api import Api, key
from workflows import engine
from workflows.decisions import stored
from workflows.models import WorkflowRun
from workflows.replay import what_if as looking
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

TABLE: dict[str, Any] = {
    "inputs": [{"name": "loss", "type": "number"}],
    "outputs": [{"name": "level", "type": "string"}],
    "hit_policy": "FIRST",
    "rules": [
        {"when": {"loss": ">= 1000"}, "then": {"level": '"board"'}},
        {"when": {"loss": "< 1000"}, "then": {"level": '"team"'}},
    ],
}
#: it differs for a loss from 990 to 999 alone
OTHER = {
    **TABLE,
    "rules": [
        {"when": {"loss": ">= 990"}, "then": {"level": '"board"'}},
        {"when": {"loss": "< 990"}, "then": {"level": '"team"'}},
    ],
}
DECIDES = """
name: decides
steps: {level: {decision: levels, input: {loss: "${{ input.loss }}"}}}
output: ${{ steps.level.output.result }}
"""
MANY = 1_000
PLANTED = 10


def counts() -> dict[str, int]:
    # The audit log is left out: what earlier tests were refused is written there a little later.
    counted = [model for model in apps.get_models() if model._meta.managed and model._meta.label != "audit.Entry"]
    return {model._meta.db_table: model._default_manager.count() for model in counted}


def decided(losses: list[int]) -> list[str]:
    """Runs that ended, as workers would have left them: written straight into the tables."""
    requests = [engine.StartRequest({"loss": loss}) for loss in losses]
    ids = [run.id for run in engine.start_runs("decides", requests, principal="test", many=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_steprun SET state = 'SUCCEEDED', finished_at = clock_timestamp(),
            output = jsonb_build_object(
                'table', 'levels', 'version', 1, 'rules', '["x"]'::jsonb,
                'result', CASE WHEN (input->'facts'->>'loss')::int >= 1000 THEN 'board' ELSE 'team' END)
            WHERE run_id = ANY(%s::uuid[])
            """,
            [ids],
        )
        cursor.execute(
            "UPDATE workflows_workflowrun SET state = 'SUCCEEDED', finished_at = clock_timestamp()"
            " WHERE id = ANY(%s::uuid[])",
            [ids],
        )
    return ids


@pytest.fixture
def api() -> Api:
    stored.publish("levels", TABLE, author="test")
    publish(DECIDES)
    return Api(key(Scope.VIEWER))


def asked(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.post("/decisions/levels/what-if", {"table": OTHER, **body})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_of_thousands_of_runs_the_planted_ones_are_found_and_nothing_is_written(api: Api) -> None:
    losses = [(at * 7919) % 990 if at % 2 else 1000 + at for at in range(MANY)]
    for at in range(PLANTED):
        losses[at * 97] = 990 + at % 10
    ids = decided(losses)
    before = counts()

    found: list[dict[str, Any]] = []
    page = asked(api, limit=400)
    compared = page["compared"]
    found += page["items"]
    while page["next_cursor"]:
        page = asked(api, limit=400, cursor=page["next_cursor"])
        compared += page["compared"]
        found += page["items"]

    assert compared == MANY
    assert [one["run_id"] for one in found] == sorted(ids[at] for at in range(MANY) if 990 <= losses[at] < 1000)
    assert len(found) == PLANTED
    assert {(one["before"]["result"], one["after"]["result"], one["decided"]) for one in found} == {
        ("team", "board", True)
    }
    assert counts() == before


def test_a_page_ends_by_its_time_after_one_run_and_no_run_is_on_two(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "SECONDS", -1.0)
    ids = decided([995, 5, 996, 7, 997])
    named, cursors, cursor = [], [], None
    for _ in range(20):
        page = asked(api, **({"cursor": cursor} if cursor else {}))
        assert page["compared"] <= 1
        named += [one["run_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        cursors.append(cursor)
    assert named == sorted(ids[::2]), "runs of one moment have no other order"
    assert len(cursors) == len({*cursors}) == len(ids)


def test_runs_that_are_open_are_named_with_what_they_would_get_or_that_it_is_not_known(
    api: Api, executor: Executor
) -> None:
    publish(
        "name: waits\nsteps:\n"
        "  first: {decision: levels, input: {loss: '${{ input.loss }}'}}\n"
        "  ask: {needs: [first], wait: {signal: go}}\n"
        "  second: {needs: [ask], decision: levels, input: {loss: '${{ input.loss }}'}}\n"
        "  third: {needs: [ask], decision: levels, input: {loss: '${{ steps.ask.output.payload }}'}}\n"
        "  fixed: {needs: [ask], decision: levels@1, input: {loss: '${{ input.loss }}'}}\n"
    )
    requests = [engine.StartRequest({"loss": loss}, f"case-{loss}") for loss in (5, 995)]
    near, planted = [engine.start_runs("waits", [one], principal="test")[0].id for one in requests]
    executor.execute([near, planted])
    decided([995])

    page = asked(api, against="waiting")
    assert (page["compared"], page["different"], page["unknown"]) == (4, 2, 2)
    told = {(one["run_id"], one["step"]): one for one in page["items"]}
    assert told.keys() == {(planted, "first"), (planted, "second"), (near, "third"), (planted, "third")}
    assert [told[planted, step]["decided"] for step in ("first", "second", "third")] == [True, False, False]
    assert told[planted, "second"]["before"] == {"version": 1, "result": "team", "rules": ["2"], "fault": None}
    assert told[planted, "second"]["after"] == {"version": None, "result": "board", "rules": ["1"], "fault": None}
    assert told[planted, "second"]["business_key"] == "case-995"
    assert told[planted, "third"]["after"] is None
    assert asked(api, against="past")["different"] == 1
    assert asked(api, against="all")["different"] == 3


def test_an_open_run_costs_one_query(api: Api, executor: Executor) -> None:
    publish(
        "name: waits\nsteps:\n"
        "  ask: {wait: {signal: go}}\n"
        "  second: {needs: [ask], decision: levels, input: {loss: '${{ input.loss }}'}}\n"
    )

    def queries() -> int:
        since = datetime.now(UTC) - timedelta(days=1)
        with CaptureQueriesContext(connection) as asked_for:
            page = looking.what_if("levels", stored.check(OTHER), against=looking.Against.WAITING, since=since)
        assert (page.compared, page.different) == (len(runs), len(runs))
        return len(asked_for)

    start = partial(engine.start_runs, "waits", principal="test", many=True)
    runs = [run.id for run in start([engine.StartRequest({"loss": 995})])]
    executor.execute(runs)
    queries()  # graphs are read once
    one = queries()
    more = [run.id for run in start([engine.StartRequest({"loss": 996}) for _ in range(4)])]
    executor.execute(more)
    runs += more
    assert queries() == one + 4


def test_the_request_of_the_page_is_answered(api: Api) -> None:
    page = Path("docs/how-to/decision-tables.md").read_text("utf-8")
    body = re.search(r"^POST /api/v1/decisions/approval/what-if\n(.*?)\n```", page, re.MULTILINE)
    assert body is not None
    assert api.post("/decisions/levels/what-if", body[1].encode()).json()["next_cursor"] is None


def test_a_table_that_says_nothing_is_a_difference_and_not_null(api: Api, executor: Executor) -> None:
    nothing = {**TABLE, "rules": TABLE["rules"][:1]}
    ids = decided([5, 5000])
    item = asked(api, table=nothing)["items"]
    assert [(one["run_id"], one["after"]["fault"] is None) for one in item] == [(ids[0], False)]
    # The other way round: what failed would have been decided.
    stored.publish("levels", nothing, author="test")
    run = engine.start_runs("decides", [engine.StartRequest({"loss": 7})], principal="test")[0].id
    executor.execute([run])
    assert WorkflowRun.objects.get(pk=run).state == "FAILED"
    told = {one["run_id"]: one for one in asked(api)["items"]}
    assert told[run]["before"]["fault"]
    assert told[run]["after"]["result"] == "team"
    # A version in place of a table.
    answer = api.post("/decisions/levels/what-if", {"version": 1}).json()
    assert [one["run_id"] for one in answer["items"]] == [run]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({}, 422, None), ({"table": OTHER, "version": 1}, 422, None), ({"table": {}}, 422, "inputs"),
        ({"version": 9}, 404, None), ({"table": OTHER, "cursor": "x"}, 422, "cursor"),
        ({"table": OTHER, "cursor": "9:0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"}, 422, "cursor"),
        ({"table": OTHER, "against": "future"}, 422, "against"), ({"table": OTHER, "limit": 10_001}, 422, "limit"),
        ({"table": OTHER, "since": "0001-01-01T00:00:00Z"}, 200, None),
        ({"table": OTHER, "since": "9999-12-31T23:59:59Z"}, 200, None),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_refused(api: Api, body: Any, status: int, path: str | None) -> None:
    answer = api.post("/decisions/levels/what-if", body)
    assert answer.status_code == status, answer.content
    if path:
        assert path in {one["path"] for one in answer.json()["faults"]}
    assert api.post("/decisions/none/what-if", {"table": OTHER}).status_code == 404


def test_the_database_refuses_a_write_while_runs_are_compared(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    decided([995])
    before = looking.plain

    def writes(value: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE workflows_workflowrun SET lane = 'bulk'")
        return before(value)

    monkeypatch.setattr(looking, "plain", writes)
    since = datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(DatabaseError, match="read-only transaction"):
        looking.what_if("levels", stored.check(OTHER), against=looking.Against.PAST, since=since)


def test_the_command_names_each_difference_and_counts_them(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = decided([5, 995, 5000])
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(OTHER))
    with pytest.raises(SystemExit, match="1"):
        call_command("decisions", "what-if", str(tmp_path / "new.yaml"), "--name", "levels")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f'decides {ids[1]} (SUCCEEDED) level: "team" -> "board"')
    assert lines[1:] == ["3 decisions compared, 1 of them would be others; of 0 the facts are not known yet"]
    (tmp_path / "same.json").write_bytes(orjson.dumps(TABLE))
    # Through the door of manage.py, which writes what was done into the audit log: not in the transaction that reads.
    with audited(["manage.py", "decisions", "what-if"]):
        call_command("decisions", "what-if", str(tmp_path / "same.json"), "--name", "levels")
    assert "3 decisions compared, 0 of them" in capsys.readouterr().out
    call_command("decisions", "what-if", str(tmp_path / "same.json"), "--name", "levels", "--json")
    assert json.loads(capsys.readouterr().out) == {"compared": 3, "different": 0, "unknown": 0}
    with pytest.raises(CommandError, match="no decision table"):
        call_command("decisions", "what-if", str(tmp_path / "same.json"))
