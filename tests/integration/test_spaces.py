"""Spaces: who has a role in one space reaches nothing of another one, and does not learn what exists there.

`ERIP_SPACES_REQUESTS=10000 make test PYTEST_ARGS=tests/integration/test_spaces.py` asks for ten thousand.
"""

import os
import re
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erip.access import granting, keys
from erip.access.catalog import APPROVER, OPERATOR, PLATFORM_ADMIN, VIEWER
from erip.access.models import Space
from erip.access.scopes import Scope
from schedules import stored as schedules
from tests.integration.test_doors import MARKED, VALUES, Door
from tests.support.api import DEFINITION, INPUT, Api, key
from workflows import engine
from workflows.engine.spaces import move
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db
REQUESTS = int(os.environ.get("ERIP_SPACES_REQUESTS", "200"))
MINE, THEIRS, NOBODYS = "mine-flow", "their-flow", "free-flow"


@pytest.fixture(autouse=True)
def _cold() -> None:
    keys.forget_cached()


class World:
    """Two spaces with the same in each, and something in none."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        for name, space in ((MINE, "mine"), (THEIRS, "theirs"), (NOBODYS, "")):
            engine.publish(None, DEFINITION.replace("look-up", name, 1), "yaml", author="test")
            if space:
                Space.objects.create(name=space)
                move(name, space)
            started = engine.start_runs(name, [engine.StartRequest(INPUT, f"key-of-{name}")], principal="test")
            self.runs[name] = started[0].id
            hourly = {"workflow": name, "input": INPUT, "every": "1h", "catch_up": "none", "overlap": "allow"}
            schedules.put(name, document=hourly, author="test")

    def state(self) -> list[Any]:
        """What must not change, of everything that is not mine."""
        others = WorkflowRun.objects.exclude(workflow=MINE).order_by("id")
        return list(others.values_list("id", "state", "seq")) + [
            schedules.history(name)[0].number for name in (THEIRS, NOBODYS)
        ]


def caller(*roles: str, space: str = "mine") -> Api:
    made = keys.create(name=f"of {space} {uuid4()}", scope="")
    for role in roles:
        granting.grant(role, f"key:{made.row.name}", space=space, by="test")
    return Api(made.token)


def test_a_role_in_a_space_opens_what_is_there() -> None:
    world, api = World(), caller("author")

    assert api.post(f"/workflows/{MINE}/runs", {"input": INPUT}).status_code == 202
    assert api.post("/runs/bulk", {"workflow": MINE, "inputs": [INPUT]}).status_code == 202
    assert api.get(f"/runs/{world.runs[MINE]}").status_code == 200
    assert api.get(f"/workflows/{MINE}/versions/1").status_code == 200
    assert api.get(f"/schedules/{MINE}").status_code == 200
    assert api.post(f"/runs/{world.runs[MINE]}/cancel").status_code == 200
    assert {each["workflow"] for each in api.get("/runs").json()["items"]} == {MINE}
    assert [each["name"] for each in api.get("/workflows").json()["items"]] == [MINE]
    changed = DEFINITION.replace("look-up", MINE, 1).replace("lane: high", "lane: bulk")
    put = api.send("PUT", f"/workflows/{MINE}", changed.encode(), Content_Type="application/yaml")
    assert put.status_code == 201
    # What belongs to no single workflow is for those who have it on everything.
    assert [api.get(path).status_code for path in ("/health", "/events", "/batches")] == [403] * 3


def test_each_role_opens_in_its_space_what_it_opens_on_everything_of_what_is_about_one_object() -> None:
    world = World()
    about = [door for door in MARKED if ":" in getattr(getattr(door.view, door.method), "about", "")]
    assert len(about) > 25
    for role in (VIEWER, OPERATOR, APPROVER, PLATFORM_ADMIN):
        here, everywhere, nowhere = caller(role), caller(role, space=""), caller()
        for door in about:
            path = address(door, MINE, world.runs[MINE])
            codes = [ask(api, door, path, b"{]")[0] == 403 for api in (here, everywhere, nowhere)]
            assert codes == [codes[1], codes[1], True], (role, str(door))


def address(door: Door, name: str, run: str) -> str:
    """The address of a door, about the workflow or schedule of this name, or this run."""
    values = {**VALUES, "workflow": name, "schedule": name, "id": run}
    return re.sub(r"<([^:>]+):[^>]+>", lambda found: values[found[1]], "/" + door.route)


def ask(api: Api, door: Door, path: str, body: bytes, query: str = "") -> tuple[int, str]:
    client: Client = api.client
    answer = client.generic(
        door.method.upper(), path + query, body, content_type="application/json", headers=api.headers
    )
    return answer.status_code, "" if answer.streaming else answer.content.decode()


def bodies(run: str) -> st.SearchStrategy[bytes]:
    name = st.sampled_from([THEIRS, NOBODYS, MINE, "no-flow"])
    one = st.one_of(
        st.just({}),
        st.builds(lambda each: {"workflow": each, "inputs": [INPUT]}, name),
        st.builds(lambda each: {"filter": {"workflow": each}, "expected_count": 1}, name),
        st.builds(lambda each: {"filter": {"workflow": each}, "dry_run": True}, name),
        st.just({"filter": {"ids": [run]}, "expected_count": 1}),
        st.just({"input": INPUT}),
        st.just({"reason": "because", "clock": "stop"}),
        st.just({"outcome": "failed"}),
        st.builds(lambda each: {"business_key": f"key-of-{each}", "payload": 1}, name),
    )
    return one.map(orjson.dumps)


def test_nothing_of_another_space_is_answered() -> None:
    """With everything in their own space, and any request: no other object is shown or changed, and one that exists
    elsewhere is answered like one that exists nowhere."""
    world, api = World(), caller("platform-admin")
    nowhere = "01a00000-0000-7000-8000-000000000000"
    queries = st.sampled_from(
        ["", "?limit=200", f"?workflow={THEIRS}", f"?business_key=key-of-{THEIRS}", "?status=PENDING", "?wait=1"]
    )
    doors = st.sampled_from([door for door in MARKED if not door.route.endswith("events/stream")])
    before = world.state()
    answered: dict[int, int] = {}

    @settings(
        max_examples=REQUESTS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(doors, st.sampled_from([THEIRS, NOBODYS]), st.data())
    def requests(door: Door, name: str, data: st.DataObject) -> None:
        run = world.runs[name]
        body, query = data.draw(bodies(run)), data.draw(queries) if door.method == "get" else ""
        path, absent = address(door, name, run), address(door, "no-flow", nowhere)
        code, text = ask(api, door, path, body, query)
        answered[code] = answered.get(code, 0) + 1
        if path != absent:
            assert code in (403, 404), (str(door), code, text)
            # Which of the two, and in which words, does not depend on whether it exists.
            other, said = ask(api, door, absent, body, query)
            assert (code, text.replace(run, nowhere).replace(name, "no-flow")) == (other, said)
        else:
            assert code < 500
            assert run not in text
            assert f"key-of-{name}" not in text

    requests()

    assert world.state() == before
    assert answered.get(404, 0) > 0
    assert answered.get(200, 0) > 0


def test_who_has_a_role_on_everything_pays_nothing_for_spaces() -> None:
    world = World()
    api = Api(key(Scope.OPERATOR))
    api.get("/runs")

    def statements(call: Any) -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            assert call().status_code < 300
        return [one["sql"] for one in seen.captured_queries]

    for call in (
        lambda: api.post(f"/workflows/{THEIRS}/runs", {"input": INPUT}),
        lambda: api.get(f"/runs/{world.runs[THEIRS]}"),
        lambda: api.get("/runs"),
        lambda: api.post(f"/runs/{world.runs[THEIRS]}/cancel"),
    ):
        assert not any('"space"' in sql.lower() or " space " in sql.lower() for sql in statements(call))


def test_a_workflow_that_moves_takes_its_runs_along() -> None:
    world, api = World(), caller("viewer")
    assert api.get(f"/runs/{world.runs[THEIRS]}").status_code == 404

    call_command("move", THEIRS, "mine")

    assert api.get(f"/runs/{world.runs[THEIRS]}").status_code == 200
    call_command("move", THEIRS, "")
    assert api.get(f"/runs/{world.runs[THEIRS]}").status_code == 404
    for arguments in (("none", "mine"), (THEIRS, "mars")):
        with pytest.raises(CommandError):
            call_command("move", *arguments)


def test_explain_knows_the_space_of_an_object() -> None:
    world = World()
    made = keys.create(name="north", scope="")
    granting.grant("operator", "key:north", space="mine", by="test")
    root = Api(key())

    def allowed(object_: str) -> Any:
        query = {"principal": "key:north", "action": "workflows.start_run", "object": object_}
        answer = root.get("/access/explain", **query)
        return answer.json().get("allowed", answer.status_code)

    assert made.row.scope == ""
    assert allowed(f"workflow:{MINE}") is True
    assert allowed(f"run:{world.runs[MINE]}") is True
    assert allowed(f"schedule:{MINE}") is True
    assert allowed("space:mine") is True
    assert allowed(f"workflow:{THEIRS}") is False
    assert allowed(f"run:{world.runs[NOBODYS]}") is False
    assert [allowed(one) for one in ("workflow:none", "run:none", "space:mars", "planet:mars", "mine")] == [404] * 5
