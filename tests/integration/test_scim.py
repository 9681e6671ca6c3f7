"""SCIM 2.0: an identity provider brings people and groups, and reaches nobody else."""

import json
import random
import re
import shlex
from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from erip.access import granting, keys
from erip.access.models import ApiKey, Factor, Grant, Identity, ScimGroup, ScimUser, SignedIn
from erip.access.scim import filters, service
from erip.audit.models import Entry
from erip.audit.operation import current
from erip.ops.stack.state import ROOT
from tests.fuzz import hostile
from tests.support.api import Api, publish

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER, GROUP = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
#: what fails is not made smaller: each example is several requests
BOUNDED: Any = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class Provider:
    """An identity provider with its key."""

    def __init__(self, role: str = "provisioner") -> None:
        made = keys.create(name=f"provider {uuid4()}", scope="")
        if role:
            granting.grant(role, f"key:{made.row.name}", by="test")
        self.name, self.token = made.row.name, made.token
        self.client = Client(raise_request_exception=False)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        media = named.pop("Content-Type", "application/scim+json")
        named["Authorization"] = f"Bearer {self.token}"
        return self.client.generic(method, f"/scim/v2{path}", content, content_type=media, headers=named)

    def person(self, username: str, **more: Any) -> dict[str, Any]:
        answer = self.send("POST", "/Users", {"schemas": [USER], "userName": username, **more})
        assert answer.status_code == 201, answer.content
        return answer.json()

    def group(self, name: str, *members: str, **more: Any) -> dict[str, Any]:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in members], **more}
        answer = self.send("POST", "/Groups", body)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> Any:
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def found(self, kind: str, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"/scim/v2/{kind}", query, headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def provider() -> Iterator[Provider]:
    keys.forget_cached()
    yield Provider()
    keys.forget_cached()


def refused(answer: Any, status: int, kind: str | None = None) -> bool:
    said = answer.json()
    assert answer["Content-Type"].startswith("application/scim+json")
    assert said["schemas"] == [ERROR]
    return (answer.status_code, said["status"], said.get("scimType")) == (status, str(status), kind)


def served(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The platform as a WSGI application in the transaction of the test."""
    content = environ.pop("wsgi.input").read()
    sent = {name: value for name, value in environ.items() if not name.startswith("wsgi.")}
    method, path = sent.pop("REQUEST_METHOD"), sent.pop("PATH_INFO")
    media = sent.pop("CONTENT_TYPE", "application/scim+json")
    answer = Client(raise_request_exception=False).generic(method, path, content, content_type=media, **sent)
    start_response(f"{answer.status_code} {answer.reason_phrase}", list(answer.headers.items()))
    return [answer.content]


# --- the protocol


def test_the_public_conformance_run_finds_no_fault(provider: Provider) -> None:
    headers = {"Authorization": f"Bearer {provider.token}"}
    results = check_server(WSGISCIMClient(served, "http://testserver/scim/v2", headers))

    good = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED}
    wrong = [f"{one.title} {one.resource_type}: {one.reason}" for one in results if one.status not in good]
    # An account is active or not: an attribute that is taken away has its default again (RFC 7643, section 2.5).
    assert [one for one in wrong if one != "check_remove_attribute User: Attribute 'active' was not removed"] == []
    assert sum(one.status is Status.SUCCESS for one in results) > 60


def test_pages_and_filters_find_what_fits(provider: Provider) -> None:
    for number in range(7):
        provider.person(
            f"p{number}@example.org",
            externalId=f"x{number}",
            active=number % 2 == 0,
            name={"familyName": "Odd" if number % 2 else "Even"},
            emails=[{"value": f"P{number}@Mail.example", "type": "work", "primary": True}],
        )
    User.objects.create_user("local")
    page = provider.found("Users", startIndex=3, count=2)
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (7, 3, 2)
    assert [one["userName"] for one in page["Resources"]] == ["p2@example.org", "p3@example.org"]
    assert provider.found("Users", startIndex=2**70)["totalResults"] == 7
    assert provider.found("Users", count=0)["totalResults"] == 7
    expected = {
        'userName eq "P3@EXAMPLE.ORG"': [3],
        'externalId eq "X3"': [],
        'externalId eq "x3" or userName sw "p5"': [3, 5],
        'userName co "4@" and active eq true': [4],
        "active eq false": [1, 3, 5],
        "not (active eq false)": [0, 2, 4, 6],
        'emails eq "p2@mail.example"': [2],
        'emails[type eq "work" and value eq "p2@mail.example"]': [2],
        'emails[type eq "home" and value eq "p2@mail.example"]': [],
        'name.familyName eq "odd" and not (userName sw "p3")': [1, 5],
        "groups pr": [],
        'userName ew "6@example.org" or name.familyName ne "even"': [1, 3, 5, 6],
        'meta.created lt "2000-01-01T00:00:00Z"': [],
        'userName eq ""': [],
    }
    for asked, numbers in expected.items():
        found = provider.found("Users", filter=asked)
        assert [one["userName"] for one in found["Resources"]] == [f"p{n}@example.org" for n in numbers], asked
        assert found["totalResults"] == len(numbers)
    search = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "active eq false",
        "count": 1,
    }
    answer = provider.send("POST", "/Users/.search", search).json()
    assert (answer["totalResults"], len(answer["Resources"])) == (3, 1)


@settings(max_examples=30, **BOUNDED)
@given(data=st.data())
def test_what_postgresql_says_of_a_filter_is_what_the_library_says(provider: Provider, data: Any) -> None:
    """Whatever the filter: the page is what trying it on everybody gives."""
    names = ["ada", "Ben.B", "çelik", "x_.y"]
    for place, name in enumerate(names):
        if not ScimUser.objects.filter(user__username=name).exists():
            provider.person(
                name,
                externalId=name.upper(),
                active=place != 1,
                emails=[{"value": f"{name}@a.example", "type": "work"}],
            )
    texts = st.sampled_from([*names, "ADA", "a", "%", "_", "", "BEN.B", "ada@a.example", "\\", "İ"])
    attributes = st.sampled_from(["userName", "externalId", "displayName", "emails.value", "emails", "id"])
    operators = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "le"])
    leaf = st.one_of(
        st.builds(lambda a, o, t: f"{a} {o} {orjson.dumps(t).decode()}", attributes, operators, texts),
        st.sampled_from(["active eq true", "active ne true", "externalId pr", "not (displayName pr)"]),
        st.builds(lambda t: f'emails[type eq "work" and value eq {orjson.dumps(t).decode()}]', texts),
    )
    asked = data.draw(
        st.recursive(
            leaf,
            lambda inner: st.one_of(
                st.builds(lambda a, b: f"({a}) and ({b})", inner, inner),
                st.builds(lambda a, b: f"({a}) or ({b})", inner, inner),
                st.builds(lambda a: f"not ({a})", inner),
            ),
            max_leaves=4,
        )
    )
    from scim2_models import ScimFilter

    from erip.access.scim import people, schemas

    everybody = people.shown(people.found(filters.EVERYBODY.condition))
    bound = ScimFilter[schemas.User](asked)

    found = provider.found("Users", filter=asked)

    assert [one["id"] for one in found.get("Resources", [])] == [one.id for one in everybody if bound.match(one)]


def test_an_etag_keeps_one_change_from_undoing_another(provider: Provider) -> None:
    ada = provider.person("ada")
    path, tag = f"/Users/{ada['id']}", ada["meta"]["version"]
    assert provider.send("GET", path, If_None_Match=tag).status_code == 304
    change = {"op": "replace", "path": "displayName", "value": "Ada L"}
    assert provider.patch(path, change, If_Match=tag).status_code in (200, 204)

    assert refused(provider.patch(path, {**change, "value": "other"}, If_Match=tag), 412)
    assert refused(provider.send("DELETE", path, If_Match=tag), 412)
    now = provider.send("GET", path)
    assert now.json()["displayName"] == "Ada L"
    assert now["ETag"] == now.json()["meta"]["version"] != tag


def test_what_entra_id_sends_is_understood(provider: Provider) -> None:
    ada, ben = provider.person("ada@a.example"), provider.person("ben@a.example")
    path = f"/Users/{ada['id']}"
    group = provider.group("Desk", externalId=str(uuid4()))
    members = f"/Groups/{group['id']}"

    def inside() -> set[str]:
        return {one["value"] for one in provider.send("GET", members).json().get("members", [])}

    answers = [
        provider.patch(
            path,
            {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ada@work.example"},
            {"op": "Replace", "path": "name.givenName", "value": "Ada"},
            {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "1"},
            {
                "op": "Add",
                "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                "value": "x",
            },
        ),
        provider.patch(path, {"op": "Replace", "path": "active", "value": "False"}),
        provider.patch(
            members, {"op": "Add", "path": "members", "value": [{"value": ada["id"]}, {"value": ben["id"]}]}
        ),
        provider.patch(members, {"op": "Add", "path": "members", "value": [{"value": ada["id"]}]}),
    ]
    assert [answer.status_code for answer in answers] == [204] * 4
    shown = provider.send("GET", path).json()
    assert (shown["active"], shown["name"]["givenName"]) == (False, "Ada")
    assert [one["value"] for one in shown["emails"]] == ["ada@work.example"]
    assert "phoneNumbers" not in shown
    assert [one["display"] for one in shown["groups"]] == ["Desk"]
    assert inside() == {ada["id"], ben["id"]}
    assert provider.patch(members, {"op": "Remove", "path": f'members[value eq "{ada["id"]}"]'}).status_code == 204
    assert inside() == {ben["id"]}
    gone = {"op": "Remove", "path": "members", "value": [{"value": ben["id"]}]}
    assert provider.patch(members, gone).status_code == 204
    assert inside() == set()
    asked = f'members eq "{ben["id"]}" and id eq "{group["id"]}"'
    assert provider.found("Groups", filter=asked)["totalResults"] == 0
    assert provider.found("Groups", filter='displayName eq "desk"', excludedAttributes="members")["totalResults"] == 1


def test_what_okta_sends_is_understood(provider: Provider) -> None:
    okta = {
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "userName": "ada@a.example",
        "name": {"givenName": "Ada", "familyName": "L"},
        "emails": [{"primary": True, "value": "ada@a.example", "type": "work"}],
        "displayName": "Ada L",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
    }
    made = provider.send("POST", "/Users", okta)
    assert made.status_code == 201, made.content
    ada = made.json()
    assert "password" not in ada
    assert not User.objects.get(username="ada@a.example").has_usable_password()
    path = f"/Users/{ada['id']}"
    assert provider.send("PUT", path, {**okta, "displayName": "Ada"}).json()["displayName"] == "Ada"
    assert provider.patch(path, {"op": "replace", "value": {"active": False}}).status_code == 204
    assert User.objects.get(username="ada@a.example").is_active is False
    group = provider.group("Desk", ada["id"])
    whole = {"op": "replace", "value": {"id": group["id"], "displayName": "Desk North"}}
    assert provider.patch(f"/Groups/{group['id']}", whole).status_code in (200, 204)
    replaced = {"op": "replace", "path": "members", "value": []}
    assert provider.patch(f"/Groups/{group['id']}", replaced).status_code == 204
    assert (Group.objects.get().name, Group.objects.get().user_set.count()) == ("Desk North", 0)


# --- what follows


def test_a_person_who_is_set_inactive_is_out_at_once(provider: Provider) -> None:
    publish()
    ada = provider.person("ada")
    account = User.objects.get(username="ada")
    granting.grant("viewer", "user:ada", by="test")
    made = keys.create(name="adas", scope="viewer", owner=account)
    machine, browser = Api(made.token), Client(raise_request_exception=False)
    browser.force_login(account, backend=BACKEND)
    assert (machine.get("/runs").status_code, browser.get("/api/v1/runs").status_code) == (200, 200)

    assert provider.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": False}).status_code == 204

    assert (machine.get("/runs").status_code, browser.get("/api/v1/runs").status_code) == (401, 401)
    assert not SignedIn.objects.filter(user=account).exists()
    # What was granted by hand stays, for when they come back; the session does not.
    assert Grant.objects.filter(user=account).count() == 1
    assert provider.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": True}).status_code == 204
    assert (machine.get("/runs").status_code, browser.get("/api/v1/runs").status_code) == (200, 401)


def test_a_person_who_is_removed_leaves_no_way_in_and_comes_back_as_the_same_person(provider: Provider) -> None:
    ada = provider.person("ada", name={"familyName": "Lovelace"}, emails=[{"value": "ada@a.example"}])
    provider.group("Desk", ada["id"])
    account = User.objects.get(username="ada")
    account.set_password("a-long-password")
    account.save()
    Factor.objects.create(user=account, kind="totp")
    Identity.objects.create(user=account, provider="corp", issuer="https://idp.example.com", subject="00u1")
    keys.create(name="adas", scope="viewer", owner=account)

    assert provider.send("DELETE", f"/Users/{ada['id']}").status_code == 204

    assert refused(provider.send("GET", f"/Users/{ada['id']}"), 404)
    assert refused(provider.send("DELETE", f"/Users/{ada['id']}"), 404)
    assert provider.found("Users")["totalResults"] == 0
    account.refresh_from_db()
    assert (account.is_active, account.has_usable_password(), account.email, account.last_name) == (
        False,
        False,
        "",
        "",
    )
    assert not account.groups.exists()
    assert not Factor.objects.exists()
    assert not Identity.objects.exists()
    assert ApiKey.objects.get(name="adas").revoked_at is not None
    assert ScimUser.objects.get().attributes == {}
    again = provider.person("ada")
    assert again["id"] != ada["id"]
    assert ScimUser.objects.get().user_id == account.pk
    assert not User.objects.get(username="ada").has_usable_password()


def test_a_group_has_what_was_granted_to_it_and_its_members_have_it_too(provider: Provider) -> None:
    publish()
    ada = provider.person("ada")
    group = provider.group("Desk", ada["id"])
    browser = Client(raise_request_exception=False)
    browser.force_login(User.objects.get(username="ada"), backend=BACKEND)
    assert browser.get("/api/v1/runs").status_code == 403

    granting.grant("viewer", "group:Desk", by="test")
    assert browser.get("/api/v1/runs").status_code == 200

    gone = {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'}
    assert provider.patch(f"/Groups/{group['id']}", gone).status_code == 204
    assert browser.get("/api/v1/runs").status_code == 403
    # The grant outlives the group that the provider removes, and counts for the one that it brings again.
    assert provider.send("DELETE", f"/Groups/{group['id']}").status_code == 204
    assert provider.found("Groups")["totalResults"] == 0
    assert Grant.objects.get(key=None).group == Group.objects.get(name="Desk")
    provider.group("Desk", ada["id"])
    assert browser.get("/api/v1/runs").status_code == 200


def test_nobody_and_nothing_that_was_made_here_is_within_reach(provider: Provider) -> None:
    local, root = User.objects.create_user("local", is_staff=True), User.objects.create_superuser("root")
    admins = Group.objects.create(name="Admins")
    admins.user_set.add(local)
    granting.grant("platform-admin", "group:Admins", by="test")
    ada = provider.person("ada")
    desk = provider.group("Desk", ada["id"])
    Group.objects.get(name="Desk").user_set.add(local)

    assert refused(provider.send("POST", "/Users", {"schemas": [USER], "userName": "LOCAL"}), 409, "uniqueness")
    assert refused(provider.send("POST", "/Users", {"schemas": [USER], "userName": "root"}), 409, "uniqueness")
    assert refused(provider.send("POST", "/Groups", {"schemas": [GROUP], "displayName": "admins"}), 409, "uniqueness")
    rename = {"op": "replace", "path": "displayName", "value": "Admins"}
    assert refused(provider.patch(f"/Groups/{desk['id']}", rename), 409, "uniqueness")
    assert refused(
        provider.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "userName", "value": "root"}), 400, "mutability"
    )
    for account in (local, root, admins):
        for kind in ("Users", "Groups"):
            assert refused(provider.send("DELETE", f"/{kind}/{account.pk}"), 404)
    inside = {"op": "add", "path": "members", "value": [{"value": str(root.pk)}]}
    assert refused(provider.patch(f"/Groups/{desk['id']}", inside), 400, "invalidValue")
    # Whoever was put into a group here stays in it, and is not shown.
    assert [one["value"] for one in provider.send("GET", f"/Groups/{desk['id']}").json()["members"]] == [ada["id"]]
    assert provider.patch(f"/Groups/{desk['id']}", {"op": "replace", "path": "members", "value": []}).status_code == 204
    assert [one.username for one in Group.objects.get(name="Desk").user_set.all()] == ["local"]
    # Nor is whoever became a superuser here.
    User.objects.filter(username="ada").update(is_superuser=True)
    off = {"op": "replace", "path": "active", "value": False}
    assert refused(provider.patch(f"/Users/{ada['id']}", off), 403)
    assert refused(provider.send("DELETE", f"/Users/{ada['id']}"), 403)
    assert User.objects.filter(is_active=True).count() == 3


def test_only_who_may_comes_in_and_is_answered_in_scims_own_form(provider: Provider) -> None:
    stranger = Client(raise_request_exception=False)
    for path in ("/Users", "/ServiceProviderConfig", f"/Users/{uuid4()}"):
        assert refused(stranger.get(f"/scim/v2{path}"), 401)
        assert refused(Provider("viewer").send("GET", path), 403)
    assert refused(provider.send("GET", "/Nothing"), 404)
    assert refused(provider.send("PUT", "/Users"), 405)
    assert Api(provider.token).get("/runs").status_code == 403


def test_each_change_is_in_the_audit_log_without_names_and_addresses(provider: Provider) -> None:
    last = Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    ada = provider.person("ada", emails=[{"value": "ada-secret@a.example"}], name={"familyName": "Lovelace"})
    group = provider.group("Desk", ada["id"])
    provider.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": False})
    provider.send("DELETE", f"/Groups/{group['id']}")

    left = [entry.body for entry in Entry.objects.filter(id__gt=last).order_by("id")]
    bodies = [orjson.loads(one) if isinstance(one, str | bytes) else one for one in left]
    assert [(one["action"], one["door"], one["principal"]) for one in bodies] == [
        (action, "scim", f"key:{provider.name}") for action in ("scimCreate", "scimCreate", "scimPatch", "scimDelete")
    ]
    assert bodies[2]["object"] == f"Users/{ada['id']}"
    text = " ".join(str(value) for value in Entry.objects.filter(id__gt=last).values())
    assert "ada-secret" not in text
    assert "Lovelace" not in text
    assert current() is None


def test_the_page_on_provisioning_works_as_it_is_written() -> None:
    User.objects.create_user("ada")
    page = (ROOT / "docs" / "how-to" / "provisioning.md").read_text("utf-8")
    make, grant = [shlex.split(line)[1:] for line in page.splitlines() if line.startswith("manage.py ")]
    said = StringIO()
    call_command(*make, stdout=said, stderr=StringIO())
    found = re.search(r"erip_[A-Za-z0-9]{8}_[A-Za-z0-9]{40}", said.getvalue())
    assert found is not None
    provider = Provider("")
    provider.token = found[0]
    provider.group("Desk", provider.person("ada@a.example")["id"])

    call_command(*grant, stdout=StringIO())

    assert granting.permissions_of_role("provisioner") == {"access.provision"}
    assert [str(one) for one in Grant.objects.filter(key=None)] == ["operator for group:Desk"]


# --- hostile


def test_what_would_cost_too_much_is_refused(provider: Provider, monkeypatch: Any) -> None:
    ada = provider.person("ada")
    path = f"/Users/{ada['id']}"
    one = {"op": "replace", "path": "displayName", "value": "x"}
    assert refused(provider.patch(path, *[one] * (service.MOST_OPERATIONS + 1)), 413)
    assert refused(provider.patch(path, {**one, "path": "a" * (service.LONGEST_PATHS + 1)}), 413)
    assert refused(provider.send("POST", "/Users", b"x" * (2 * 1024 * 1024)), 413)
    for asked in (
        "a" * (filters.LONGEST + 1),
        "(" * 900 + "id pr" + ")" * 900,
        "not (" * 99 + "id pr" + ")" * 99,
        "id",
    ):
        answer = provider.send("GET", f"/Users?filter={asked}")
        assert answer.status_code == 200 or refused(answer, 400, "invalidFilter"), asked
    monkeypatch.setattr(service, "MOST_CANDIDATES", 0)
    assert refused(provider.send("GET", "/Users?filter=displayName%20pr"), 400, "tooMany")
    assert provider.send("GET", "/Users?filter=userName%20eq%20%22ada%22").status_code == 200
    gzip = provider.send("POST", "/Users", b"x", Content_Encoding="gzip")
    assert refused(gzip, 415)
    assert refused(provider.send("POST", "/Users", {"userName": "x"}, Content_Type="text/plain"), 415)
    assert refused(provider.send("GET", "/Users?count=1&count=2"), 400, "invalidSyntax")


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=12), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=40, **BOUNDED)
@given(data=st.data())
def test_no_request_whatever_fails(provider: Provider, data: Any) -> None:
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    ada = provider.found("Users", filter='userName eq "ada"').get("Resources") or [provider.person("ada")]
    group = provider.found("Groups", filter='displayName eq "Desk"').get("Resources") or [provider.group("Desk")]
    names = [
        "userName",
        "active",
        "emails",
        "name",
        "members",
        "displayName",
        "externalId",
        "schemas",
        "id",
        "meta",
        "x",
    ]
    operation = st.fixed_dictionaries(
        {},
        optional={
            "op": st.one_of(st.sampled_from(["add", "Remove", "replace"]), JSON),
            "path": st.one_of(
                st.sampled_from(
                    [*names, 'emails[type eq "work"].value', "members[value pr]", "emails.value", "", "a["]
                ),
                JSON,
            ),
            "value": JSON,
        },
    )
    body = data.draw(
        st.one_of(
            JSON,
            st.dictionaries(st.sampled_from(names), JSON, max_size=5).map(lambda some: {"schemas": [USER], **some}),
            st.lists(operation, max_size=3).map(lambda some: {"schemas": [PATCH], "Operations": some}),
            st.sampled_from(hostile.JSON).map(lambda text: f'{{"userName":{text},"displayName":{text}}}'),
            st.sampled_from(hostile.JSON).map(
                lambda text: f'{{"schemas":["{PATCH}"],"Operations":[{{"op":"add","path":"name","value":{text}}}]}}'
            ),
            st.binary(max_size=30),
        )
    )
    content = (
        body
        if isinstance(body, bytes)
        else body.encode("utf-8", "surrogatepass")
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    places = ["/Users", "/Groups", f"/Users/{ada[0]['id']}", f"/Groups/{group[0]['id']}", "/Users/.search", "/Schemas"]
    text = chance.choice(hostile.URL_TEXTS)
    query = chance.choice(
        ["", *(f"?{name}={text}" for name in ("filter", "count", "startIndex", "attributes", "cursor"))]
    )
    method = chance.choice(["GET", "POST", "PUT", "PATCH"])
    answer = provider.send(method, f"{chance.choice([*places, f'/Users/{text}'])}{query}", content)

    assert answer.status_code < 500 or answer.status_code == 501, (method, content, answer.content)
    if answer.status_code >= 400:
        assert answer["Content-Type"].startswith(("application/scim+json", "text/html")), answer["Content-Type"]


LETTERS = st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=20)


@settings(max_examples=30, **BOUNDED)
@given(
    sent=st.fixed_dictionaries(
        {},
        optional={
            "externalId": LETTERS,
            "displayName": LETTERS,
            "active": st.booleans(),
            "name": st.fixed_dictionaries(
                {"familyName": LETTERS}, optional={"givenName": LETTERS, "formatted": LETTERS}
            ),
            "emails": st.lists(
                st.fixed_dictionaries(
                    {"value": st.from_regex(r"[A-Za-z0-9.]{1,9}@[A-Za-z]{1,9}\.Example", fullmatch=True)},
                    optional={"type": st.sampled_from(["work", "home", "x"])},
                ),
                min_size=1,
                max_size=3,
            ),
        },
    ),
    by=st.sampled_from(["POST", "PUT", "PATCH"]),
)
def test_what_is_accepted_is_what_is_read_back(provider: Provider, sent: dict[str, Any], by: str) -> None:
    name = f"{uuid4()}@a.example"
    wanted = {"schemas": [USER], "userName": name, **sent}
    if by == "POST":
        answer = provider.send("POST", "/Users", wanted)
    else:
        made = provider.person(name)
        path = f"/Users/{made['id']}"
        operations = [{"op": "replace", "path": key, "value": value} for key, value in sent.items()]
        nothing = [{"op": "replace", "path": "userName", "value": name}]
        answer = provider.send("PUT", path, wanted) if by == "PUT" else provider.patch(path, *(operations or nothing))
    assert answer.status_code in (200, 201, 204), answer.content

    found = provider.found("Users", filter=f'userName eq "{name}"')["Resources"]

    assert len(found) == 1
    assert {key: found[0].get(key) for key in sent} == sent
    assert found[0]["active"] is sent.get("active", True)
    account = User.objects.get(username=name)
    assert account.last_name == sent.get("name", {}).get("familyName", "")
    assert account.email == (sent["emails"][0]["value"] if "emails" in sent else "")


def test_names_that_erip_cannot_keep_are_refused(provider: Provider) -> None:
    for name in ("", "a b", "a\0b", "a" * 151, "\uff41da", "x/y", None, 5, ["a"], "a\u2028"):
        answer = provider.send("POST", "/Users", {"schemas": [USER], "userName": name})
        assert refused(answer, 400, "invalidValue"), (name, answer.content)
    for name in ("", "a\0b", "a" * 151, None):
        answer = provider.send("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
        assert refused(answer, 400, "invalidValue"), (name, answer.content)
    assert not ScimGroup.objects.exists()
