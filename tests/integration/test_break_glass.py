"""Rights in an emergency: two people, a reason, minutes; loud; over by itself; reviewed."""

import shlex
import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction
from django.db.models.functions import Now
from django.test import Client

from console.emergencies import emergencies
from console.viewers import viewers
from erip.access import break_glass, granting, keys
from erip.access.break_glass_models import BreakGlass
from erip.access.management.commands import break_glass as command
from erip.access.scopes import Scope
from erip.audit.models import Entry
from erip.ops.stack.state import ROOT
from monitoring import break_glass as loud
from monitoring import reaching
from tests.support.api import INPUT, Api, publish
from workflows import engine

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
ASK = {"permissions": ["workflows.cancel_run"], "reason": "INC-77: a feed floods the lane bulk", "minutes": 30}
PASSWORD = "a-long-password"


@pytest.fixture(autouse=True)
def _cold() -> Any:
    keys.forget_cached()
    viewers.forget()
    emergencies.clear()
    yield
    viewers.forget()
    emergencies.clear()


def person(name: str, role: str = "viewer") -> Api:
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    if role:
        granting.grant(role, f"user:{name}", by="test")
    return signed_in(user)


def signed_in(user: User) -> Api:
    api = Api()
    api.client.force_login(user, backend=BACKEND)
    return api


def asked(api: Api, **more: Any) -> int:
    answer = api.post("/break-glass", {**ASK, **more})
    assert answer.status_code == 201, answer.content
    return int(answer.json()["number"])


@pytest.fixture
def ada() -> Api:
    publish()
    return person("ada")


@pytest.fixture
def ben() -> Api:
    return person("ben", "security-admin")


def may_cancel(api: Api) -> bool:
    """Whether they may cancel runs: one that there is not is looked for by those who may."""
    status = api.post(f"/runs/{uuid.uuid4()}/cancel").status_code
    assert status in (403, 404)
    return status == 404


def run() -> str:
    return str(engine.start_runs("look-up", [engine.StartRequest(INPUT)], principal="test")[0].id)


def entries(after: int) -> list[dict[str, Any]]:
    bodies = Entry.objects.filter(id__gt=after).order_by("id").values_list("body", flat=True)
    return [orjson.loads(one) if isinstance(one, str | bytes) else one for one in bodies]


def newest() -> int:
    return Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0


def move(number: int, **by: float) -> None:
    """As if it had been asked for, and granted, that much earlier. Triggers refuse that to everybody else."""
    earlier = timedelta(**by)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE access_breakglass DISABLE TRIGGER USER")
        try:
            row = BreakGlass.objects.get(pk=number)
            row.asked_at -= earlier
            if row.granted_at is not None and row.ends_at is not None:
                row.granted_at, row.ends_at = row.granted_at - earlier, row.ends_at - earlier
                row.seal = row.sealed()
            row.save()
        finally:
            cursor.execute("ALTER TABLE access_breakglass ENABLE TRIGGER USER")


def test_before_during_and_after(ada: Api, ben: Api) -> None:
    number_of_run = run()
    assert not may_cancel(ada)
    number = asked(ada)
    assert not may_cancel(ada)
    last = newest()

    granted = ben.post(f"/break-glass/{number}/grant").json()

    assert (granted["state"], granted["granted_by"], granted["asked_by"]) == ("active", "user:ben", "user:ada")
    assert ada.post(f"/runs/{number_of_run}/cancel").status_code == 200
    assert ada.post("/runs/retry", {"filter": {"ids": []}}).status_code == 403  # nothing but what was asked for
    marked = [one for one in entries(last) if one.get("break_glass") == number]
    assert [(one["action"], one["principal"]) for one in marked] == [("cancelRun", "user:ada")]
    move(number, minutes=29)
    assert may_cancel(ada)
    move(number, minutes=2)
    assert not may_cancel(ada)
    assert ada.get("/break-glass").json()["items"][0]["state"] == "ended"
    last = newest()
    assert ada.get("/runs").status_code == 200
    assert entries(last) == []


def test_what_is_read_meanwhile_is_recorded_once_a_minute(ada: Api, ben: Api) -> None:
    ben.post(f"/break-glass/{asked(ada)}/grant")
    last = newest()
    for _ in range(3):
        assert ada.get("/runs").status_code == 200
    assert ben.get("/runs").status_code == 200
    assert [(one["action"], one["principal"]) for one in entries(last)] == [("listRuns", "user:ada")]


@pytest.mark.parametrize("by", ["herself", "security"])
def test_it_can_be_ended_early(ada: Api, ben: Api, by: str) -> None:
    number = asked(ada)
    ben.post(f"/break-glass/{number}/grant")
    other = person("cy", "operator")
    assert other.post(f"/break-glass/{number}/end").status_code == 403

    ended = (ada if by == "herself" else ben).post(f"/break-glass/{number}/end").json()

    assert ended["state"] == "ended"
    assert not may_cancel(ada)
    again = ben.post(f"/break-glass/{number}/end").json()
    assert again["ended_by"] == ended["ended_by"]


def test_somebody_else_reviews_it_once_and_afterwards(ada: Api, ben: Api) -> None:
    number, text = asked(ada), {"review": "Cancelled 3 runs of the feed; right."}
    assert ben.post(f"/break-glass/{number}/review", text).status_code == 409
    ben.post(f"/break-glass/{number}/grant")
    assert ben.post(f"/break-glass/{number}/review", text).status_code == 409
    ben.post(f"/break-glass/{number}/end")
    granting.grant("security-admin", "user:ada", by="test")
    assert ada.post(f"/break-glass/{number}/review", text).status_code == 403

    done = ben.post(f"/break-glass/{number}/review", text).json()

    assert (done["state"], done["reviewed_by"], done["reviewed_at"] is not None) == ("reviewed", "user:ben", True)
    assert ben.post(f"/break-glass/{number}/review", text).status_code == 409


def test_nobody_gets_it_alone(ada: Api, ben: Api) -> None:
    granting.grant("security-admin", "user:ada", by="test")
    number = asked(ada)
    # herself, in another session too
    assert ada.post(f"/break-glass/{number}/grant").status_code == 403
    assert signed_in(User.objects.get(username="ada")).post(f"/break-glass/{number}/grant").status_code == 403
    # by keys, whoever owns them
    for owner in ("ada", "ben"):
        key = keys.create(name=f"of {owner}", scope=Scope.ADMIN, owner=User.objects.get(username=owner))
        assert Api(key.token).post(f"/break-glass/{number}/grant").status_code == 403
        assert Api(key.token).post("/break-glass", ASK).status_code == 403
    # too late
    move(number, minutes=61)
    assert ben.post(f"/break-glass/{number}/grant").status_code == 409
    assert ada.get("/break-glass").json()["items"][0]["state"] == "lapsed"
    # taken back
    number = asked(ada)
    ada.post(f"/break-glass/{number}/end")
    assert ben.post(f"/break-glass/{number}/grant").status_code == 409
    # again
    number = asked(ada)
    assert ben.post(f"/break-glass/{number}/grant").status_code == 200
    assert ben.post(f"/break-glass/{number}/grant").status_code == 409
    move(number, minutes=31)
    assert ben.post(f"/break-glass/{number}/grant").status_code == 409
    # somebody who is not of security
    assert person("cy", "operator").post(f"/break-glass/{asked(ada)}/grant").status_code == 403
    # somebody who is gone
    number = asked(ada)
    User.objects.filter(username="ada").update(is_active=False)
    assert ben.post(f"/break-glass/{number}/grant").status_code == 409
    assert BreakGlass.objects.get(pk=number).granted_at is None


def test_every_fault_of_a_request_is_named(ada: Api) -> None:
    bad = {
        "permissions": ["*", "access.add_grant", "auth.change_user", "no.such", "workflows.cancel_run"],
        "reason": " ",
        "minutes": 61,
    }
    answer = ada.post("/break-glass", {**bad, "minutes": 60, "reason": "x"})
    assert answer.status_code == 422
    assert [one["path"] for one in answer.json()["faults"]] == [f"permissions[{n}]" for n in range(4)]
    for change in ({"minutes": 61}, {"minutes": 0}, {"permissions": []}, {"reason": ""}, {"reason": " "}):
        assert ada.post("/break-glass", {**ASK, **change}).status_code == 422, change
    assert not BreakGlass.objects.exists()


def inserted(
    permissions: str = "permissions", minutes: int = 5, seal: str = "''", more: str = "", values: str = ""
) -> str:
    """A request like the one of this number, written by hand."""
    return (
        "INSERT INTO access_breakglass (holder_id, permissions, reason, minutes, granted_by, ended_by, reviewed_by,"
        f" review, seal{more}) SELECT holder_id, {permissions}, reason, {minutes}, '', '', '', '', {seal}{values}"
        " FROM access_breakglass WHERE id = %s"
    )


#: what the application's role tries by itself; %s is the number of a request of ada's that nobody has granted
ALONE = {
    "born granted": inserted(
        more=", granted_at, ends_at", values=", statement_timestamp(), statement_timestamp() + interval '5 minutes'"
    ),
    "born sealed": inserted(seal="'x'"),
    "born said": inserted(more=", begin_said_at", values=", statement_timestamp()"),
    "for longer": inserted(minutes=61),
    "everything": inserted(permissions="'{*}'"),
    "nothing": inserted(permissions="'{}'"),
    "granted by herself": "UPDATE access_breakglass SET granted_by = 'user:ada', granted_at = now() WHERE id = %s",
    "granted by nobody": "UPDATE access_breakglass SET granted_by = '', granted_at = now() WHERE id = %s",
    "granted by one who is not": "UPDATE access_breakglass SET granted_by = 'user:x', granted_at = now() WHERE id = %s",
    "granted by a key": "UPDATE access_breakglass SET granted_by = 'key:ci', granted_at = now() WHERE id = %s",
    "an end without a grant": "UPDATE access_breakglass SET ends_at = now() + interval '9 hours' WHERE id = %s",
    "other permissions": "UPDATE access_breakglass SET permissions = '{workflows.open_sensitive}' WHERE id = %s",
    "more minutes": "UPDATE access_breakglass SET minutes = 60 WHERE id = %s",
    "another person": "UPDATE access_breakglass SET holder_id = (SELECT id FROM auth_user WHERE username = 'ben')"
    " WHERE id = %s",
    "asked anew": "UPDATE access_breakglass SET asked_at = now() + interval '1 day' WHERE id = %s",
    "reviewed before": "UPDATE access_breakglass SET reviewed_by = 'user:ben', reviewed_at = now(), review = 'x'"
    " WHERE id = %s",
    "removed": "DELETE FROM access_breakglass WHERE id = %s",
}
#: the same of one that was granted
AFTERWARDS = {
    "longer": "UPDATE access_breakglass SET ends_at = ends_at + interval '1 minute' WHERE id = %s",
    "granted again": "UPDATE access_breakglass SET granted_at = now() WHERE id = %s",
    "another granter": "UPDATE access_breakglass SET granted_by = 'user:ada' WHERE id = %s",
    "not granted": "UPDATE access_breakglass SET granted_at = NULL, ends_at = NULL, granted_by = '' WHERE id = %s",
    "sealed anew": "UPDATE access_breakglass SET seal = 'x' WHERE id = %s",
    "its end said before": "UPDATE access_breakglass SET end_said_at = now() WHERE id = %s",
    "reviewed before it is over": ALONE["reviewed before"],
    "removed": ALONE["removed"],
}


def refused(statement: str, number: int) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [number])
    except Error:
        return True
    return False


def test_postgresql_refuses_every_way_round(ada: Api, ben: Api) -> None:
    number = asked(ada)
    assert [name for name, statement in ALONE.items() if not refused(statement, number)] == []
    assert BreakGlass.objects.count() == 1
    ben.post(f"/break-glass/{number}/grant")
    assert [name for name, statement in AFTERWARDS.items() if not refused(statement, number)] == []
    ben.post(f"/break-glass/{number}/end")
    assert refused("UPDATE access_breakglass SET ended_at = NULL, ended_by = '' WHERE id = %s", number)


def test_what_is_written_by_hand_gives_nothing_and_is_loud_all_the_same(ada: Api, ben: Api) -> None:
    # Two names can be written, with times that PostgreSQL sets; what cannot be written is the seal.
    assert not refused(inserted(), asked(ada))
    number = BreakGlass.objects.order_by("-id").values_list("id", flat=True)[0]
    far = "UPDATE access_breakglass SET granted_by = 'user:ben', granted_at = '2099-01-01', ends_at = '2099-01-02'"
    assert not refused(f"{far}, begin_said_at = now(), seal = 'x' WHERE id = %s", number)
    row = BreakGlass.objects.get(pk=number)
    assert row.granted_at is not None
    assert row.ends_at is not None
    assert (row.ends_at - row.granted_at, row.granted_at.year < 2099) == (timedelta(minutes=5), True)
    for seal in ("", "x", "a:b", row.sealed()[::-1]):
        BreakGlass.objects.filter(pk=number, seal="").update(seal=seal)
        assert not may_cancel(ada)
    # Not with the seal of another one, either.
    other = asked(ada)
    ben.post(f"/break-glass/{other}/grant")
    ben.post(f"/break-glass/{other}/end")
    third = asked(ada)
    BreakGlass.objects.filter(pk=third).update(granted_by="user:ben", granted_at=Now())
    BreakGlass.objects.filter(pk=third).update(seal=BreakGlass.objects.get(pk=other).seal)
    assert not may_cancel(ada)
    reaching.put_channel("all", {"kind": "mail", "address": "all@example.org", "hears": "all"}, by="test")
    loud.announce()
    assert len(pages()) == 3


def test_events_that_are_sent_under_it_are_marked(ada: Api, ben: Api) -> None:
    ben.post(f"/break-glass/{asked(ada, permissions=['events.add_event'])}/grant")
    last = newest()
    event = orjson.dumps({"specversion": "1.0", "id": "1", "source": "/test", "type": "test.happened"})
    assert ada.send("POST", "/events", event, Content_Type="application/cloudevents+json").status_code < 300
    assert [(one["action"], "break_glass" in one) for one in entries(last)] == [("acceptEvents", True)]


def pages() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT target, body ->> 'severity', body ->> 'title' FROM monitoring_page ORDER BY created_at, target"
        )
        return list(cursor.fetchall())


def test_everybody_on_call_hears_of_it_and_a_ticket_asks_for_the_review(ada: Api, ben: Api) -> None:
    for name, hears in (("all", "all"), ("night", "pages"), ("ana-mail", "none"), ("cy-mail", "none")):
        reaching.put_channel(name, {"kind": "mail", "address": f"{name}@example.org", "hears": hears}, by="test")
    plan = {
        "people": {"ana": ["ana-mail"], "cy": ["cy-mail"]},
        "rotations": {
            name: {"zone": "UTC", "starts": "2026-01-05", "at": ["09:00"], "days": 7, "people": [who]}
            for name, who in (("first", "ana"), ("second", "cy"))
        },
    }
    put = Api(keys.create(name="admin", scope=Scope.ADMIN).token).send(
        "PUT", "/alerts/on-call", orjson.dumps({"plan": plan})
    )
    assert put.status_code < 300, put.content
    number = asked(ada)
    loud.announce()
    assert pages() == []

    ben.post(f"/break-glass/{number}/grant")
    loud.announce()
    loud.announce()

    said = pages()
    assert {target for target, _, _ in said} == {"channel:all", "channel:night", "channel:ana-mail", "channel:cy-mail"}
    assert {severity for _, severity, _ in said} == {"page"}
    assert "user:ada may workflows.cancel_run until" in said[0][2]
    ben.post(f"/break-glass/{number}/end")
    loud.announce()
    loud.announce()
    assert [(target, severity) for target, severity, _ in pages()[len(said) :]] == [("channel:all", "ticket")]
    assert "review" in pages()[-1][2]


def test_every_page_of_the_console_says_so(ada: Api, ben: Api) -> None:
    def shown(client: Client, path: str) -> bool:
        emergencies.forget()
        return b"Emergency access: ada may workflows.cancel_run" in client.get(path).content

    number = asked(ada)
    assert not shown(ben.client, "/console/health")
    ben.post(f"/break-glass/{number}/grant")
    assert shown(ben.client, "/console/health")
    assert shown(ben.client, "/console/health?part=live")
    ben.post(f"/break-glass/{number}/end")
    assert not shown(ben.client, "/console/health")


def test_the_page_on_break_glass_works_as_it_is_written(ada: Api, ben: Api, monkeypatch: Any) -> None:
    page = (ROOT / "docs" / "how-to" / "break-glass.md").read_text("utf-8")
    request = page.partition("POST /api/v1/break-glass\n")[2].partition("```")[0]
    number = asked(ada, **orjson.loads(request))
    ben.post(f"/break-glass/{number}/grant")
    ben.post(f"/break-glass/{number}/end")
    monkeypatch.setattr(command, "getpass", lambda prompt: PASSWORD)
    lines = [shlex.split(line)[1:] for line in page.splitlines() if line.startswith("manage.py ")]
    assert [line[1] for line in lines] == ["ask", "grant", "end", "review", "list"]

    for name, *arguments in lines:
        made = str(BreakGlass.objects.order_by("-id").values_list("id", flat=True)[0])
        call_command(name, *(made if one == "7" else one for one in arguments), stdout=StringIO())

    assert break_glass.state_of(break_glass.listed()[0]) == "reviewed"


def test_two_people_with_a_shell_get_it_and_one_does_not(ada: Api, ben: Api, monkeypatch: Any) -> None:
    typed = {"ada": PASSWORD, "ben": PASSWORD}
    monkeypatch.setattr(command, "getpass", lambda prompt: next(typed[name] for name in typed if name in prompt))

    def run_it(*arguments: str) -> str:
        out = StringIO()
        call_command("break_glass", *arguments, stdout=out)
        return out.getvalue()

    said = run_it("ask", "workflows.cancel_run", "--reason", "INC-77", "--minutes", "30", "--as", "ada")
    number = said.partition(":")[0]
    with pytest.raises(CommandError):
        run_it("grant", number, "--as", "ada")
    typed["ben"] = "wrong"
    with pytest.raises(CommandError):
        run_it("grant", number, "--as", "ben")
    typed["ben"] = PASSWORD
    assert "active" in run_it("grant", number, "--as", "ben")
    assert may_cancel(ada)
    assert "ended" in run_it("end", number, "--as", "ben")
    assert "reviewed" in run_it("review", number, "--text", "Cancelled 3 runs of the feed; right.", "--as", "ben")
    assert number in run_it("list")
    assert break_glass.find_one(int(number)).reviewed_by == "user:ben"
