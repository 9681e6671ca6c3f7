"""`Idempotency-Key` on everything that makes something: done once and answered twice, or refused by name.

The sweep goes over the OpenAPI document, so a new POST has to be added here, and the same rules apply to it.
"""

import threading
import uuid
from datetime import timedelta

import orjson
import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connection, connections
from django.utils import timezone

from erip.access import break_glass, keys
from erip.access.scopes import Scope
from erip.audit.models import Entry
from erip.foundation.http.documents import _document
from monitoring.models import Alert, ErrorGroup
from schedules import stored as schedules
from schedules.models import Schedule
from tests.definitions import publish as publish_text
from tests.support.api import DEFINITION, INPUT, Api, key, publish
from tests.support.clocks import legal_clock
from workflows import engine
from workflows.clocks.changing import stop
from workflows.core.rules import rule_key
from workflows.decisions import stored as decisions
from workflows.events.models import DeadLetter, Delivery, Event, PendingEvent, PendingStart
from workflows.events.store import months
from workflows.models import ApprovalTask, Hold, IdempotencyKey, WorkflowRun
from workflows.models.runs import StepRun
from workflows.privacy import holds

DOCUMENT = orjson.loads(_document())
#: (method, path, operation id) of every operation that changes something and whose method is not idempotent
OPERATIONS = [
    (method.upper(), path, operation["operationId"])
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in ("post", "patch")
]
#: operations that need no key, and say so
REFUSING = {
    "acceptEvents",
    "validateWorkflow",
    "whatIfWorkflow",
    "previewUnstoredSchedule",
    "validateDecisionTable",
    "evaluateDecisionTable",
    "whatIfDecisionTable",
    "testAlertChannel",
    "makeOnCallCalendar",
    "makeKey",
    "rotateKey",
    "openRun",
    "openEvent",
    "exportPerson",
    "erasePerson",
}
#: operations that only people can carry out
OF_PEOPLE = {
    "vote", "askApproval", "delegate", "askBreakGlass", "grantBreakGlass", "endBreakGlass", "reviewBreakGlass",
}  # fmt: skip
SUBSCRIPTION = {"url": "https://hooks.example.com/erip", "types": ["workflow.run.*"]}
EVENT = {"specversion": "1.0", "id": "1", "source": "/test", "type": "test.happened"}


def run(**changes):
    made = engine.start_runs("look-up", [engine.StartRequest(INPUT)], principal="test")[0].id
    if changes:
        WorkflowRun.objects.filter(pk=made).update(**changes)
    return made


def approval() -> int:
    """The id of an open approval, whose approvers are in the group `board`."""
    if not ApprovalTask.objects.exists():
        quorum = "quorum: [{role: board, count: 2}]"
        publish_text(f"name: asks\nsteps: {{ask: {{approval: {{title: Go on, {quorum}}}}}}}\n")
        engine.start_runs("asks", [engine.StartRequest({})], principal="test")
    return ApprovalTask.objects.get().pk


def owner() -> str:
    """The username of somebody who answers for API keys."""
    return User.objects.get_or_create(username="ola")[0].username


def api_key() -> int:
    """The number of an API key that nothing uses."""
    return keys.create(name=str(uuid.uuid4()), scope=Scope.VIEWER).row.pk


def delegation(reason: str) -> dict[str, str]:
    User.objects.get_or_create(username="ben")
    return {"to": "ben", "ends_at": (timezone.now() + timedelta(days=1)).isoformat(), "reason": reason}


def board_member() -> Api:
    """Somebody who is signed in: an API key does not vote."""
    api = Api()
    member = User.objects.create_superuser("ada")
    member.groups.add(Group.objects.create(name="board"))
    api.client.force_login(member)
    return api


def emergency(state: str = "asked") -> int:
    """The number of emergency access that somebody else asked for."""
    holder = User.objects.get_or_create(username="ola")[0]
    User.objects.get_or_create(username="ben")
    made = break_glass.ask(f"user:{holder.username}", ["workflows.cancel_run"], "a fire", 5).pk
    if state == "ended":
        break_glass.grant(made, "user:ben")
        break_glass.end(made, "user:ben", None)
    return made


def cancelled() -> str:
    made = run()
    engine.cancel_run(made, principal="test")
    return made


def waiting_run(business_key: str | None = None) -> str:
    publish_text("name: waits\nsteps: {one: {wait: {signal: go}}, two: {wait: {signal: go}}}")
    return engine.start_runs("waits", [engine.StartRequest({}, business_key)], principal="test")[0].id


def case() -> str:
    waiting_run("B-1")
    return "B-1"


def paused() -> str:
    made = run()
    engine.pause_run(made, principal="test")
    return made


def held(kind: str, name: str) -> str:
    if not Hold.objects.filter(kind=kind, name=name).exists():
        engine.pause_all(kind, name, principal="test")
    return name


def unknown_step() -> str:
    made = run()
    StepRun.objects.filter(run_id=made).update(state="UNKNOWN", attempt=1)
    return made


SCHEDULE = {"workflow": "look-up", "input": INPUT, "every": "1h", "from": "2026-01-01T00:00:00Z", "catch_up": "none",
            "overlap": "allow"}  # fmt: skip


def clock(*, stopped: bool = False, facts: dict | None = None) -> str:
    """The address of a new legal clock, below /runs/. facts: with which its case was assessed."""
    made = legal_clock()
    if facts is not None:
        made.case.facts = facts
        made.case.save()
    if stopped:
        stop(made.run_id, made.pk, by="test", reason="r", article="a", at=timezone.now() - timedelta(hours=1))
    return f"{made.run_id}/clocks/{made.pk}"


def schedule(*, paused: bool = False) -> str:
    if not Schedule.objects.filter(name="hourly").exists():
        schedules.put("hourly", document=SCHEDULE, author="test")
        if paused:
            schedules.pause("hourly", by="test", reason="")
    return "hourly"


DECISIONS = {"inputs": [{"name": "n"}], "outputs": [{"name": "o"}], "rules": [{"then": {"o": 1}}]}


def person() -> str:
    """Somebody whom a run is about."""
    source = DEFINITION.replace("name: look-up", "name: about-people").replace(
        "properties: {", "properties: {person: {type: string, subject: true}, "
    )
    engine.publish(None, source, "yaml", author="test")
    who = f"person {uuid.uuid4()}"
    engine.start_runs("about-people", [engine.StartRequest({**INPUT, "person": who})], principal="test")
    return who


def event() -> str:
    months.ensure_months_ahead(1)
    made = Event.objects.create(
        partition=0, position=1_000 + Event.objects.count(), logged_at=timezone.now(), accepted_at=timezone.now(),
        type="t", source="/s", event_id="1", event='{"source": "/s", "id": "1", "data": 1}',
    )  # fmt: skip
    return f"{made.partition}-{made.position}"


def legal_hold() -> int:
    return int(holds.put(holds.Wanted("a", workflow="look-up"), by="test").pk)


def decision_table() -> str:
    return decisions.publish("levels", DECISIONS, author="test").name


def alert() -> int:
    now = timezone.now()
    return Alert.objects.create(
        rule="test", labels=[], serial=1, stage="firing", severity="page", summary="x", since=now, held_at=now
    ).pk


def error_group(state: str = "open") -> int:
    now = timezone.now()
    return ErrorGroup.objects.create(
        fingerprint="f", source="attempt", what="x", title="x", why=[], links=[], count=1, first_seen=now,
        last_seen=now, first_release="1", last_release="1", state=state,
    ).pk  # fmt: skip


def on_call(api) -> dict:
    people = {"ana": ["ana-mail"]}
    weekly = {"zone": "UTC", "starts": "2026-01-05", "at": ["09:00"], "days": 7, "people": ["ana"]}
    channel = {"kind": "mail", "address": "ana@example.org"}
    api.send("PUT", "/alerts/channels/ana-mail", orjson.dumps(channel))
    api.send("PUT", "/alerts/on-call", orjson.dumps({"plan": {"people": people, "rotations": {"primary": weekly}}}))
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    times = {"starts_at": today.isoformat(), "ends_at": (today + timedelta(days=2)).isoformat()}
    return {"rotation": "primary", "person": "ana", **times}


def letter() -> int:
    return DeadLetter.objects.create(
        partition=0, effect="triggers", code="x", message="x", attempts=1, type="t", source="/s", event_id="1",
        event=orjson.dumps({**EVENT, "data": {}}).decode(),
    ).pk  # fmt: skip


def pending_start() -> str:
    rule = {"event": "t", "input": INPUT, "collect": {"for": "1h", "max": 9}}
    made = PendingStart.objects.create(
        pk=uuid.uuid4(), workflow="look-up", trigger="x", rule=rule, type="t", count=1, since=timezone.now(),
        due_at=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    at = timezone.now()
    months.ensure_months_ahead(1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position), 0) + 1 FROM events_event WHERE partition = 0")
        position = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO events_event (partition, position, logged_at, accepted_at, type, source, event_id, event)"
            " VALUES (0, %s, %s, %s, 't', '/s', '1', '{}')",
            [position, at, at],
        )
    PendingEvent.objects.create(
        pending=made, event=uuid.uuid4(), rule=rule_key("look-up", rule), partition=0, position=position, logged_at=at,
        value="{}",
    )  # fmt: skip
    return str(made.pk)


def subscription(api) -> str:
    return api.post("/subscriptions", SUBSCRIPTION).json()["id"]


def delivery(api) -> int:
    made = Delivery.objects.create(subscription_id=subscription(api), body="{}", type="t", event_id="1")
    return made.pk


#: for each operation: a path and a body that it accepts, and a second body (None: it accepts only one)
REQUESTS = {
    "startRun": lambda api: ("/workflows/look-up/runs", {"input": INPUT}, {"input": {"cves": []}}),
    "startRuns": lambda api: (
        "/runs/bulk",
        {"workflow": "look-up", "inputs": [INPUT, INPUT]},
        {"workflow": "look-up", "inputs": [INPUT]},
    ),
    "cancelRun": lambda api: (f"/runs/{run()}/cancel", {"reason": "a"}, {"reason": "b"}),
    "retryRun": lambda api: (f"/runs/{cancelled()}/retry", {}, None),
    "cancelRuns": lambda api: (
        "/runs/cancel",
        {"filter": {"ids": [run()]}, "expected_count": 1},
        {"filter": {"workflow": "look-up"}, "expected_count": 1},
    ),
    "retryRuns": lambda api: (
        "/runs/retry",
        {"filter": {"status": "CANCELLED", "ids": [cancelled()]}},
        {"filter": {"status": "CANCELLED"}},
    ),
    "signalRun": lambda api: (f"/runs/{waiting_run()}/signals/go", {"payload": 1}, {"payload": 2}),
    "signalWorkflow": lambda api: (
        "/workflows/waits/signals/go",
        {"business_key": case(), "payload": 1},
        {"business_key": "B-1", "payload": 2},
    ),
    "acknowledgeAlert": lambda api: (f"/alerts/{alert()}/acknowledge", {"note": "a"}, {"note": "b"}),
    "resolveError": lambda api: (f"/errors/{error_group()}/resolve", {"reason": "a"}, {"reason": "b"}),
    "ignoreError": lambda api: (f"/errors/{error_group()}/ignore", {"reason": "a"}, {"reason": "b"}),
    "reopenError": lambda api: (f"/errors/{error_group('ignored')}/reopen", {"reason": "a"}, {"reason": "b"}),
    "addSilence": lambda api: (
        "/alerts/silences",
        {"rule": "disk-filling", "reason": "a", "ends_at": (timezone.now() + timedelta(hours=1)).isoformat()},
        {"rule": "disk-filling", "reason": "b", "ends_at": (timezone.now() + timedelta(hours=1)).isoformat()},
    ),
    "addOnCallOverride": lambda api: (
        "/alerts/on-call/overrides",
        {**on_call(api), "reason": "a"},
        {**on_call(api), "reason": "b"},
    ),
    "testAlertChannel": lambda api: (f"/alerts/channels/{on_call(api)['person']}-mail/test", {}, None),
    "makeOnCallCalendar": lambda api: (
        f"/alerts/on-call/rotations/{on_call(api)['rotation']}/calendar",
        {},
        None,
    ),
    "backtestAlertRule": lambda api: ("/alerts/rules/disk-filling/backtest", {}, {"range": "2h"}),
    "stopClock": lambda api: (
        f"/runs/{clock()}/stop",
        {"reason": "a", "article": "x"},
        {"reason": "b", "article": "x"},
    ),
    "resumeClock": lambda api: (f"/runs/{clock(stopped=True)}/resume", {}, None),
    "amendClock": lambda api: (
        f"/runs/{clock()}/amend",
        {"reason": "a", "extended_until": "2030-01-01T00:00:00Z"},
        {"reason": "b", "extended_until": "2030-01-01T00:00:00Z"},
    ),
    "fileClock": lambda api: (f"/runs/{clock()}/file", {"reference": "a"}, {"reference": "b"}),
    "dismissClock": lambda api: (f"/runs/{clock()}/dismiss", {"reason": "a"}, {"reason": "b"}),
    "learnFacts": lambda api: (
        f"/runs/{clock(facts={}).partition('/')[0]}/clocks/facts",
        {"reason": "a", "facts": {"sector": "banking"}},
        {"reason": "b", "facts": {"sector": "banking"}},
    ),
    "pauseSchedule": lambda api: (f"/schedules/{schedule()}/pause", {"reason": "a"}, {"reason": "b"}),
    "resumeSchedule": lambda api: (f"/schedules/{schedule(paused=True)}/resume", {}, None),
    "triggerSchedule": lambda api: (f"/schedules/{schedule()}/trigger", {}, None),
    "backfillSchedule": lambda api: (
        f"/schedules/{schedule()}/backfill",
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T02:00:00Z", "dry_run": False},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T03:00:00Z", "dry_run": False},
    ),
    "previewUnstoredSchedule": lambda api: ("/schedule-previews", {"schedule": SCHEDULE}, None),
    "validateDecisionTable": lambda api: ("/decisions/levels/validate", DECISIONS, None),
    "evaluateDecisionTable": lambda api: (f"/decisions/{decision_table()}/evaluate", {"facts": {"n": 1}}, None),
    "whatIfDecisionTable": lambda api: (f"/decisions/{decision_table()}/what-if", {"table": DECISIONS}, None),
    "pauseWorkflow": lambda api: ("/workflows/look-up/pause", {"reason": "a"}, {"reason": "b"}),
    "resumeWorkflow": lambda api: (f"/workflows/{held('workflow', 'look-up')}/resume", {}, None),
    "pauseLane": lambda api: ("/lanes/bulk/pause", {"reason": "a"}, {"reason": "b"}),
    "resumeLane": lambda api: (f"/lanes/{held('lane', 'bulk')}/resume", {}, None),
    "openRun": lambda api: (f"/runs/{run()}/open", {"reason": "a"}, None),
    "openEvent": lambda api: (f"/events/{event()}/open", {"reason": "a"}, None),
    "exportPerson": lambda api: ("/privacy/exports", {"subject": person(), "reason": "a"}, None),
    "erasePerson": lambda api: ("/privacy/erasures", {"subject": person(), "reason": "a", "dry_run": False}, None),
    "putHold": lambda api: ("/privacy/holds", {"reason": "a"}, {"reason": "b"}),
    "releaseHold": lambda api: (f"/privacy/holds/{legal_hold()}/release", {"reason": "a"}, {"reason": "b"}),
    "applyRetention": lambda api: ("/privacy/retention", {"reason": "a"}, None),
    "pauseRun": lambda api: (f"/runs/{run()}/pause", {"clock": "stop"}, {"clock": "go"}),
    "resumeRun": lambda api: (f"/runs/{paused()}/resume", {}, None),
    "pauseRuns": lambda api: (
        "/runs/pause",
        {"filter": {"ids": [run()]}, "expected_count": 1},
        {"filter": {"workflow": "look-up"}, "expected_count": 1},
    ),
    "resumeRuns": lambda api: (
        "/runs/resume",
        {"filter": {"ids": [paused()]}, "expected_count": 1},
        {"filter": {"workflow": "look-up"}, "expected_count": 1},
    ),
    "resolveStep": lambda api: (
        f"/runs/{unknown_step()}/steps/enrich/resolve",
        {"outcome": "failed"},
        {"outcome": "retry"},
    ),
    "subscribe": lambda api: ("/subscriptions", SUBSCRIPTION, {**SUBSCRIPTION, "description": "another"}),
    "changeSubscription": lambda api: (f"/subscriptions/{subscription(api)}", {"enabled": False}, {"enabled": True}),
    "rotateSecret": lambda api: (f"/subscriptions/{subscription(api)}/rotate-secret", {}, None),
    "testSubscription": lambda api: (f"/subscriptions/{subscription(api)}/test", {}, None),
    "redeliver": lambda api: (f"/deliveries/{delivery(api)}/redeliver", {}, None),
    "retryDeadLetter": lambda api: (f"/events/dead-letters/{letter()}/retry", None, None),
    "discardDeadLetter": lambda api: (f"/events/dead-letters/{letter()}/discard", None, None),
    "startPendingStart": lambda api: (f"/pending-starts/{pending_start()}/start", None, None),
    "discardPendingStart": lambda api: (f"/pending-starts/{pending_start()}/discard", None, None),
    "replayEvents": lambda api: (
        "/events/replay",
        {"target": "triggers", "dry_run": False},
        {"target": "triggers", "dry_run": False, "type": "t"},
    ),
    "claimApproval": lambda api: (f"/approvals/{approval()}/claim", {}, None),
    "vote": lambda api: (
        f"/approvals/{approval()}/votes",
        {"choice": "approve", "content_hash": ApprovalTask.objects.get().content_hash},
        {"choice": "refuse", "content_hash": ApprovalTask.objects.get().content_hash, "comment": "no"},
    ),
    "askApproval": lambda api: (f"/approvals/{approval()}/questions", {"text": "a"}, {"text": "b"}),
    "delegate": lambda api: ("/delegations", delegation("a"), delegation("b")),
    "askBreakGlass": lambda api: (
        "/break-glass",
        {"permissions": ["workflows.cancel_run"], "reason": "a", "minutes": 5},
        {"permissions": ["workflows.cancel_run"], "reason": "b", "minutes": 5},
    ),
    "grantBreakGlass": lambda api: (f"/break-glass/{emergency()}/grant", {}, None),
    "endBreakGlass": lambda api: (f"/break-glass/{emergency()}/end", {}, None),
    "reviewBreakGlass": lambda api: (f"/break-glass/{emergency('ended')}/review", {"review": "a"}, {"review": "b"}),
    "makeKey": lambda api: ("/keys", {"name": str(uuid.uuid4()), "owner": owner()}, None),
    "changeKey": lambda api: (f"/keys/{api_key()}", {"rate": 100}, {"rate": None}),
    "rotateKey": lambda api: (f"/keys/{api_key()}/rotate", {}, None),
    "revokeKey": lambda api: (f"/keys/{api_key()}/revoke", {}, None),
    "acceptEvents": lambda api: ("/events", EVENT, None),
    "validateWorkflow": lambda api: ("/workflows/look-up/validate", DEFINITION.encode(), None),
    "whatIfWorkflow": lambda api: ("/workflows/look-up/what-if", {"version": 1}, None),
}
MEDIA = {"acceptEvents": "application/cloudevents+json", "validateWorkflow": "application/yaml"}


@pytest.fixture
def api(db) -> Api:
    publish()
    return Api(key(Scope.ADMIN))


def stored() -> dict[str, int]:
    """The number of rows in all tables, except the audit log: what was refused is written there a little later."""
    counted = [model for model in apps.get_models() if model._meta.managed and model is not Entry]
    return {model.__name__: model._default_manager.count() for model in counted}


def send(api, method, path, body, name, **headers):
    content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    media = MEDIA.get(name, "application/json")
    return api.send(method, path, content, **{"Content-Type": media, **headers})


def test_every_operation_that_makes_something_is_in_the_sweep():
    assert {name for _, _, name in OPERATIONS} == REQUESTS.keys()


@pytest.mark.parametrize(("method", "path", "name"), OPERATIONS, ids=[name for _, _, name in OPERATIONS])
def test_a_request_under_a_key_is_done_once_or_the_key_is_refused(api, method, path, name):
    api = board_member() if name in OF_PEOPLE else api
    path, body, other = REQUESTS[name](api)
    operation = next(
        each for item in DOCUMENT["paths"].values() for each in item.values() if each.get("operationId") == name
    )
    documented = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    quoted = f'"{uuid.uuid4()}"'

    first = send(api, method, path, body, name, Idempotency_Key=quoted)

    assert documented == (name not in REFUSING)
    if name in REFUSING:
        assert (first.status_code, first.json()["faults"][0]["path"]) == (400, "Idempotency-Key")
        assert send(api, method, path, body, name).status_code < 300
        return
    assert first.status_code < 300, first.content
    before = stored()
    again = send(api, method, path, body, name, Idempotency_Key=quoted)
    bare = send(api, method, path, body, name, Idempotency_Key=quoted.strip('"'))
    assert stored() == before
    for answer in (again, bare):
        assert answer.status_code == first.status_code
        assert answer.headers.get("Location") == first.headers.get("Location")
        if name == "startRun":
            assert {**answer.json(), "existing": False} == first.json()
        elif first.content:
            assert answer.json() == first.json()
        if name not in ("startRun", "startRuns"):
            assert answer.headers["Idempotent-Replayed"] == "true"
    if other is not None:
        different = send(api, method, path, other, name, Idempotency_Key=quoted)
        assert (different.status_code, different.json()["code"]) == (422, "idempotency-mismatch")
    elsewhere = api.post("/workflows/look-up/runs", {"input": {"cves": ["x"]}}, Idempotency_Key=quoted)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency-mismatch")
    assert stored() == before


@pytest.mark.parametrize("name", sorted(REQUESTS.keys() - REFUSING))
@pytest.mark.parametrize("bad", ["", '""', "a b", "a,b", '"a', "é", "x" * 256, f'"{"x" * 256}"', '"a", "b"', "a;b"])
def test_a_key_that_is_none_is_refused_everywhere(api, name, bad):
    method = next(method for method, _, each in OPERATIONS if each == name)
    path, body, _ = REQUESTS[name](api)
    before = stored()

    answer = send(api, method, path, body, name, Idempotency_Key=bad)

    assert (answer.status_code, answer.json()["faults"][0]["path"]) == (400, "Idempotency-Key")
    assert stored() == before


def test_another_callers_key_is_another_key(api):
    other = Api(key(Scope.ADMIN, name="other"))

    first = api.post("/subscriptions", SUBSCRIPTION, Idempotency_Key="k").json()
    second = other.post("/subscriptions", SUBSCRIPTION, Idempotency_Key="k").json()

    assert first["id"] != second["id"]


def test_what_was_refused_leaves_no_key_behind(api):
    refused = api.post("/subscriptions", {**SUBSCRIPTION, "url": "ftp://x"}, Idempotency_Key="k")
    accepted = api.post("/subscriptions", SUBSCRIPTION, Idempotency_Key="k")

    assert (refused.status_code, accepted.status_code) == (422, 201)


def test_no_secret_is_kept_with_an_answer(api):
    secret = api.post("/subscriptions", SUBSCRIPTION, Idempotency_Key="k").json()["secret"]
    again = api.post("/subscriptions", SUBSCRIPTION, Idempotency_Key="k").json()["secret"]

    assert again == secret
    assert secret not in IdempotencyKey.objects.get(key="k").answer


def test_a_bulk_start_under_a_key_is_all_or_nothing(api):
    body = {"workflow": "look-up", "inputs": [INPUT] * 1_001}

    first = api.post("/runs/bulk", body, Idempotency_Key="k").json()
    again = api.post("/runs/bulk", body, Idempotency_Key="k").json()

    assert first["count"] == 1_001
    assert again == first
    assert WorkflowRun.objects.count() == 1_001


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
@pytest.mark.parametrize("path", ["/workflows/look-up/runs", "/runs/bulk", "/subscriptions"])
def test_a_condition_that_cannot_be_kept_is_refused(api, name, path):
    answer = api.post(path, {}, **{name: "*"})

    assert (answer.status_code, answer.json()["faults"][0]["path"]) == (400, name)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/runs/bulk", {"workflow": "look-up", "inputs": [INPUT] * 50}),
        ("/subscriptions", SUBSCRIPTION),
        ("/workflows/look-up/runs", {"input": INPUT}),
    ],
    ids=["bulk", "subscribe", "start"],
)
def test_ten_at_once_under_one_key_do_it_once(path, body):
    publish()
    api = Api(key(Scope.ADMIN))
    barrier, answers = threading.Barrier(10), []

    def call():
        try:
            barrier.wait(10)
            answers.append(api.post(path, body, Idempotency_Key="k"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    done = [answer.json() for answer in answers if answer.status_code < 300]
    assert len(answers) == 10
    assert {answer.status_code for answer in answers} <= {201, 202, 409}
    assert done
    assert len({str(each.get("ids") or each["id"]) for each in done}) == 1
