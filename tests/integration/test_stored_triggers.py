"""Rules that are stored beside definitions: created, changed, queried, deleted, and kept on record."""

from typing import Any

import orjson
import pytest
from django.db import Error, connection, transaction

from erip.access.scopes import Scope
from tests.definitions import publish
from tests.support.api import Api, key
from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows.events import active
from workflows.events.models import Block, DeadLetter, Event, EventType, TriggerVersion
from workflows.events.triggers import Triggers
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

RULE = {"event": "acme.found", "input": {"cve": "${{ event.data.cve }}"}, "business_key": "${{ event.subject }}"}


@pytest.fixture
def api() -> Api:
    publish(
        "name: respond\n"
        "input: {type: object, required: [cve], properties: {cve: {type: string}, n: {type: integer}}}\n"
        "steps:\n  only: {uses: sample.echo, with: {value: 1}}\n"
        'on: {event: acme.*, input: {cve: "${{ event.id }}"}, lane: bulk}\n'
    )
    return Api(key(Scope.AUTHOR))


def put(api: Api, name: str = "on-findings", **body: Any) -> Any:
    return api.send("PUT", f"/triggers/{name}", orjson.dumps({"workflow": "respond", "rule": RULE, **body}))


def take(*events: dict[str, Any]) -> None:
    with consuming(Triggers()):
        accept(events)
        until(lambda: not Block.objects.exists())


def test_a_stored_rule_is_asked_before_the_definitions_own(api: Api) -> None:
    assert put(api).status_code == 201
    take(event(type="acme.found", subject="host-1", data={"cve": "CVE-1"}), event(type="acme.lost", id="x"))
    runs = {run.input["cve"]: run for run in WorkflowRun.objects.all()}
    assert runs["CVE-1"].business_key == "host-1"
    assert runs["CVE-1"].lane == "standard"
    assert runs["x"].lane == "bulk"


def test_a_stored_rule_that_drops_keeps_the_definitions_from_starting(api: Api) -> None:
    put(api, rule={"event": "acme.found", "source": "/lab/*", "action": "drop"})
    take(event(type="acme.found", source="/lab/1"), event(type="acme.found", source="/prod/1"))
    assert WorkflowRun.objects.count() == 1


def test_a_rule_that_is_switched_off_or_deleted_is_not_asked(api: Api) -> None:
    put(api)
    put(api, enabled=False)
    take(event(type="acme.found", data={"cve": "CVE-1"}))
    put(api, enabled=True)
    assert api.send("DELETE", "/triggers/on-findings", b"").status_code == 204
    take(event(type="acme.found", data={"cve": "CVE-2"}))
    assert {run.lane for run in WorkflowRun.objects.all()} == {"bulk"}
    assert api.get("/triggers/on-findings").status_code == 404
    assert api.get("/triggers").json()["items"] == []
    assert api.send("DELETE", "/triggers/on-findings", b"").status_code == 404


def test_what_a_rule_said_stays_with_who_said_so(api: Api) -> None:
    put(api, description="First.")
    assert put(api, description="First.").json() == {"name": "on-findings", "version": 1, "changed": False}
    put(api, rule={**RULE, "lane": "high"})
    api.send("DELETE", "/triggers/on-findings", b"")
    assert put(api).status_code == 201
    found = api.get("/triggers/on-findings").json()
    assert [one["version"] for one in found["versions"]] == [4, 3, 2, 1]
    assert [one["deleted"] for one in found["versions"]] == [False, True, False, False]
    assert found["versions"][3]["description"] == "First."
    assert all(one["author"].startswith("key:") for one in found["versions"])
    for statement in ("UPDATE events_triggerversion SET rule = '{}'", "DELETE FROM events_triggerversion"):
        with pytest.raises(Error, match="Cannot update or delete"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_trigger_that_is_not_one_is_refused_with_every_fault(api: Api) -> None:
    answer = put(api, workflow="respnd", rule={"event": "acme.found", "if": "x", "dedupe": "1m", "debounce": "1m"})
    assert (answer.status_code, answer.json()["code"]) == (422, "trigger-invalid")
    told = {fault["path"]: fault["message"] for fault in answer.json()["faults"]}
    assert told.keys() == {"workflow", "rule.if", "rule.debounce"}
    assert 'did you mean "respond"?' in told["workflow"]
    answer = put(api, rule={"event": "acme.found", "input": {"n": "many"}})
    assert {fault["path"] for fault in answer.json()["faults"]} == {"rule.input.cve", "rule.input.n"}
    assert put(api, rule=[], more=1).json()["faults"] == [
        {"path": "more", "message": "is not known; known are: workflow, rule, enabled, description"},
        {"path": "rule", "message": "must be an object"},
    ]
    assert not TriggerVersion.objects.exists()


def test_only_authors_store_triggers(api: Api) -> None:
    operator = Api(key(Scope.OPERATOR))
    assert put(operator).status_code == 403
    assert operator.send("DELETE", "/triggers/on-findings", b"").status_code == 403
    assert Api(key(Scope.VIEWER)).get("/triggers").status_code == 200


def test_a_rule_whose_workflow_asks_for_another_input_by_now_leaves_dead_letters(api: Api) -> None:
    put(api)
    publish(
        "name: respond\ninput: {type: object, required: [host]}\n"
        "steps:\n  only: {uses: sample.echo, with: {value: 1}}\n"
    )
    active.forget()
    take(event(type="acme.found", data={"cve": "CVE-1"}))
    letter = DeadLetter.objects.get()
    assert (letter.code, letter.message) == ("input_invalid", "trigger on-findings: input.host: is required")


def test_the_event_tells_its_runs_and_the_run_its_event(api: Api) -> None:
    take(event(type="acme.found", id="E-1"), event(type="other.found", id="E-2"))
    run = WorkflowRun.objects.get()
    (logged,) = [one for one in api.get("/events").json()["items"] if one["event"]["id"] == "E-1"]
    assert api.get(f"/events/{logged['position']}").json()["runs"] == [
        {"run_id": str(run.pk), "trigger": "respond: on", "signalled": False}
    ]
    told = api.get(f"/runs/{run.pk}/event").json()
    assert (told["event"]["id"], told["trigger"], told["position"]) == ("E-1", "respond: on", logged["position"])
    (none,) = [one for one in api.get("/events").json()["items"] if one["event"]["id"] == "E-2"]
    assert api.get(f"/events/{none['position']}").json()["runs"] == []
    assert api.get("/runs/01a211bd-b8f6-7638-9f40-9d5ae985ab25/event").status_code == 404


def test_a_replay_starts_what_was_not_started_and_nothing_twice(api: Api) -> None:
    take(*[event(type="other.found", id=f"E-{n}", data={"cve": f"CVE-{n}"}) for n in range(3)])
    assert not WorkflowRun.objects.exists()
    put(api, rule={**RULE, "event": "other.*", "dedupe": "1h", "business_key": "${{ event.id }}"})
    operator = Api(key(Scope.OPERATOR))
    plan = operator.post("/events/replay", {"target": "triggers:respond", "type": "other.found"}).json()
    assert plan["effects"] == {"trigger on-findings: started": 3}
    assert not WorkflowRun.objects.exists()
    for _ in range(2):
        operator.post("/events/replay", {"target": "triggers:respond", "type": "other.found", "dry_run": False})
        with consuming(Triggers()):
            until(lambda: not Block.objects.exists())
    assert sorted(run.input["cve"] for run in WorkflowRun.objects.all()) == ["CVE-0", "CVE-1", "CVE-2"]
    assert Event.objects.count() == 3
    plan = operator.post("/events/replay", {"target": "triggers", "type": "other.found"}).json()
    assert plan["effects"] == {"trigger on-findings: already started": 3}
    assert operator.post("/events/replay", {"target": "triggers:nothing", "type": "other.found"}).status_code == 422


def test_the_admin_shows_triggers_and_types_and_switches_triggers_off_and_on(api: Api, admin_client: Any) -> None:
    put(api, description="For the night.")
    api.send("PUT", "/event-types/acme.found", orjson.dumps({"schema": {"type": "object", "title": "Finding"}}))
    page = admin_client.get("/admin/events/trigger/").content.decode()
    assert f"/trigger/{TriggerVersion.objects.get().trigger_id}/change/" in page
    trigger = TriggerVersion.objects.get().trigger
    shown = admin_client.get(f"/admin/events/trigger/{trigger.pk}/change/").content.decode()
    assert "For the night." in shown
    assert "acme.found" in shown
    # Its workflow now needs other input: the rule can still be switched off, but not on again.
    publish(
        "name: respond\ninput: {type: object, required: [host]}\n"
        "steps:\n  only: {uses: sample.echo, with: {value: 1}}\n"
    )
    for act in ("switch_off", "switch_on"):
        admin_client.post("/admin/events/trigger/", {"action": act, "_selected_action": [trigger.pk]})
    latest = TriggerVersion.objects.order_by("-number").first()
    assert latest is not None
    assert (latest.number, latest.enabled, latest.author) == (2, False, "user:admin")
    admin_client.post("/admin/events/trigger/", {"action": "remove", "_selected_action": [trigger.pk]})
    assert f"/trigger/{trigger.pk}/change/" not in admin_client.get("/admin/events/trigger/").content.decode()
    assert TriggerVersion.objects.order_by("-number")[0].deleted
    assert "acme.found" in admin_client.get("/admin/events/eventtype/").content.decode()
    kind = EventType.objects.get()
    assert "Finding" in admin_client.get(f"/admin/events/eventtype/{kind.pk}/change/").content.decode()
