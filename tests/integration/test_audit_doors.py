"""Every door leaves one entry in the audit log, in the transaction of the change.

The API's operations come from its OpenAPI document, with the requests of the sweep of idempotency keys.
"""

import asyncio
import re
from datetime import timedelta

import orjson
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import get_commands
from django.db import connection
from django.test import Client
from django.utils import timezone

from erip.access import callers
from erip.access.models import ApiKey
from erip.access.scopes import Scope
from erip.audit import commands, exempt, refusals
from erip.foundation.http.door import Door
from people.models import Delegation
from tests.integration.test_idempotency_keys import (
    DECISIONS,
    DOCUMENT,
    OF_PEOPLE,
    REQUESTS,
    SCHEDULE,
    SUBSCRIPTION,
    approval,
    board_member,
    on_call,
    schedule,
    send,
)
from tests.support.api import DEFINITION, Api, key, publish

pytestmark = pytest.mark.django_db(transaction=True)

CHANGING = [
    (method.upper(), path, operation["operationId"])
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in ("post", "patch", "put", "delete")
]
RULE = {
    "summary": "Much waits", "severity": "page", "metric": "erip_lane_waiting_steps", "where": {"lane": "standard"},
    "by": ["lane"], "above": 2, "keep_firing_for": "0s", "runbook": "work-late",
}  # fmt: skip
TRIGGER = {"workflow": "look-up", "rule": {"event": "acme.found", "input": {"cves": []}}}
PLAN = {"people": {"ana": ["ana-mail"]}, "rotations": {}}
CHANNEL = {"kind": "mail", "address": "ana@example.org"}


def made(api: Api, method: str, path: str, body: object) -> str:
    answer = api.send(method, path, orjson.dumps(body))
    assert answer.status_code < 300, answer.content
    return path


SECRET = {"provider": "files", "everywhere": True}
#: for each operation that is not in the sweep of idempotency keys: its path and body
OTHERS = {
    "putAlertChannel": lambda api: ("/alerts/channels/ben-mail", CHANNEL),
    "deleteAlertChannel": lambda api: (made(api, "PUT", "/alerts/channels/cy-mail", CHANNEL), None),
    "putOnCall": lambda api: ("/alerts/on-call", {"plan": PLAN}),
    "endOnCallOverride": lambda api: (f"/alerts/on-call/overrides/{override(api)}", None),
    "putAlertRule": lambda api: ("/alerts/rules/one-more", {"rule": RULE}),
    "deleteAlertRule": lambda api: (made(api, "PUT", "/alerts/rules/another", {"rule": RULE}), None),
    "releaseApproval": lambda api: (f"/approvals/{approval()}/claim", None),
    "revokeDelegation": lambda api: (f"/delegations/{given()}", None),
    "publishDecisionTable": lambda api: ("/decisions/audited", DECISIONS),
    "putTrigger": lambda api: ("/triggers/stored", TRIGGER),
    "deleteTrigger": lambda api: (made(api, "PUT", "/triggers/gone", TRIGGER), None),
    "endSilence": lambda api: (f"/alerts/silences/{silence(api)}", None),
    "putEventType": lambda api: ("/event-types/test.audited", {"schema": {"type": "object"}}),
    "putFlag": lambda api: ("/flags/look-up", {"everyone": True}),
    "deleteFlag": lambda api: (made(api, "PUT", "/flags/look-up", {"percent": 5}), None),
    "putSecret": lambda api: ("/secrets/other", SECRET),
    "deleteSecret": lambda api: (made(api, "PUT", "/secrets/gone", SECRET), None),
    "putSchedule": lambda api: ("/schedules/other", {"schedule": SCHEDULE}),
    "deleteSchedule": lambda api: (f"/schedules/{schedule()}", None),
    "unsubscribe": lambda api: (f"/subscriptions/{api.post('/subscriptions', SUBSCRIPTION).json()['id']}", None),
    "publishWorkflow": lambda api: ("/workflows/audited", DEFINITION.replace("look-up", "audited").encode()),
}


#: operations that take several transactions: the entry is in the first
SEVERAL = {
    "triggerSchedule": "notes the trigger, then starts the run, then notes the run",
    "backfillSchedule": "starts runs in portions",
    "replayEvents": "starts runs in portions",
}


#: operations whose entry has no before and after, and why
UNCHANGED = {
    "startRun": "adds a run, which it names",
    "startRuns": "adds runs, which it names",
    "acceptEvents": "adds events to the log of events",
    "replayEvents": "reads the log of events again; the runs that it starts have entries",
    "triggerSchedule": "adds a run; the schedule stays",
    "backfillSchedule": "adds runs; the schedule stays",
    "testAlertChannel": "sends a message",
    "testSubscription": "sends an event",
    "redeliver": "sends an event again",
    "openRun": "reads a run",
    "openEvent": "reads an event",
    "exportPerson": "reads runs",
    "applyRetention": "what it removes is in its certificates",
}


def override(api: Api) -> int:
    return api.post("/alerts/on-call/overrides", {**on_call(api), "reason": "a"}).json()["id"]


def silence(api: Api) -> int:
    body, _ = REQUESTS["addSilence"](api)[1:]
    return api.post("/alerts/silences", body).json()["id"]


def entries(after: int = 0) -> list[dict]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, xid, body, changes FROM audit_entry WHERE id > %s ORDER BY id", [after])
        return [
            {"id": number, "xid": xid, **orjson.loads(body), **({"changes": orjson.loads(changes)} if changes else {})}
            for number, xid, body, changes in cursor.fetchall()
        ]


def given() -> int:
    """A delegation of the board member of the sweep."""
    ends = timezone.now() + timedelta(days=1)
    return Delegation.objects.create(delegator="user:ada", delegate="user:ben", ends_at=ends, made_by="user:ada").pk


def newest() -> int:
    return max((each["id"] for each in entries()), default=0)


#: what writes: also within WITH
WRITES = re.compile(r"\b(?:INSERT INTO|DELETE FROM|UPDATE \"?[a-z]+_)", re.IGNORECASE)
#: tables that doors write to beside what they are asked for: of the key that is used
ASIDE = re.compile(r'"(?:access_apikey|django_session)"|INTO audit_entry')


class Statements:
    """What statements do: `entry` (before COMMIT), `write`, or `alone` (a write that gets its own transaction)."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute, sql, params, many, context):
        alone = not connection.in_atomic_block
        result = execute(sql, params, many, context)
        if "pg_current_xact_id_if_assigned" in sql:
            # The hook before COMMIT: it writes an entry if anything was changed.
            self.seen += ["entry"] * context["cursor"].rowcount
        elif WRITES.search(sql) and not ASIDE.search(sql):
            self.seen.append("alone" if alone else "write")
        return result


def test_every_operation_of_the_api_leaves_one_entry_in_the_transaction_of_its_change(settings):
    # Nothing takes the runs, and on a busy machine this takes longer than a lane may wait.
    settings.ERIP_LANE_BOUNDS = dict.fromkeys(settings.ERIP_LANE_BOUNDS, 1e6)
    publish()
    api, person = Api(key(Scope.ADMIN)), board_member()
    wrong = {}
    # What deletes goes last: others need what it deletes.
    for method, _, name in sorted(CHANGING, key=lambda each: each[0] == "DELETE"):
        if name not in REQUESTS and name not in OTHERS:
            continue
        path, body = (REQUESTS[name](api)[:2]) if name in REQUESTS else OTHERS[name](api)
        last, statements = newest(), Statements()
        of_person = name in OF_PEOPLE or name == "revokeDelegation"
        with connection.execute_wrapper(statements):
            headers = {"Content-Type": "application/yaml"} if name == "publishWorkflow" else {}
            answer = send(person if of_person else api, method, path, body, name, **headers)
        if answer.status_code >= 300:
            wrong[name] = (answer.status_code, answer.content[:300])
            continue
        left = [each for each in entries(last) if each["kind"] == "operation"]
        if name in exempt.READING:
            if left:
                wrong[name] = "leaves an entry"
            continue
        if not any(one.keys() & {"before", "after", "changes"} for one in left) and name not in UNCHANGED:
            wrong[name] = "does not say what was before and after"
            continue
        by = "user:ada" if of_person else "key:test admin"
        if len(left) != 1 or left[0]["action"] != name or left[0]["principal"] != by:
            wrong[name] = left
            continue
        # Once, after all that was written, and in one transaction with it. A single statement is given a transaction
        # after it was seen here.
        seen = [each for each in statements.seen if each != "write"]
        if name in SEVERAL:
            assert "entry" in seen or not statements.seen
        elif (
            name not in exempt.BY_THEMSELVES
            and statements.seen
            and ("entry" not in seen or statements.seen[-1] == "write" or seen.count("alone") > 1)
        ):
            wrong[name] = statements.seen

    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())


def test_every_operation_is_in_the_sweep():
    assert {name for _, _, name in CHANGING} - REQUESTS.keys() - OTHERS.keys() == set()


def test_every_command_leaves_an_entry_or_is_named_with_a_reason():
    """Each that is not named goes through the same function; one of them is run in test_audit.py."""
    changing = get_commands().keys() - exempt.COMMANDS.keys()

    assert changing == {
        "access", "archive_runs", "audit", "backfill", "backup", "bind_api_key", "bootstrap", "break_glass",
        "changepassword", "clearsessions", "evidence", "flags",
        "create_api_key", "createsuperuser", "decisions", "drill", "ensure_admin", "events", "flush", "forget_logins",
        "generateschema", "load_kev", "loaddata", "migrate", "move", "privacy", "remove_stale_contenttypes",
        "roles", "rotate_api_key", "runs", "secrets", "shell", "shipped", "sign_ins",
    }  # fmt: skip
    for name in changing:
        before = newest()
        with commands.audited(["manage.py", name]):
            pass
        assert [each["action"] for each in entries(before)] == [f"command:{name}"]


@pytest.fixture
def browser() -> Client:
    client = Client(raise_request_exception=False)
    User.objects.create_superuser("root", password="a-long-password")
    assert client.post("/admin/login/", {"username": "root", "password": "a-long-password"}).status_code == 302
    return client


def left_by(act) -> list[tuple[str, str]]:
    before = newest()
    answer = act()
    assert answer.status_code in (200, 302), answer.status_code
    return [(each["action"], each.get("object", "")) for each in entries(before) if each["kind"] == "operation"]


def test_what_is_done_in_the_admin_leaves_one_entry_each(browser):
    assert [(each["action"], each["principal"]) for each in entries()] == [("sign-in", "user:root")]
    root = User.objects.get().pk
    add = {"name": "from the admin", "scope": "viewer", "owner": root, "sources": "*", "types": "*"}
    assert left_by(lambda: browser.post("/admin/access/apikey/add/", add)) == [("admin:access_apikey_add", "")]
    made = ApiKey.objects.get(name="from the admin").pk
    change = {"owner": root, "sources": "a*", "types": "*"}
    assert left_by(lambda: browser.post(f"/admin/access/apikey/{made}/change/", change)) == [
        ("admin:access_apikey_change", f"access.apikey/{made}")
    ]
    revoke = {"action": "revoke", "_selected_action": [made]}
    assert left_by(lambda: browser.post("/admin/access/apikey/", revoke)) == [
        ("admin:access_apikey_changelist#revoke", "")
    ]
    group = {"name": "auditors"}
    assert left_by(lambda: browser.post("/admin/auth/group/add/", group)) == [("admin:auth_group_add", "")]
    number = Group.objects.get().pk
    assert left_by(lambda: browser.post(f"/admin/auth/group/{number}/delete/", {"post": "yes"})) == [
        ("admin:auth_group_delete", f"auth.group/{number}")
    ]
    assert Group.objects.count() == 0
    assert left_by(lambda: browser.post("/admin/logout/")) == [("sign-out", "")]


def test_sign_ins_that_fail_and_access_that_is_refused_leave_entries_without_what_was_typed():
    User.objects.create_user("ada", password="a-long-password", is_staff=True)
    client = Client(raise_request_exception=False)
    for name in ("ada", "hunter2-typed-into-the-wrong-field"):
        client.post("/admin/login/", {"username": name, "password": "wrong-password"})
    Api(key(Scope.VIEWER)).post("/runs/bulk", {})
    Api().post("/runs/bulk", {})
    refusals.flush()

    left = {(each["action"], each.get("principal", ""), each.get("object", ""), each["outcome"]) for each in entries()}
    assert ("sign-in", "", "user:ada", "refused") in left
    assert ("startRuns", "key:test viewer", "", "refused") in left
    assert ("startRuns", "", "", "refused") in left
    assert "hunter2" not in str(entries())
    assert "wrong-password" not in str(entries())


def test_a_stranger_who_is_refused_at_the_front_door_leaves_an_entry():
    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/runs/bulk", "headers": [(b"content-length", b"2")],
        "client": ("192.0.2.9", 1),
    }  # fmt: skip
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Door(None, callers)(scope, None, send))
    refusals.flush()

    assert sent[0]["status"] == 401
    (left,) = [each for each in entries() if each.get("from") == "192.0.2.9"]
    assert (left["object"], left["outcome"], left["status"]) == ("/api/v1/runs/bulk", "refused", 401)
