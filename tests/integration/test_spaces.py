"""Spaces: who has a role in one space reaches nothing of another one, and does not learn what exists there.

`ERIP_SPACES_REQUESTS=10000 make test PYTEST_ARGS=tests/integration/test_spaces.py` asks for ten thousand.
"""

import os
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.db.transaction import TransactionManagementError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console import pages, snapshots
from console.viewers import viewers
from erip.access import granting, has_scope, keys, tables
from erip.access.catalog import APPROVER, OPERATOR, PLATFORM_ADMIN, VIEWER
from erip.access.models import Grant
from erip.access.scopes import Scope
from erip.access.spaces import LISTS
from erip.foundation.db import walls
from tests.integration.test_doors import MARKED, Door
from tests.support.api import INPUT, Api, key
from tests.support.spaces import MINE, NOBODYS, NOWHERE, THEIRS, World, definition, wall
from workflows.core.lifecycle import source_of
from workflows.events.models import Subscription, TriggerVersion

pytestmark = pytest.mark.django_db
REQUESTS = int(os.environ.get("ERIP_SPACES_REQUESTS", "200"))
#: lists of things that belong to spaces
LISTED = (
    "alerts", "approvals", "batches", "clocks", "decisions", "events", "events/dead-letters", "pauses",
    "pending-starts", "runs", "schedules", "subscriptions", "triggers", "workflows",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _cold(db: None) -> None:
    keys.forget_cached()
    viewers.forget()
    snapshots.forget()
    pages.forget_rendered()


@pytest.fixture(scope="module", autouse=True)
def _second_wall(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), wall():
        yield


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
    changed = definition(MINE).replace("lane: critical", "lane: bulk")
    put = api.send("PUT", f"/workflows/{MINE}", changed.encode(), Content_Type="application/yaml")
    assert put.status_code == 201
    # What belongs to no workflow is for those who have it on everything.
    assert [api.get(path).status_code for path in ("/health", "/metrics", "/workers")] == [403] * 3


def about(door: Door) -> str:
    found: str = getattr(getattr(door.view, door.method), "about", "")
    return found


def test_each_role_opens_in_its_space_what_it_opens_on_everything_of_what_belongs_to_spaces() -> None:
    """The table of operations and roles, once more: asked for real in a space."""
    world, nowhere = World(), caller()
    doors = [door for door in MARKED if not door.route.endswith("events/stream")]
    assert sum(bool(about(door)) for door in doors) > 70
    for role in (VIEWER, OPERATOR, APPROVER, PLATFORM_ADMIN):
        here, everywhere = caller(role), caller(role, space="")
        for door in doors:
            path = world.address(door.route, about(door), MINE)
            refused = ask(here, door, path, b"{]")[0] == 403
            assert refused == (not about(door) or ask(everywhere, door, path, b"{]")[0] == 403), (role, str(door))
            if role == VIEWER:
                assert ask(nowhere, door, path, b"{]")[0] == 403, str(door)


def test_lists_and_objects_are_those_of_the_space() -> None:
    world, api, root = World(), caller("platform-admin"), Api(key())
    marks = {name: world.mark(name) for name in (MINE, THEIRS, NOBODYS)}
    for path in LISTED:
        mine, all_ = api.get(f"/{path}"), root.get(f"/{path}")
        assert (mine.status_code, all_.status_code) == (200, 200), (path, mine.content)
        shown, everything = (str(orjson.loads(answer.content)) for answer in (mine, all_))
        names = {name for name, mark in marks.items() if mark in shown}
        assert names == {MINE}, (path, names, shown[:2000])
        assert all(mark in everything for mark in marks.values()), path
    for door in MARKED:
        if door.method != "get" or ":" not in about(door):
            continue
        codes = {name: ask(api, door, world.address(door.route, about(door), name), b"")[0] for name in marks}
        # A run that no event started is answered with 404, whoever asks.
        assert codes[MINE] == (404 if door.route.endswith("/event") else 200), (str(door), codes)
        assert (codes[THEIRS], codes[NOBODYS]) == (404, 404), (str(door), codes)


@pytest.fixture
def no_first_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application forgets all its conditions: no object is looked up, and no list is told the caller's spaces. What
    remains is what wraps every operation that reads."""
    monkeypatch.setattr(has_scope, "need", lambda *_: None)
    forgetful = [
        module
        for name, module in list(sys.modules.items())
        if hasattr(module, "of_caller") and name not in ("erip.access.spaces", "workflows.api.schema")
    ]
    assert len(forgetful) > 8
    for module in forgetful:
        monkeypatch.setattr(module, "of_caller", lambda _: None)


def test_where_the_application_forgets_its_conditions_postgresql_refuses(no_first_wall: None) -> None:
    world, api = World(), caller("platform-admin")
    others = {name: world.mark(name) for name in (THEIRS, NOBODYS)}
    read = [
        door for door in MARKED
        if door.method == "get" and about(door) and not door.route.endswith(("events/stream", "explain", "delegations"))
    ]  # fmt: skip
    assert len(read) > 25
    for door in read:
        mine = ask(api, door, world.address(door.route, about(door), MINE), b"")
        assert mine[0] == (404 if door.route.endswith("/event") else 200), (str(door), mine)
        for name in others:
            code, text = ask(api, door, world.address(door.route, about(door), name), b"")
            # A list of what belongs to an object that is not shown may be empty instead.
            assert code in ((200,) if about(door) == LISTS else (200, 404)), (str(door), code, text)
            assert not any(mark in text for mark in others.values()), (str(door), text)
            assert code == 404 or world.runs[name] not in text, (str(door), text)


def test_who_has_not_said_its_spaces_sees_nothing() -> None:
    World()
    limited = walls.limited_role(connection.settings_dict["USER"])
    with connection.cursor() as cursor:
        cursor.execute(f'SET LOCAL ROLE "{limited}"')
        for table in tables.rules().walled:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            assert cursor.fetchone() == (0,), table
    with walls.confined({"mine"}), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workflows_workflowrun")
        assert cursor.fetchone() == (1,)
        with walls.lifted():
            cursor.execute("SELECT count(*) FROM workflows_workflowrun")
            assert cursor.fetchone() == (3,)
        cursor.execute("SELECT array_agg(name) FROM workflows_workflowdefinition")
        assert cursor.fetchone() == ([MINE],)


def test_an_error_while_the_wall_is_open_leaves_no_way_to_read_on() -> None:
    World()
    with walls.confined({"mine"}):
        with pytest.raises(LookupError), walls.lifted():
            raise LookupError
        with pytest.raises(TransactionManagementError), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM workflows_workflowrun")


def test_rules_of_an_author_in_a_space_hear_of_no_workflow_elsewhere() -> None:
    _, api, root = World(), caller("author"), Api(key())
    put = {"trigger": f"/triggers/{MINE}", "workflow": f"/workflows/{MINE}"}

    def stored(by: Api, **rule: Any) -> list[int]:
        rule = {"input": {"cves": []}, **rule}
        text = f"{definition(MINE)}\non: {orjson.dumps([rule]).decode()}\n"
        trigger = by.send("PUT", put["trigger"], orjson.dumps({"workflow": MINE, "rule": rule}))
        answers = [trigger, by.send("PUT", put["workflow"], text.encode(), Content_Type="application/yaml")]
        if answers[0].status_code == 422:
            assert [one.json()["faults"][0]["path"] for one in answers] == ["rule.source", "on[0].source"]
        return [one.status_code for one in answers]

    for event in ("workflow.run.failed", "workflow.run.*", "workflow.*", "erip.*"):
        for source in ({}, {"source": source_of(THEIRS)}, {"source": source_of(MINE) + "*"}, {"source": "/erip/*"}):
            assert stored(api, event=event, **source) == [422, 422], (event, source)
    assert stored(api, event="workflow.run.failed", source=source_of(MINE)) == [200, 201]
    assert stored(api, event="nexus.threat.*") == [200, 201]
    # What somebody with the role on everything has stored can be stored again.
    assert stored(root, event="workflow.run.failed") == [200, 201]
    assert stored(api, event="workflow.run.failed") == [200, 200]


def test_an_author_in_a_space_asks_no_decision_table_that_nobody_there_asks() -> None:
    """Whoever asks a table learns what it says."""
    _, api, root = World(), caller("author"), Api(key())

    def published(by: Api, table: str) -> Any:
        text = definition(MINE).replace(f"decision: of-{MINE}", f"decision: {table}")
        put = by.send("PUT", f"/workflows/{MINE}", text.encode(), Content_Type="application/yaml")
        what = by.post(f"/workflows/{MINE}/what-if", {"source": text, "against": "all"})
        checked = by.send("POST", f"/workflows/{MINE}/validate", text.encode(), Content_Type="application/yaml")
        return put, what, checked

    for table in (f"of-{THEIRS}", f"of-{NOBODYS}", f"of-{THEIRS}@1", "of-nobody"):
        for answer in published(api, table):
            assert answer.status_code in (403, 422), (table, answer.content)
            if answer.status_code == 422:
                (fault,) = answer.json()["faults"]
                assert fault["path"] == "steps.choose.decision"
                assert (THEIRS in fault["message"], NOBODYS in fault["message"]) == (THEIRS in table, NOBODYS in table)
        assert api.get(f"/decisions/{table.partition('@')[0]}").status_code == 404
    assert published(api, f"of-{MINE}")[0].status_code == 200
    # What somebody with the role on everything lets a workflow ask, its space asks from then on.
    assert published(root, f"of-{THEIRS}")[0].status_code == 201
    assert published(api, f"of-{THEIRS}")[0].status_code == 200


def test_nobody_goes_on_hearing_of_a_workflow_that_left_their_space() -> None:
    world, api, root, out = World(), caller("operator", "author"), Api(key()), StringIO()
    rule = {"event": "workflow.run.failed", "source": source_of(MINE), "input": {"cves": []}}
    call_command("move", THEIRS, "mine")
    Subscription.objects.update(enabled=True, disabled_at=None)
    for name, of in (("hears", THEIRS), ("same", MINE)):
        put = root.send("PUT", f"/triggers/{name}", orjson.dumps({"workflow": of, "rule": rule}))
        assert put.status_code == 201, put.content
    on = f"\non: {orjson.dumps([rule]).decode()}\n"
    text = (definition(THEIRS) + on).encode()
    assert api.send("PUT", f"/workflows/{THEIRS}", text, Content_Type="application/yaml").status_code == 201

    call_command("move", MINE, "theirs", stdout=out)

    mine, theirs = (Subscription.objects.get(pk=world.ids["subscription"][one]) for one in (MINE, THEIRS))
    assert (mine.enabled, theirs.enabled) == (False, True)
    assert "space" in mine.disabled_reason
    enabled = dict(TriggerVersion.objects.filter(number=F("trigger__latest")).values_list("trigger__name", "enabled"))
    assert (enabled["hears"], enabled["same"]) == (False, True)
    said = out.getvalue()
    assert all(one in said for one in ("1 subscription", "trigger hears", f"{THEIRS} still hears")), said
    again = api.send("PUT", "/triggers/hears", orjson.dumps({"workflow": THEIRS, "rule": rule}))
    assert (again.status_code, again.json()["faults"][0]["path"]) == (422, "rule.source")


def test_nobody_hears_of_other_spaces_by_a_workflow_that_comes_into_theirs() -> None:
    world, root, out = World(), Api(key()), StringIO()
    Subscription.objects.update(enabled=True, disabled_at=None)
    everything = {"event": "workflow.run.failed", "input": {"cves": []}}
    hears = {**everything, "source": source_of(THEIRS)}
    call_command("move", MINE, "")
    Subscription.objects.update(enabled=True, disabled_at=None)
    for name, of, rule in (
        ("hears", MINE, hears),
        ("hears-all", MINE, everything),
        ("itself", MINE, {**everything, "source": source_of(MINE)}),
        ("other", MINE, {**everything, "event": "acme.told"}),
        ("of-it", NOBODYS, {**everything, "source": source_of(MINE)}),
    ):
        put = root.send("PUT", f"/triggers/{name}", orjson.dumps({"workflow": of, "rule": rule}))
        assert put.status_code == 201, put.content
    text = f"{definition(MINE)}\non: {orjson.dumps([hears]).decode()}\n".encode()
    assert root.send("PUT", f"/workflows/{MINE}", text, Content_Type="application/yaml").status_code == 201

    call_command("move", MINE, "mine", stdout=out)

    enabled = dict(TriggerVersion.objects.filter(number=F("trigger__latest")).values_list("trigger__name", "enabled"))
    expected = {"hears": False, "hears-all": False, "itself": True, "other": True, "of-it": True}
    assert {name: enabled[name] for name in expected} == expected
    assert f"{MINE} still hears" in out.getvalue()
    # Who heard of it while it was in no space sees everything.
    assert Subscription.objects.get(pk=world.ids["subscription"][MINE]).enabled


#: columns by which a row belongs to a space, itself or through another row
OF_SPACES = frozenset(
    ("space", "spaces", "workflow", "workflows", "run_id", "retry_of", "definition_id", "batch_id", "task_id",
     "schedule_id", "trigger_id", "pending_id", "subscription_id", "delivery_id", "case_id", "resolved_workflow")
)  # fmt: skip
#: tables with such a column that the limited role may not read at all: nothing is read from them for such callers
CLOSED = frozenset(
    ("access_grant", "events_eventtypeversion", "library_notificationtarget", "library_report",
     "monitoring_errorgroup", "people_notice", "privacy_datakey", "privacy_hold", "privacy_runkey", "secrets_secret",
     "workflows_chunk", "workflows_idempotencykey", "workflows_runsignal", "workflows_stepbeat")
)  # fmt: skip


def test_every_table_that_belongs_to_spaces_has_a_policy_or_is_closed() -> None:
    """Over all tables that there are: a new one with such a column fails until somebody decides."""
    rules, limited = tables.rules(), walls.limited_role(connection.settings_dict["USER"])
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname::text, c.relrowsecurity, has_table_privilege(%s, c.oid, 'SELECT'),
                   array_agg(a.attname::text), EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid
                       AND NOT p.polpermissive AND p.polroles = ARRAY[%s::regrole::oid])
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
              AND NOT c.relispartition
            GROUP BY c.oid
            """,
            [limited, limited],
        )
        found = cursor.fetchall()
    ours = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    undecided: set[str] = set()
    for table, secured, readable, columns, policy in found:
        if table in rules.walled:
            assert (secured, readable, policy) == (True, True, True), table
        elif readable:
            assert table in rules.open_to_all, f"{table} is shown to callers of any space"
            assert not OF_SPACES & set(columns), f"{table} belongs to spaces, and is open to all of them"
        elif table in ours and OF_SPACES & set(columns):
            undecided |= {table} - CLOSED
    assert undecided == set(), "they belong to spaces: give them a policy (hooks.walled), or name them above"
    assert rules.walled.keys() | rules.open_to_all <= {table for table, *_ in found}


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
        st.builds(lambda each: {"business_key": f"mark-of-{each}", "payload": 1}, name),
    )
    return one.map(orjson.dumps)


def test_nothing_of_another_space_is_answered() -> None:
    """With everything in their own space, and any request: no other object is shown or changed, and one that exists
    elsewhere is answered like one that exists nowhere."""
    world, api = World(), caller("platform-admin")
    nowhere = NOWHERE
    queries = st.sampled_from(
        ["", "?limit=200", f"?workflow={THEIRS}", f"?business_key=mark-of-{THEIRS}", "?status=PENDING", "?wait=1"]
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
        path, absent = (world.address(door.route, about(door), each) for each in (name, "no-flow"))
        code, text = ask(api, door, path, body, query)
        answered[code] = answered.get(code, 0) + 1
        if path != absent:
            assert code in (403, 404), (str(door), code, text)
            # Which of the two, and in which words, does not depend on whether it exists.
            other, said = ask(api, door, absent, body, query)
            assert (code, text.replace(path, absent).replace(run, nowhere).replace(name, "no-flow")) == (other, said)
        else:
            assert code < 500
            assert run not in text
            assert world.mark(name) not in text

    requests()

    assert world.state() == before
    assert answered.get(404, 0) > 0
    assert answered.get(200, 0) > 0


def test_the_console_shows_the_things_of_the_space() -> None:
    world = World()
    user = User.objects.create_user("ada", password="a-long-password", is_staff=True)
    Grant.objects.create(user=user, role="operator", space="mine")
    browser = Client(raise_request_exception=False)
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    marks = {name: world.mark(name) for name in (MINE, THEIRS, NOBODYS)}

    def page(path: str) -> tuple[int, str]:
        answer = browser.get(f"/console/{path}")
        return answer.status_code, answer.content.decode()

    for path in ("", "alerts", "approvals", "clocks"):
        for query in ("", "?part=live"):
            code, text = page(path + query)
            assert code == 200, path
            assert {name for name, mark in marks.items() if mark in text} == {MINE}, (path, query)
    code, text = page("")
    assert "/console/approvals" in text
    assert "/console/health" not in text
    for path in ("health", "metrics", "capacity", "errors", "alerts/rules", "decisions", "controls"):
        assert page(path)[0] == 403, path
    for kind, path in (("approval", "approvals"), ("clock", "clocks"), ("alert", "alerts")):
        codes = {name: page(f"{path}/{world.ids[kind][name]}")[0] for name in marks}
        assert codes == {MINE: 200, THEIRS: 404, NOBODYS: 404}, kind
    assert 'name="reference"' in page(f"clocks/{world.ids['clock'][MINE]}")[1]
    assert "acknowledge" not in page(f"alerts/{world.ids['alert'][MINE]}")[1]
    for name, expected in ((MINE, 303), (THEIRS, 404), (NOBODYS, 404)):
        task, clock = world.ids["approval"][name], world.ids["clock"][name]
        assert browser.post(f"/console/approvals/{task}/claim").status_code == expected
        code = browser.post(f"/console/clocks/{clock}/stop", {"reason": "because"}).status_code
        assert code in ((303, 422) if name == MINE else (404,))
        assert browser.post(f"/console/alerts/{world.ids['alert'][name]}/acknowledge").status_code == 403


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
