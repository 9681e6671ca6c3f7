"""Feature flags and kill switches: each one closes its door, whoever turns it is noted, and to ask costs nothing."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from io import StringIO
from typing import Any

import orjson
import pytest
import waffle
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.management import CommandError, call_command, get_commands
from django.db import OperationalError, connection, transaction
from django.template import engines
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from erip.access.flags import asking, stored
from erip.access.flags.asking import features
from erip.access.models import Flag, Space
from erip.access.scopes import Scope
from erip.audit.commands import audited
from erip.foundation import hooks
from erip.ops.stack.state import ROOT
from tests.definitions import publish
from tests.integration.test_chunks import ECHO
from tests.integration.test_scim import Provider
from tests.support.api import Api, key
from tests.support.events import Recorder, accept, consuming, event
from tests.support.races import together
from tests.support.receiver import receiving
from tests.workers import until
from workflows import engine
from workflows.events import subscriptions
from workflows.events.deliveries import Deliverer
from workflows.events.models import Delivery, Event
from workflows.events.queries import Filter
from workflows.events.replaying import replay
from workflows.models import Chunk, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def private_targets(settings: Any) -> None:
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = True


OFF = stored.Wanted(everyone=False, note="INC-77")
SAMPLE = "look-up"


def off(name: str) -> None:
    stored.put(name, OFF, by="test")


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# --- each kill switch closes its door, and opens it again


def what_if() -> None:
    api = Api(key(Scope.ADMIN))
    for path in ("/workflows/none/what-if", "/decisions/none/what-if"):
        assert api.post(path, {"version": 1}).status_code == 404
        off("what-if")
        answer = api.post(path, {"version": 1})
        assert (told(answer), answer.headers["Retry-After"]) == ((503, "switched-off"), "30")
        stored.reset("what-if")
        assert api.post(path, {"version": 1}).status_code == 404


def scim() -> None:
    provider = Provider()
    off("scim")
    refused = provider.send("POST", "/Users", {"schemas": [], "userName": "ada"})
    assert (refused.status_code, refused.json()["status"]) == (503, "503")
    assert not User.objects.filter(username="ada").exists()
    stored.put("scim", stored.Wanted(on_for=[f"key:{provider.name}"]), by="test")
    assert provider.person("ada")["userName"] == "ada"


def event_streams() -> None:
    api = Api(key(Scope.OPERATOR))
    off("event-streams")
    assert told(api.get("/events/stream")) == (503, "switched-off")
    stored.put("event-streams", stored.Wanted(percent=Decimal(100)), by="test")
    # The answer would never end: HEAD says what it would be.
    assert api.send("HEAD", "/events/stream", b"").status_code == 200


def chunks() -> None:
    publish(ECHO.replace("USES", "sample.echo").replace("WITH", "{value: 1}"))
    requests = [engine.StartRequest({"n": n}) for n in range(40)]
    stored.put("chunks", stored.Wanted(off_for=["workflow:chunked"]), by="test")
    engine.start_runs("chunked", requests, principal="t")
    assert (Chunk.objects.count(), WorkflowRun.objects.count()) == (0, 40)
    stored.reset("chunks")
    engine.start_runs("chunked", requests, principal="t")
    assert Chunk.objects.exists()


def event_effects() -> None:
    recorder, really, asked = Recorder(), asking.is_on, []

    def note(name: str, *about: str) -> bool:
        asked.append(name)
        return really(name, *about)

    off("event-effects")
    with pytest.MonkeyPatch.context() as patch, consuming(recorder):
        patch.setattr(asking, "is_on", note)
        accept([event(id="1")])
        before = len(asked)
        # Loops have turned since: what they would have taken, they have not.
        until(lambda: len(asked) > before + 8)
        assert (recorder.ids, Event.objects.count()) == ([], 0)
        stored.reset("event-effects")
        until(lambda: recorder.ids == ["1"])


def webhook_deliveries() -> None:
    with receiving() as receiver:
        made = subscriptions.subscribe(url=receiver.url, types=["*"], principal="t")
        subscriptions.send_test(made.subscription.pk, principal="t")
        off("webhook-deliveries")
        deliverer = Deliverer()
        try:
            assert not deliverer.take()
            assert Delivery.objects.get().state == "PENDING"
            stored.reset("webhook-deliveries")
            until(lambda: Delivery.objects.get().state == "DELIVERED")
        finally:
            deliverer.stop()


def event_replays() -> None:
    off("event-replays")
    with pytest.raises(asking.SwitchedOff):
        replay(Filter(), "triggers", by="key:ci")
    with pytest.raises(CommandError, match="event-replays"):
        call_command("events", "replay", "triggers", "--execute", "--after", "2026-01-01T00:00:00Z")
    call_command("events", "replay", "triggers", "--after", "2026-01-01T00:00:00Z", stdout=StringIO())
    stored.reset("event-replays")
    assert replay(Filter(), "triggers", by="key:ci").events == 0


CLOSES: dict[str, Callable[[], None]] = {
    "what-if": what_if,
    "scim": scim,
    "event-streams": event_streams,
    "chunks": chunks,
    "event-effects": event_effects,
    "webhook-deliveries": webhook_deliveries,
    "event-replays": event_replays,
}
#: shown by another test
ELSEWHERE = {"sign-in-by-provider": "test_sign_in_oidc.py", SAMPLE: "it is the sample's"}


@pytest.mark.parametrize("name", CLOSES)
def test_a_kill_switch_closes_its_door_and_opens_it_again(name):
    CLOSES[name]()


def test_every_flag_is_shown_to_close_something_and_is_in_the_documentation():
    assert asking.features().keys() == CLOSES.keys() | ELSEWHERE.keys()
    page = (ROOT / "docs" / "how-to" / "flags.md").read_text()
    shown = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert shown == asking.features().keys() - {SAMPLE}


# --- asking


def test_to_ask_reads_once_a_second_whatever_is_said():
    stored.put(SAMPLE, stored.Wanted(percent=Decimal(50), on_for=[]), by="test")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        for number in range(1_000):
            asking.is_on(SAMPLE, f"user:{number}")
            asking.is_on("chunks", "workflow:a")
    # How many seconds that took is the machine's affair.
    assert len(asked) < 100


def test_a_change_by_another_process_holds_here_without_a_word():
    assert not asking.is_on(SAMPLE)
    # As another process would: nothing in this one hears of it.
    Flag.objects.create(name=SAMPLE, everyone=True)
    until(lambda: asking.is_on(SAMPLE), what="the change is seen")
    Flag.objects.all().delete()
    until(lambda: not asking.is_on(SAMPLE), what="that it is taken back is seen")


class Away:
    """The server does not answer whoever asks for flags."""

    def __init__(self) -> None:
        self.tries = 0

    def __call__(self, execute: Any, sql: str, *more: Any) -> Any:
        if "access_flag" not in sql:
            return execute(sql, *more)
        self.tries += 1
        raise OperationalError("the server is away")


def test_while_the_database_is_away_what_was_read_last_holds_and_what_was_never_read_is_off():
    off("webhook-deliveries")
    assert (asking.is_on("webhook-deliveries"), asking.is_on("scim")) == (False, True)
    away = Away()
    with connection.execute_wrapper(away):
        until(lambda: asking.is_on("scim") and away.tries, what="it tried to read")
        assert (asking.is_on("webhook-deliveries"), asking.is_on("scim")) == (False, True)
        asking.forget()
        kill_switches = asking.features().keys() - {SAMPLE}
        assert [name for name in kill_switches if asking.is_on(name)] == []
        assert asking.explain("scim")[1] == "not known: the database was never reached"
    asking.forget()
    assert asking.is_on("scim")


@pytest.mark.parametrize(
    "hide",
    ["ALTER TABLE access_flag RENAME TO elsewhere", "REVOKE ALL ON access_flag FROM CURRENT_USER"],
    ids=["before its migration", "by a role that may not read it"],
)
def test_where_nothing_can_be_read_all_are_as_the_release_has_them_and_the_callers_transaction_goes_on(hide: str):
    with transaction.atomic(), connection.cursor() as cursor:
        Flag.objects.create(name=SAMPLE)
        cursor.execute(hide)
        asking.forget()
        assert {name: asking.is_on(name) for name in asking.features()} == {
            name: one.on for name, one in asking.features().items()
        }
        assert "cannot be read here" in asking.explain("scim")[1]
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
        transaction.set_rollback(True)
    asking.forget()


def test_who_asks_in_a_transaction_that_has_failed_leaves_the_others_to_read():
    with transaction.atomic():
        transaction.set_rollback(True)
        asking.forget()
        assert asking.explain("scim")[1] == "not known: the database was never reached"
    assert asking.is_on("scim")


def test_a_flag_of_which_this_release_knows_nothing_is_off_and_is_listed_if_something_is_said_of_it():
    Flag.objects.create(name="of-a-later-release", everyone=True)
    asking.forget()
    assert not asking.is_on("of-a-later-release")
    items = {one["name"]: one for one in Api(key(Scope.ADMIN)).get("/flags").json()["items"]}
    assert (items["of-a-later-release"]["known"], items["of-a-later-release"]["said"]["everyone"]) == (False, True)
    assert Api(key(Scope.ADMIN, "b")).send("DELETE", "/flags/of-a-later-release", b"").status_code == 204
    assert not Flag.objects.exists()


# --- as django-waffle asks


def test_django_waffles_calls_ask_the_same_and_nobody_gets_a_cookie():
    User.objects.create_user("ada")
    stored.put(SAMPLE, stored.Wanted(on_for=["user:ada"], percent=Decimal(0)), by="test")
    template = engines["django"].from_string("{% load waffle_tags %}{% flag 'look-up' %}on{% else %}off{% endflag %}")
    seen = []
    for user in (User.objects.get(), AnonymousUser()):
        request = RequestFactory().get(f"/?{SAMPLE}=1&dwft_{SAMPLE}=1")
        request.user = user
        seen.append((waffle.flag_is_active(request, SAMPLE), template.render({"request": request}, request)))
        assert not hasattr(request, "waffles")
    assert seen == [(True, "on"), (False, "off")]
    assert waffle.switch_is_active("chunks")
    assert not waffle.switch_is_active("none-such")

    for path in ("/api/v1/flags", "/health/live", "/api/docs"):
        assert not Client().get(path).cookies


def test_django_waffles_own_commands_and_tables_are_not_there():
    assert [name for name in get_commands() if "waffle" in name] == []
    assert [name for name in connection.introspection.table_names() if name.startswith("waffle")] == []


# --- changing


@pytest.mark.parametrize(
    ("name", "body", "paths"),
    [
        (SAMPLE, {}, {""}),
        (SAMPLE, {"note": "why"}, {""}),
        (SAMPLE, {"percent": 100.5, "everyone": "yes", "on": 1}, {"percent", "everyone", "on"}),
        (SAMPLE, {"percent": "5", "on_for": "user:ada"}, {"percent", "on_for"}),
        (SAMPLE, {"percent": 0.05, "on_for": ["user:nobody", "space:none"]}, {"percent", "on_for[0]", "on_for[1]"}),
        (SAMPLE, {"percent": True}, {"percent"}),
        (SAMPLE, {"on_for": ["user:", "x", "chain:1"], "off_for": ["key:none"]},
         {"on_for[0]", "on_for[1]", "on_for[2]", "off_for[0]"}),
        (SAMPLE, {"on_for": ["workflow:a", "workflow:a"], "off_for": ["workflow:a"]}, {"on_for[1]", "off_for[0]"}),
        (SAMPLE, {"on_for": ["user:a\0"]}, {"on_for[0]"}),
        (SAMPLE, {"everyone": True, "on_for": ["user:a\n"], "note": "\x1b[2J"}, {"on_for[0]", "note"}),
        (SAMPLE, {"on_for": [f"workflow:{n}" for n in range(201)]}, {"on_for"}),
        ("event-effects", {"percent": 5, "off_for": ["user:ada"]}, {"percent", "off_for[0]"}),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_named_at_once(name, body, paths):
    answer = Api(key(Scope.ADMIN)).send("PUT", f"/flags/{name}", orjson.dumps(body))

    assert answer.status_code == 422, answer.content
    assert {fault["path"] for fault in answer.json()["faults"]} == paths
    assert not Flag.objects.exists()


def test_what_was_set_is_what_is_read_back():
    User.objects.create_user("ada")
    Space.objects.create(name="breach")
    api = Api(key(Scope.ADMIN))
    body = {"everyone": None, "off_for": ["space:breach"], "on_for": ["user:ada"], "percent": 12.5, "note": "a"}

    assert api.send("PUT", f"/flags/{SAMPLE}", orjson.dumps(body)).status_code == 200
    said = api.get(f"/flags/{SAMPLE}").json()["said"]
    assert {name: said[name] for name in body} == body
    assert said["changed_by"] == "key:test admin"
    assert api.get("/flags/none-such").status_code == 404
    assert told(api.send("PUT", "/flags/none-such", b'{"everyone": true}')) == (404, "unknown-flag")


def test_who_sets_a_new_flag_together_with_others_takes_turns():
    shares = [Decimal(number) for number in range(1, 7)]
    together([partial(stored.put, SAMPLE, stored.Wanted(percent=share), by="test") for share in shares])

    assert Flag.objects.get().percent in shares


def test_who_may_look_may_not_change():
    api = Api(key(Scope.OPERATOR))
    assert api.get("/flags").status_code == 200
    assert api.send("PUT", f"/flags/{SAMPLE}", b'{"everyone": true}').status_code == 403
    assert Api(key(Scope.VIEWER)).get("/flags").status_code == 403
    assert Api().get("/flags").status_code == 401


def changes() -> list[tuple[str, Any, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry ORDER BY id")
        bodies = [orjson.loads(body) for (body,) in cursor.fetchall()]
    return [
        (f"{one['door']} {one['principal'].partition(':')[0]}", one.get("before"), one.get("after"))
        for one in bodies
        if one.get("object") == f"flag:{SAMPLE}"
    ]


def test_the_admin_shows_every_flag_of_the_release_though_nobody_has_said_anything_of_it():
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="a-long-password"))
    page = client.get("/admin/access/flag/").content.decode()
    assert [name for name in features() if f"/admin/access/flag/put/?name={name}" not in page] == []
    chosen = client.get(f"/admin/access/flag/put/?name={SAMPLE}").content.decode()
    assert re.search(rf'<option value="{re.escape(SAMPLE)}"\s+selected', chosen)

    reader = User.objects.create_user("ann", password="a-long-password", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_flag"))
    client.force_login(reader)
    page = client.get("/admin/access/flag/").content.decode()
    assert SAMPLE in page
    assert "flag/put/?name=" not in page, "whoever may only look is offered nothing to set"


def test_the_admin_and_the_command_do_the_same_and_all_doors_say_what_was_before_and_after():
    user = User.objects.create_superuser("root", password="a-long-password")
    client = Client()
    client.force_login(user)
    api = Api(key(Scope.ADMIN))
    api.send("PUT", f"/flags/{SAMPLE}", b'{"percent": 5}')
    given = {"name": SAMPLE, "everyone": "", "off_for": "user:root\n", "on_for": "", "percent": "7.5", "note": "b"}
    assert client.post("/admin/access/flag/put/", given).status_code == 302
    page = client.get("/admin/access/flag/").content.decode()
    assert "off for user:root; else on in 7.5 %" in page
    with audited(["manage.py", "flags", "set", SAMPLE]):
        call_command("flags", "set", SAMPLE, "--off", stdout=StringIO())
    row = Flag.objects.get()
    assert client.post("/admin/access/flag/", {"action": "reset", "_selected_action": [row.pk]}).status_code == 302
    assert not Flag.objects.exists()

    shown = [
        (door, before and before["percent"], after and (after["percent"], after["everyone"]))
        for door, before, after in changes()
    ]
    assert [one[1:] for one in shown] == [
        (None, (5.0, None)), (5.0, (7.5, None)), (7.5, (None, False)), (None, None)
    ]  # fmt: skip
    assert [one[0].split()[1] for one in shown] == ["key", "user", "os", "user"]


def test_the_command_lists_asks_and_names_what_is_wrong():
    out = StringIO()
    stored.put(SAMPLE, stored.Wanted(percent=Decimal(100)), by="test")
    call_command("flags", "list", stdout=out)
    assert re.search(r"^look-up +release: off; operator: percent 100\.0$", out.getvalue(), re.MULTILINE)
    out = StringIO()
    call_command("flags", "list", "--json", stdout=out)
    assert {one["name"] for one in orjson.loads(out.getvalue())} == asking.features().keys()
    out = StringIO()
    call_command("flags", "ask", SAMPLE, "--about", "user:ada", stdout=out)
    assert out.getvalue() == "look-up: on, in 100.0 %\n"
    for wrong in (["set", SAMPLE], ["set", "none", "--on"], ["reset", "none"], ["set", SAMPLE, "--percent", "101"]):
        with pytest.raises(CommandError):
            call_command("flags", *wrong)


def test_a_flag_of_an_own_package_is_one_like_any_other():
    own = hooks.Feature("acme.new-score", "The old score counts.", share_of="runs", about=("space",))
    with hooks.feature.only(own):
        assert asking.features() == {"acme.new-score": own}
        stored.put("acme.new-score", stored.Wanted(percent=Decimal(100)), by="test")
        assert asking.is_on("acme.new-score", "run:1")
