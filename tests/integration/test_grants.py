"""Roles that are granted to people, groups and keys: what they open in the API, the admin and the console, and why."""

import shlex
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.viewers import _of_sessions, viewers
from erip.access import catalog, granting, keys
from erip.access.catalog import BUILT_IN, permissions_of
from erip.access.explaining import explain, sentence
from erip.access.models import Grant, Role, Space
from erip.access.principals import of_staff
from erip.access.rules import Rule
from erip.access.scopes import Scope
from erip.access.standing import where
from erip.ops.stack.state import ROOT
from tests.support.api import DEFINITION, INPUT, Api, key, publish
from workflows import engine

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def _cold() -> Any:
    keys.forget_cached()
    viewers.forget()
    yield
    viewers.forget()


def person(name: str = "ada", **more: Any) -> User:
    return User.objects.create_user(name, password="a-long-password", is_staff=True, **more)


def browser(user: User) -> Client:
    made = Client(raise_request_exception=False)
    made.force_login(user, backend=BACKEND)
    return made


def command(*arguments: str) -> str:
    said = StringIO()
    call_command("access", *arguments, stdout=said)
    return said.getvalue()


def test_a_key_of_no_scope_has_what_it_is_granted_and_nothing_else() -> None:
    publish()
    made = keys.create(name="approvals", scope="")
    api = Api(made.token)
    assert api.get("/runs").status_code == 403

    granting.grant("approver", "key:approvals", by="test")
    run = Api(key()).post("/workflows/look-up/runs", {"input": INPUT}).json()["id"]

    assert api.get("/runs").status_code == 200
    # It is let through, and the run waits for no such signal.
    assert api.post(f"/runs/{run}/signals/go", {"payload": 1}).status_code == 422
    assert api.post(f"/runs/{run}/cancel").status_code == 403


def test_a_grant_ends_by_itself_and_when_it_is_taken_away() -> None:
    made = keys.create(name="ci", scope="")
    granting.grant("viewer", "key:ci", by="test", expires_at=timezone.now() - timedelta(seconds=1))
    assert Api(made.token).get("/runs").status_code == 403
    Grant.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    keys.forget_cached()
    assert Api(made.token).get("/runs").status_code == 200

    granting.take_away("viewer", "key:ci")

    assert Api(made.token).get("/runs").status_code == 403


@pytest.mark.parametrize("through", ["user", "group"])
def test_a_person_has_in_the_api_the_admin_and_the_console_what_was_granted(through: str) -> None:
    user, group = person(), Group.objects.create(name="ops")
    user.groups.add(group)
    pages = ["/api/v1/runs", "/admin/workflows/workflowrun/", "/console/health"]
    client = browser(user)
    assert [client.get(page).status_code for page in pages] == [403, 403, 403]

    Grant.objects.create(role="viewer", **{through: user if through == "user" else group})
    viewers.forget()

    assert [client.get(page).status_code for page in pages] == [200, 200, 200]
    assert client.get("/admin/access/grant/").status_code == 403
    # And when it is asked about together with others: Note [Viewers] in `console.viewers`.
    found = _of_sessions([client.cookies["sessionid"].value])
    assert [one.permissions >= permissions_of("viewer") for one in found.values()] == [True]


def test_a_platform_admin_is_one_in_the_admin_too() -> None:
    user = person()
    Grant.objects.create(role="platform-admin", user=user)
    user = User.objects.get(pk=user.pk)

    principal = of_staff(user)

    assert principal is not None
    assert principal.superuser
    assert user.has_perm("library.delete_asset")
    # Django's own flags, and with them the rights of people, stay with superusers.
    assert not user.is_superuser


def test_an_own_role_has_its_permissions_and_what_they_imply() -> None:
    Role.objects.create(name="firefighter", permissions=["workflows.change_workflowrun"])
    made = keys.create(name="fire", scope="")
    granting.grant("firefighter", "key:fire", by="test")

    assert Api(made.token).get("/runs").status_code == 200  # who may change may look
    assert Api(made.token).post("/runs/cancel", {"filter": {"ids": []}}).status_code == 422
    assert Api(made.token).get("/workflows").status_code == 403


def test_a_grant_in_a_space_gives_nothing_elsewhere() -> None:
    command("space", "north")
    made = keys.create(name="north", scope="")
    granting.grant("operator", "key:north", space="north", by="test")

    assert Api(made.token).get("/health").status_code == 403


def test_work_that_lasts_asks_about_grants_too() -> None:
    rule = Rule(Scope.VIEWER, ("events.view_logentry",))
    keys.create(name="listener", scope="")
    person("eve")
    names = ["key:listener", "user:eve", "user:ada", "key:none"]
    assert where(names, rule) == {}

    granting.grant("viewer", "key:listener", by="test")
    command("space", "north")
    granting.grant("viewer", "user:eve", space="north", by="test")

    assert where(names, rule) == {"key:listener": None, "user:eve": frozenset({"north"})}


def test_a_key_costs_one_statement_when_it_is_read_and_none_after_that(django_assert_num_queries: Any) -> None:
    made = keys.create(name="ci", scope=Scope.VIEWER)
    granting.grant("operator", "key:ci", by="test")
    keys.authenticate(made.token)
    keys.forget_cached()

    with django_assert_num_queries(1):
        assert keys.authenticate(made.token)
    with django_assert_num_queries(0):
        assert keys.authenticate(made.token)


# --- nobody hands on more than they have


def security_admin() -> Client:
    user = person("sec")
    Grant.objects.create(role="security-admin", user=user)
    return browser(user)


def test_a_security_admin_gives_roles_that_they_cover_and_no_others() -> None:
    other, client = person("eve"), security_admin()

    def give(role: str, **holder: Any) -> int:
        client.post("/admin/access/grant/add/", {"role": role, "space": "", **holder})
        return Grant.objects.filter(role=role).exclude(user__username="sec").count()

    covered = ("auditor", "metrics", "provisioner", "viewer", "security-admin")
    assert [give(role, user=other.pk) for role in BUILT_IN if role not in covered] == [0] * 4
    assert give("auditor", user=other.pk) == 1
    assert give("viewer", user=other.pk, key="") == 1
    assert Grant.objects.get(role="viewer").granted_by == "user:sec"
    # One holder, and only one.
    made = keys.create(name="ci", scope="")
    assert give("security-admin", user=other.pk, key=made.row.pk) == 0


def test_an_own_role_gets_no_permission_that_its_author_does_not_have() -> None:
    client = security_admin()

    def store(name: str, *permissions: str) -> bool:
        client.post("/admin/access/role/add/", {"name": name, "permissions": permissions})
        return Role.objects.filter(name=name).exists()

    assert not store("mine", "workflows.view_workflowrun", "workflows.cancel_run")
    assert not store("viewer", "workflows.view_workflowrun")
    assert not store("Bad Name", "workflows.view_workflowrun")
    assert store("mine", "workflows.view_workflowrun")
    # Nor later.
    role = Role.objects.get()
    form = {"permissions": ["workflows.view_workflowrun", "workflows.cancel_run"]}
    client.post(f"/admin/access/role/{role.pk}/change/", form)
    role.refresh_from_db()
    assert role.permissions == ["workflows.view_workflowrun"]


def test_a_role_that_is_granted_is_not_removed() -> None:
    client, role = browser(person(is_superuser=True)), Role.objects.create(name="mine")
    keys.create(name="ci", scope="")
    granting.grant("mine", "key:ci", by="test")

    assert client.post(f"/admin/access/role/{role.pk}/delete/", {"post": "yes"}).status_code == 403
    granting.take_away("mine", "key:ci")
    assert client.post(f"/admin/access/role/{role.pk}/delete/", {"post": "yes"}).status_code == 302


def test_nobody_takes_the_place_of_somebody_who_may_do_more() -> None:
    client, eve = security_admin(), person("eve")
    new = {"password1": "another-long-one", "password2": "another-long-one", "usable_password": "true"}
    page = f"/admin/auth/user/{eve.pk}/password/"
    assert client.get(page).status_code == 200

    for give in (
        lambda: Grant.objects.create(role="operator", user=eve),
        lambda: Grant.objects.create(role="operator", user=eve, space="north"),
        lambda: Grant.objects.create(role="platform-admin", user=eve),
        lambda: eve.user_permissions.add(Permission.objects.get(codename="cancel_run")),
    ):
        give()
        assert client.post(page, new).status_code == 403
        Grant.objects.filter(user=eve).delete()
        eve.user_permissions.clear()
    assert client.post(page, new).status_code == 302


# --- why


def why(name: str, action: str) -> dict[str, Any]:
    answer = Api(key(name=f"asks {uuid4()}")).get("/access/explain", principal=name, action=action)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_explain_says_which_grant_opens_it_or_what_is_missing() -> None:
    user, group = person(), Group.objects.create(name="ops")
    user.groups.add(group)
    refused = why("user:ada", "workflows.start_run")
    assert (refused["allowed"], refused["sentence"]) == (False, "user:ada may not: it lacks workflows.start_run.")
    assert refused["permissions"][0]["roles"] == ["operator", "author", "platform-admin"]

    granting.grant("operator", "group:ops", by="test")

    allowed = why("user:ada", "POST /api/v1/workflows/any/runs")
    assert allowed["allowed"]
    assert allowed["sentence"] == "user:ada may: they were granted the role operator through the group ops."
    user.is_active = False
    user.save()
    assert why("user:ada", "workflows.start_run")["closed"] == "the account is not active"


def test_explain_knows_scopes_superusers_and_permissions_of_django() -> None:
    token = key(Scope.OPERATOR, "ci")
    assert "the scope of the key is the role operator" in why("key:ci", "workflows.start_run")["sentence"]
    keys.revoke(token.split("_")[1])
    assert why("key:ci", "workflows.start_run")["sentence"] == "key:ci may do nothing: the key is revoked."
    person("root", is_superuser=True)
    assert why("user:root", "PUT /api/v1/alerts/channels/x")["sentence"] == "user:root may: they are a superuser."
    person().user_permissions.add(Permission.objects.get(codename="change_workflowrun"))
    assert "they have workflows.change_workflowrun" in why("user:ada", "workflows.cancel_run")["sentence"]


def test_explain_answers_what_it_does_not_know_with_an_error() -> None:
    api = Api(key())

    def code(**query: str) -> tuple[int, str]:
        answer = api.get("/access/explain", **query)
        return answer.status_code, answer.json()["code"]

    assert code(principal="user:none", action="workflows.start_run") == (404, "unknown-principal")
    assert code(principal="ada", action="workflows.start_run") == (404, "unknown-principal")
    assert code(action="workflows.make_coffee") == (404, "unknown-action")
    assert code(principal="user:none")[0] == 400
    # Without a principal: about the caller.
    assert api.get("/access/explain", action="workflows.start_run").json()["allowed"]


def test_in_a_space_it_is_allowed_there() -> None:
    Space.objects.create(name="north")
    keys.create(name="ci", scope="")
    granting.grant("operator", "key:ci", space="north", by="test")

    found = why("key:ci", "workflows.start_run")

    assert (found["allowed"], found["spaces"]) == (False, ["north"])
    assert found["sentence"].endswith("Elsewhere it may: in north.")
    assert explain("key:ci", ["workflows.start_run"], space="north")["allowed"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_explain_and_the_decision_agree(data: st.DataObject) -> None:
    """Whatever was granted: what explain says of each permission is what the API does."""
    Grant.objects.all().delete()
    Role.objects.all().delete()
    names = [one.name for one in catalog.declared()]
    user = User.objects.filter(username="ada").first() or person()
    Role.objects.create(name="own", permissions=data.draw(st.lists(st.sampled_from(names), max_size=4)))
    chosen = st.tuples(st.sampled_from([*BUILT_IN, "own"]), st.sampled_from(["", "north", "south"]))
    for role, space in data.draw(st.sets(chosen, max_size=3)):
        Grant.objects.create(user=user, role=role, space=space)
    needs, space = (
        data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)),
        data.draw(st.sampled_from([None, "north", "east"])),
    )

    found = explain("user:ada", needs, space=space)

    assert found["allowed"] == all(part["allowed"] for part in found["permissions"])
    assert sentence(found).startswith("user:ada may")


# --- the command


def test_the_command_grants_shows_and_takes_away() -> None:
    keys.create(name="ci", scope="")
    command("space", "north", "--description", "The north")

    assert (
        command("grant", "operator", "key:ci", "--space", "north", "--hours", "2") == "operator for key:ci in north\n"
    )
    assert "operator in north, until 2" in command("grants")
    assert "security-admin" in command("roles")
    assert command("explain", "key:ci", "workflows.start_run").startswith("key:ci may not: it lacks")
    command("revoke", "operator", "key:ci", "--space", "north")
    assert command("grants") == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["grant", "chef", "key:ci"], 'no role "chef"'),
        (["grant", "viewer", "key:none"], 'no key "none"'),
        (["grant", "viewer", "user:none"], 'no user "none"'),
        (["grant", "viewer", "robot:x"], "is none of user:NAME"),
        (["grant", "viewer", "key:ci", "--space", "mars"], 'no space "mars"'),
        (["grant", "viewer", "key:ci", "--hours", "0"], "--hours must be"),
        (["grant", "author", "key:ci"], "has the role author on everything already"),
        (["revoke", "viewer", "key:ci"], "does not have the role viewer"),
        (["space", "Not A Name"], "Use lower-case letters"),
        (["explain", "key:ci", "GET /nowhere"], "no such permission or operation"),
        (["explain", "key:none", "workflows.start_run"], "no person or API key"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], said: str) -> None:
    keys.create(name="ci", scope="")
    granting.grant("author", "key:ci", by="test")

    with pytest.raises(CommandError, match=said):
        command(*arguments)


def test_the_page_on_giving_access_works_as_it_is_written() -> None:
    person()
    Group.objects.create(name="ops")
    engine.publish(None, DEFINITION.replace("look-up", "breach-response", 1), "yaml", author="test")
    page = (ROOT / "docs" / "how-to" / "give-access.md").read_text("utf-8")
    lines = [shlex.split(line)[1:] for line in page.splitlines() if line.startswith("manage.py ")]

    for name, *arguments in lines:
        call_command(name, *arguments, stdout=StringIO(), stderr=StringIO())

    assert len(lines) == 11
    assert sorted(str(one) for one in Grant.objects.all()) == [
        "approver for key:approvals",
        "operator for group:ops",
        "operator for key:north-desk in north",
        "platform-admin for user:ada",
    ]
