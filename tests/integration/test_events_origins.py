"""As whom a caller may send events, what another spelling of a source gains, and who is recorded as the sender."""

import io
import threading
from collections.abc import Callable

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from erip.access import keys, origins
from erip.access.models import ApiKey
from erip.access.scopes import Scope
from tests.integration.test_events_api import journalled, send
from tests.support.api import Api
from tests.support.events import Recorder, consuming, event
from tests.support.server import serving, without_light_path
from tests.workers import until
from workflows.core.cloudevents import BATCH, STRUCTURED
from workflows.events import ingest
from workflows.events.effects import Round
from workflows.events.models import DeadLetter, Event, SourceQuota, SourceUsage

BACKEND = "django.contrib.auth.backends.ModelBackend"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _cold() -> None:
    keys.forget_cached()


def bound(name: str, *sources: str, types: tuple[str, ...] = ("*",)) -> Api:
    made = keys.create(name=name, scope=Scope.OPERATOR, sources=sources or ("*",), types=types)
    return Api(made.token)


def code(answer) -> str:
    return answer.json().get("code", answer.status_code)


def test_a_key_sends_from_its_sources_and_of_its_types_alone() -> None:
    api = bound("nexus", "/feeds/nexus/*", types=("nexus.*", "scan.done"))
    allowed = [event(source="/feeds/nexus/1"), event(source="/feeds/nexus/1", type="scan.done")]

    assert send(api, allowed, BATCH).status_code == 202
    refused = send(
        api, [*allowed, event(source="/feeds/kev"), event(source="/feeds/nexus/2", type="scan.failed")], BATCH
    )

    assert (refused.status_code, code(refused)) == (403, "origin-refused")
    assert refused.json()["faults"] == [
        {"path": "[2].source", "message": "is not one of the sources that this caller is bound to"},
        {"path": "[3].type", "message": "is not one of the types that this caller is bound to"},
    ]
    assert journalled() == 2


def test_other_faults_of_the_request_are_said_too() -> None:
    answer = send(
        bound("nexus", "/feeds/nexus"), [event(source="/x"), {**event(source="/feeds/nexus"), "id": 5}], BATCH
    )

    assert answer.status_code == 422
    assert {fault["path"] for fault in answer.json()["faults"]} == {"[0].source", "[1].id"}


def test_a_key_that_is_bound_to_nothing_sends_nothing() -> None:
    made = keys.create(name="silent", scope=Scope.OPERATOR, sources=(), types=())

    assert send(Api(made.token), event(), STRUCTURED).status_code == 403


@pytest.mark.parametrize("source", ["/FEEDS/../feeds/nexus", "/feeds/./nexus", "/feeds/%6Eexus"])
def test_another_spelling_is_the_same_source(source: str) -> None:
    owner, other = bound("nexus", "/feeds/nexus"), bound("other")

    assert send(owner, event(source=source), STRUCTURED).status_code == 202
    assert send(other, event(source=source), STRUCTURED).status_code == 403


def test_a_source_that_a_key_is_bound_to_is_closed_to_keys_with_a_star_and_to_staff() -> None:
    other = bound("other")
    assert send(other, event(source="/feeds/nexus"), STRUCTURED).status_code == 202

    owner = bound("nexus", "/feeds/nexus")

    assert send(owner, event(source="/feeds/nexus"), STRUCTURED).status_code == 202
    refused = send(other, event(source="/feeds/nexus"), STRUCTURED)
    assert refused.json()["faults"] == [{"path": "source", "message": "is a source that another API key is bound to"}]
    assert send(other, event(source="/feeds/kev"), STRUCTURED).status_code == 202
    root = Client()
    root.force_login(User.objects.create_superuser("root", password="a-long-password"), BACKEND)
    sent = root.post("/api/v1/events", event(source="/feeds/nexus"), content_type=STRUCTURED)
    assert sent.status_code == 403


def test_an_expired_key_keeps_its_sources_and_a_revoked_one_lets_them_go() -> None:
    other = bound("other")
    bound("nexus", "/feeds/nexus")
    row = ApiKey.objects.get(name="nexus")
    ApiKey.objects.filter(pk=row.pk).update(expires_at=timezone.now())
    keys.forget_cached()

    assert send(other, event(source="/feeds/nexus"), STRUCTURED).status_code == 403
    keys.revoke(row.prefix)
    assert send(other, event(source="/feeds/nexus"), STRUCTURED).status_code == 202


RESERVED = [
    {"source": "/erip/workflows/breach-response"}, {"source": "/ERIP/x"}, {"source": "//erip/x"},
    {"source": "/%65rip/x"}, {"source": "erip:x"}, {"source": "/x/../erip/y"},
    {"source": "http://127.0.0.1:8000/erip/x"},
    {"type": "workflow.run.succeeded"}, {"type": "Workflow.Run.Succeeded"}, {"type": "erip.subscription.test"},
]  # fmt: skip


@pytest.mark.parametrize("attributes", RESERVED, ids=str)
@pytest.mark.parametrize("light", [True, False], ids=["light path", "ordinary way"])
def test_nobody_says_what_the_platform_says_itself(attributes: dict[str, str], light: bool) -> None:
    import http.client
    from urllib.parse import urlsplit

    token = keys.create(name="any", scope=Scope.ADMIN).token
    with serving(None if light else without_light_path()) as url:
        link = http.client.HTTPConnection(urlsplit(url).netloc)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": STRUCTURED}
        link.request("POST", "/api/v1/events", orjson.dumps(event(**attributes)), headers)
        answer = link.getresponse()
        problem = orjson.loads(answer.read())
        link.close()

    assert (answer.status, problem["code"]) == (422, "events-invalid")
    assert [fault["path"] for fault in problem["faults"]] == list(attributes)
    assert journalled() == 0


def test_keys_from_before_send_what_is_not_the_platforms_own() -> None:
    made = keys.create(name="old", scope=Scope.OPERATOR)
    # As the migration and a process of the previous release leave the rows: without any origins.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE access_apikey SET sources = DEFAULT, types = DEFAULT")
    keys.forget_cached()
    api = Api(made.token)

    assert send(api, event(source="https://anybody.example/"), STRUCTURED).status_code == 202
    assert send(api, event(source="/erip/workflows/x"), STRUCTURED).status_code == 422


def test_nobody_spends_the_quota_of_a_source_that_is_bound(event_settings: Callable[..., None]) -> None:
    owner, other = bound("nexus", "https://feeds.example/nexus"), bound("other")
    SourceQuota.objects.create(source="https://feeds.example/*", daily=3)
    ingest.forget()

    def sending(api: Api, source: str, count: int) -> int:
        return send(api, [event(source=source) for _ in range(count)], BATCH).status_code

    assert sending(other, "https://feeds.example/nexus", 3) == 403
    assert sending(owner, "https://feeds.example/nexus", 2) == 202
    # Another spelling uses up the same quota.
    assert sending(owner, "HTTPS://FEEDS.example:443/x/../nexus", 2) == 429
    assert SourceUsage.objects.get().source == "https://feeds.example/nexus"


def test_the_sender_is_recorded_with_the_event_however_many_send_at_once() -> None:
    clients = [bound(f"feed {n}") for n in range(6)]
    barrier = threading.Barrier(len(clients))

    def sending(number: int) -> None:
        barrier.wait()
        batch = [event(source=f"/feeds/{number}", subject=f"s{place % 3}") for place in range(20)]
        assert send(clients[number], batch, BATCH).status_code == 202
        connection.close()

    threads = [threading.Thread(target=sending, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with consuming(Recorder()):
        until(lambda: Event.objects.count() == 120)

    assert set(Event.objects.values_list("source", "sender")) == {(f"/feeds/{n}", f"key:feed {n}") for n in range(6)}
    shown = clients[0].get("/events", limit=200).json()["items"]
    assert {(one["event"]["source"], one["sender"]) for one in shown} == {
        (f"/feeds/{n}", f"key:feed {n}") for n in range(6)
    }
    one = clients[0].get(f"/events/{shown[0]['position']}").json()
    assert one["sender"] == shown[0]["sender"]


def test_a_member_of_staff_is_recorded_as_the_sender_and_the_admin_shows_it() -> None:
    member = User.objects.create_superuser("ro\\ot\ttab", password="a-long-password")
    client = Client()
    client.force_login(member, BACKEND)
    assert client.post("/api/v1/events", event(), content_type=STRUCTURED).status_code == 202
    with consuming(Recorder()):
        until(lambda: Event.objects.count() == 1)

    assert Event.objects.get().sender == "user:ro\\ot\ttab"
    assert "user:ro\\ot" in client.get("/admin/events/logentry/").content.decode()


class Refusing(Recorder):
    def refuse(self, round: Round) -> None:
        for each in round.events:
            round.reject(each, effect=self.name, code="x", message="never")


def test_a_dead_letter_names_the_sender() -> None:
    api = bound("feed")
    send(api, event(), STRUCTURED)
    with consuming(Refusing()):
        until(lambda: DeadLetter.objects.exists())

    assert api.get("/events/dead-letters").json()["items"][0]["sender"] == "key:feed"


def test_the_commands_bind_keys_and_say_what_is_wrong_with_a_pattern() -> None:
    out = io.StringIO()
    User.objects.create_user("ola")
    bound_to = ["--source=/feeds/nexus/*", "--type=nexus.*"]
    call_command("create_api_key", "--name=nexus", "--owner=ola", "--scope=operator", *bound_to, stdout=out)
    assert (ApiKey.objects.get().sources, ApiKey.objects.get().types) == (["/feeds/nexus/*"], ["nexus.*"])

    call_command("bind_api_key", "--name=nexus", "--source=/feeds/a", "--source=/feeds/b", stdout=out)
    assert (ApiKey.objects.get().sources, ApiKey.objects.get().types) == (["/feeds/a", "/feeds/b"], ["nexus.*"])
    with pytest.raises(CommandError, match=r"sources\[0\].*platform itself.*types\[0\].*platform itself"):
        call_command("bind_api_key", "--name=nexus", "--source=/ERIP/*", "--type=workflow.*", stdout=out)
    with pytest.raises(CommandError, match="no API key"):
        call_command("bind_api_key", "--name=other", "--source=*", stdout=out)


def test_the_admin_binds_keys() -> None:
    # Nobody changes a key that may do more than they may.
    member = User.objects.create_superuser("ada", password="a-long-password")
    client = Client()
    client.force_login(member, BACKEND)
    row = keys.create(name="nexus", scope=Scope.OPERATOR).row
    page = f"/admin/access/apikey/{row.pk}/change/"

    refused = client.post(page, {"sources": "/feeds/*\r\n/erip/*", "types": "*", "owner": member.pk})
    assert "platform itself" in refused.content.decode()
    form = {"sources": "/feeds/a,b\r\n/feeds/c\r\n", "types": "*", "name": "x", "scope": "admin", "owner": member.pk}
    assert client.post(page, form).status_code == 302

    row.refresh_from_db()
    assert (row.sources, row.types, row.name, row.scope) == (["/feeds/a,b", "/feeds/c"], ["*"], "nexus", "operator")


def test_what_keys_are_bound_to_is_read_once_a_second(django_assert_num_queries) -> None:
    keys.create(name="nexus", scope=Scope.OPERATOR, sources=["/feeds/*"])
    origins.forget()

    with django_assert_num_queries(1):
        for number in range(50):
            assert origins.UNBOUND.refuses_source(f"/other/{number}") is None
