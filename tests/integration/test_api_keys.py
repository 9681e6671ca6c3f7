"""API keys have an owner, an end, networks, a rate, and a secret that can be exchanged: at every door."""

import shlex
from datetime import timedelta
from io import StringIO
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from erip.access import changing, granting, keys
from erip.access.errors import NotFromThere
from erip.access.models import ApiKey, Grant
from erip.access.scopes import Scope
from erip.audit import refusals
from erip.audit.models import Entry
from erip.ops.stack.state import ROOT
from tests.support.api import INPUT, Api, key, publish

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def _cold() -> None:
    keys.forget_cached()


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", password="a-long-password", is_staff=True)


def security_admin() -> Client:
    user = User.objects.create_user("sec", password="a-long-password", is_staff=True)
    Grant.objects.create(role="security-admin", user=user)
    client = Client(raise_request_exception=False)
    client.force_login(user, backend=BACKEND)
    return client


def make(api: Api, **more: Any) -> dict[str, Any]:
    answer = api.post("/keys", {"name": "ci", "owner": "ada", "scope": "viewer", **more})
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_a_key_is_made_read_changed_and_revoked_by_the_api(ada: User) -> None:
    api = Api(key())
    made = make(api, networks=["127.0.0.1", "2001:db8::/32"], rate=1000)
    assert Api(made["key"]).get("/runs").status_code in (200, 403)
    one = f"/keys/{made['number']}"

    read = api.get(one).json()
    assert read == {name: value for name, value in made.items() if name != "key"} | {
        "last_used_at": read["last_used_at"]
    }
    assert (read["owner"], read["networks"], read["status"]) == ("ada", ["127.0.0.1/32", "2001:db8::/32"], "usable")
    assert made["key"].rpartition("_")[2] not in api.get("/keys").content.decode()

    # What was read back is taken again.
    again = {name: read[name] for name in ("owner", "networks", "rate", "expires_at", "sources", "types")}
    assert api.send("PATCH", one, orjson.dumps(again)).json() == api.get(one).json()
    changed = api.send("PATCH", one, orjson.dumps({"rate": None, "networks": []})).json()
    assert (changed["rate"], changed["networks"], changed["owner"]) == (None, [], "ada")

    assert api.post(f"{one}/revoke").json()["status"] == "revoked"
    assert Api(made["key"]).get("/runs").status_code == 401
    assert api.post(f"{one}/rotate").json()["code"] == "key-revoked"
    assert api.send("PATCH", one, b"{}").status_code == 409
    assert api.get("/keys", owner="ada").json()["items"][0]["number"] == made["number"]
    assert api.get("/keys", owner="eve").json()["items"] == []


def test_every_fault_of_a_key_is_named(ada: User) -> None:
    gone = User.objects.create_user("gone", is_active=False)
    api = Api(key())

    for owner in ("nobody", gone.username, "\x01"):
        wrong = {"name": " x ", "owner": owner, "networks": ["10.0.0.1/8"], "expires_at": "2020-01-01T00:00:00Z"}
        answer = api.post("/keys", {**wrong, "sources": ["/erip/*"]})
        paths = {fault["path"] for fault in answer.json()["faults"]}
        assert paths == {"name", "owner", "networks[0]", "expires_at", "sources[0]"}, answer.content
    assert api.post("/keys", {"name": "x"}).json()["faults"] == [
        {"path": "owner", "message": "This field is required."}
    ]
    assert not ApiKey.objects.filter(name__contains="x").exists()
    make(api)
    assert api.post("/keys", {"name": "ci", "owner": "ada"}).json()["code"] == "key-taken"


@pytest.mark.parametrize("arguments", [["--scope=viewer"], ["--scope=viewer", "--owner=nobody"]])
def test_the_command_and_the_admin_make_no_key_without_an_owner(ada: User, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="owner"):
        call_command("create_api_key", "--name=ci", *arguments, stdout=StringIO())
    security_admin().post("/admin/access/apikey/add/", {"name": "ci", "scope": "viewer", "sources": "*", "types": "*"})
    assert not ApiKey.objects.exists()


def test_a_key_opens_nothing_while_its_owner_is_not_active(ada: User) -> None:
    made = keys.create(name="ci", scope=Scope.VIEWER, owner=ada)
    assert Api(made.token).get("/runs").status_code == 200

    ada.is_active = False
    ada.save()
    keys.forget_cached()

    assert Api(made.token).get("/runs").status_code == 401
    api = Api(key())
    assert api.get(f"/keys/{made.row.pk}").json()["status"] == "owner-not-active"
    why = api.get("/access/explain", principal="key:ci", action="workflows.start_run").json()
    assert why["closed"] == "the key's owner is not active"


def test_a_key_of_an_earlier_release_works_on_and_is_shown_with_an_unknown_owner(ada: User) -> None:
    made = keys.create(name="old", scope=Scope.VIEWER)
    client = Client()
    client.force_login(User.objects.create_superuser("root"), backend=BACKEND)

    assert Api(made.token).get("/runs").status_code == 200
    assert "unknown owner" in client.get("/admin/access/apikey/").content.decode()
    assert Api(key()).get(f"/keys/{made.row.pk}").json()["owner"] is None
    call_command("bind_api_key", "--name=old", "--owner=ada", "--network=10.0.0.0/8", "--rate=60", stdout=StringIO())
    row = ApiKey.objects.get(name="old")
    assert (row.owner, row.networks, row.rate, row.sources) == (ada, ["10.0.0.0/8"], 60, ["*"])


def test_a_persons_keys_keep_the_person_from_being_deleted(ada: User) -> None:
    keys.create(name="ci", scope=Scope.VIEWER, owner=ada)
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"), backend=BACKEND)

    assert client.post(f"/admin/auth/user/{ada.pk}/delete/", {"post": "yes"}).status_code in (200, 403)
    assert User.objects.filter(pk=ada.pk).exists()


def test_the_page_on_keys_works_as_it_is_written(ada: User) -> None:
    page = (ROOT / "docs" / "how-to" / "api-keys.md").read_text("utf-8")
    lines = [shlex.split(line)[1:] for line in page.splitlines() if line.startswith("manage.py ")]

    for name, *arguments in lines:
        call_command(name, *arguments, stdout=StringIO(), stderr=StringIO())

    row = ApiKey.objects.get()
    assert (len(lines), row.networks, row.rate, row.owner) == (4, [], None, ada)
    assert abs(row.previous_until - row.rotated_at - timedelta(hours=48)) < timedelta(minutes=1)


# --- rotation


def test_both_secrets_open_the_same_until_the_moment_that_is_named(ada: User) -> None:
    api = Api(key())
    old = make(api)
    until = timezone.now() + timedelta(hours=2)

    new = api.post(f"/keys/{old['number']}/rotate", {"old_until": until.isoformat()}).json()

    assert new["key"] != old["key"]
    assert (new["name"], new["prefix"], new["rotated_by"]) == ("ci", old["prefix"], "key:test admin")
    assert [Api(one["key"]).get("/runs").status_code for one in (old, new)] == [200, 200]
    ApiKey.objects.filter(name="ci").update(previous_until=timezone.now())
    keys.forget_cached()
    assert [Api(one["key"]).get("/runs").status_code for one in (old, new)] == [401, 200]


def test_a_second_exchange_ends_the_secret_before_the_last(ada: User) -> None:
    api = Api(key())
    first = make(api)
    second, third = (api.post(f"/keys/{first['number']}/rotate").json() for _ in range(2))

    assert [Api(one["key"]).get("/runs").status_code for one in (first, second, third)] == [401, 200, 200]
    now = {"old_until": "2020-01-01T00:00:00Z"}
    fourth = api.post(f"/keys/{first['number']}/rotate", now).json()
    assert [Api(one["key"]).get("/runs").status_code for one in (third, fourth)] == [401, 200]
    late = {"old_until": (timezone.now() + timedelta(days=91)).isoformat()}
    assert api.post(f"/keys/{first['number']}/rotate", late).json()["faults"][0]["path"] == "old_until"


def test_a_process_that_remembers_the_key_takes_the_new_secret_too(ada: User) -> None:
    made = keys.create(name="ci", scope=Scope.VIEWER, owner=ada)
    remembered = keys.with_grants().get(pk=made.row.pk)
    new = changing.rotate(made.row.pk, by="test")
    keys.remember(remembered)  # as another process has it, which read it before

    assert keys.authenticate(new.token) is not None
    # Wrong secrets have the row read once a second at the most.
    assert keys.authenticate(new.token[:-3] + "xyz") is None


def test_wrong_secrets_of_a_known_key_cost_a_query_a_second_at_the_most(
    ada: User, django_assert_max_num_queries: Any
) -> None:
    made = keys.create(name="ci", scope=Scope.VIEWER, owner=ada)
    keys.authenticate(made.token)

    with django_assert_max_num_queries(1):
        for number in range(200):
            assert keys.authenticate(f"erip_{made.row.prefix}_{number:040}") is None


def test_nobody_gets_a_secret_of_a_key_that_may_do_more_than_they(ada: User) -> None:
    client = security_admin()
    admin, viewer = (
        keys.create(name=name, scope=scope, owner=ada) for name, scope in (("a", "admin"), ("v", "viewer"))
    )
    granted = keys.create(name="g", scope="", owner=ada)
    granting.make_space("north")
    granting.grant("operator", "key:g", space="north", by="test")

    def rotate(made: keys.NewKey) -> tuple[int, int]:
        by_api = client.post(f"/api/v1/keys/{made.row.pk}/rotate", {}, "application/json").status_code
        return by_api, client.post(f"/admin/access/apikey/{made.row.pk}/rotate/", {"overlap": "24"}).status_code

    assert [rotate(one)[0] for one in (admin, granted, viewer)] == [403, 403, 200]
    assert [rotate(one)[1] for one in (admin, granted)] == [403, 403]
    made = client.post("/api/v1/keys", {"name": "x", "owner": "ada", "scope": "admin"}, "application/json")
    assert made.json()["code"] == "beyond-yours"
    assert not ApiKey.objects.filter(rotated_by="user:sec").exclude(name="v").exists()


def test_nobody_changes_a_key_that_may_do_more_than_they(ada: User) -> None:
    client = security_admin()
    admin, viewer = (
        keys.create(name=name, scope=scope, owner=ada) for name, scope in (("a", "admin"), ("v", "viewer"))
    )

    def change(made: keys.NewKey) -> tuple[int, int]:
        by_api = client.patch(f"/api/v1/keys/{made.row.pk}", {"owner": "sec"}, "application/json")
        form = {"owner": User.objects.get(username="sec").pk, "sources": "*", "types": "*", "networks": ""}
        return by_api.status_code, client.post(f"/admin/access/apikey/{made.row.pk}/change/", form).status_code

    assert change(admin) == (403, 403)
    assert change(viewer)[0] == 200
    assert ApiKey.objects.get(name="a").owner == ada
    assert client.get(f"/admin/access/apikey/{admin.row.pk}/change/").status_code == 200  # to be looked at


def test_the_admin_and_the_command_exchange_a_secret_and_show_it_once(ada: User) -> None:
    made = keys.create(name="ci", scope=Scope.VIEWER, owner=ada)
    client, page = security_admin(), f"/admin/access/apikey/{made.row.pk}/rotate/"
    assert client.get(page).status_code == 200
    assert ApiKey.objects.get().rotated_at is None  # looking changes nothing

    answer = client.post(page, {"overlap": "0"})

    token = answer.context["made"].token
    assert token in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    keys.forget_cached()
    assert (keys.authenticate(made.token), keys.authenticate(token) is not None) == (None, True)
    out = StringIO()
    call_command("rotate_api_key", "--name=ci", "--overlap-hours=1", "--json", stdout=out)
    assert keys.authenticate(orjson.loads(out.getvalue())["key"]) is not None
    assert keys.authenticate(token) is not None
    for arguments in (["--name=none"], ["--name=ci", "--overlap-hours=-1"], ["--name=ci", "--overlap-hours=nan"]):
        with pytest.raises(CommandError):
            call_command("rotate_api_key", *arguments, stdout=StringIO())


# --- networks


def test_a_key_opens_something_from_its_networks_alone(ada: User) -> None:
    publish()
    made = keys.create(name="ci", scope=Scope.ADMIN, owner=ada, allowed=["192.0.2.0/24", "2001:db8::/32"])
    here, there = Api(made.token), Api(made.token)
    here.client.defaults["REMOTE_ADDR"], there.client.defaults["REMOTE_ADDR"] = "192.0.2.7", "198.51.100.7"

    assert here.get("/runs").status_code == 200
    refused = there.post("/workflows/look-up/runs", {"input": INPUT})
    assert (refused.status_code, refused.json()["code"]) == (403, "key-not-from-there")
    # What somebody says of themselves is not believed.
    there.headers["X-Forwarded-For"] = "192.0.2.7"
    assert there.get("/runs").status_code == 403
    refusals.flush()
    left = [orjson.loads(body) for body in Entry.objects.values_list("body", flat=True)]
    assert ("key:ci", "198.51.100.7", 403) in {
        (one.get("principal"), one.get("from"), one.get("status")) for one in left
    }


def test_a_proxy_that_is_trusted_says_where_a_key_comes_from(ada: User, settings: Any) -> None:
    settings.ERIP_TRUSTED_PROXIES = ["198.51.100.7"]
    made = keys.create(name="ci", scope=Scope.ADMIN, owner=ada, allowed=["192.0.2.0/24"])
    api = Api(made.token)
    api.client.defaults["REMOTE_ADDR"] = "198.51.100.7"

    assert api.get("/runs").status_code == 403
    api.headers["X-Forwarded-For"] = "10.1.1.1, 192.0.2.9"
    assert api.get("/runs").status_code == 200
    api.headers["X-Forwarded-For"] = "192.0.2.9, 10.1.1.1"
    assert api.get("/runs").status_code == 403


def test_an_unknown_address_is_in_no_network(ada: User) -> None:
    made = keys.create(name="ci", scope=Scope.ADMIN, owner=ada, allowed=["0.0.0.0/0", "::/0"])
    assert keys.authenticate(made.token, "203.0.113.9") is not None
    with pytest.raises(NotFromThere):
        keys.authenticate(made.token)
    assert keys.remembered(made.token) is None
    assert keys.remembered(made.token, "203.0.113.9") is not None
