"""Every address, and who may use it. The list comes from the URL configuration, so a new address without a rule fails.

A door of the API is a view's method. It is open to API keys of its scope, to members of staff with its permissions and
to superusers; to nobody else. A door of the admin is a page or an action.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.views import APIView

from erip.access import keys
from erip.access.catalog import BUILT_IN, broader, permissions_of
from erip.access.has_scope import HasScope
from erip.access.models import Grant
from erip.access.permissions import rule_of
from erip.access.rules import NOBODY_ELSE
from erip.access.scopes import Scope
from erip.access.table import YES
from erip.ops.stack.state import ROOT
from tests.support.admin_pages import all_pages
from tests.support.api import key, publish
from workflows.api.hot import ROUTES
from workflows.events.api.light import ROUTES as EVENT_ROUTES

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
REFUSED = {401, 403}

#: open to everybody, each with the reason
OPEN = {
    "": "leads to the API's documentation",
    "health/live": "a probe",
    "health/ready": "a probe",
    "health/startup": "a probe",
    "api/schema": "follows from the code alone, and holds no data",
    "api/docs": "the page that shows the schema",
    "on-call/<str:token>.ics": "the secret address is the permission",
    "chat/slack": "the signature of the chat is the permission",
    "chat/teams": "the signature of the chat is the permission",
    "reports/<str:token>.md": "the signed link is the permission",
    "reports/<str:token>": "the signed link is the permission",
}
#: the value that each converter gets in an address
VALUES = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "id": "00000000-0000-0000-0000-000000000000",
    "workflow": "look-up",
    "step": "enrich",
    "signal": "none.such",
    "version": "1",
    "position": "1-1",
    "lane": "bulk",
    "letter": "1",
    "alert_number": "1",
    "alert_rule": "redis-down",
    "alert_channel": "none",
    "rotation": "none",
    "framework": "soc2",
    "scim": "none",
    "trigger": "none",
    "schedule": "none",
    "decision": "none",
    "secret": "none",
    "flag": "none",
    "decision_file": "csv",
    "approval": "1",
    "key": "1",
    "hold": "1",
    "clock": "1",
    "event_type": "none.such",
}


def patterns(resolver: Any = None, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every address outside of the admin, as it is written in the URL configuration."""
    for each in (resolver or get_resolver()).url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            if each.app_name != "admin":
                yield from patterns(each, route)
        else:
            yield route, each


@dataclass(frozen=True)
class Door:
    route: str
    method: str
    view: Any

    @property
    def path(self) -> str:
        path = "/" + self.route
        for name, converter in get_converters(self.route):
            path = path.replace(f"<{converter}:{name}>", VALUES[converter])
        return path

    def __str__(self) -> str:
        return f"{self.method.upper()} /{self.route}"


def get_converters(route: str) -> list[tuple[str, str]]:
    found = []
    for part in route.split("<")[1:]:
        converter, _, name = part.partition(">")[0].partition(":")
        found.append((name, converter))
    return found


def views() -> dict[str, type[APIView]]:
    return {
        route: each.callback.view_class
        for route, each in patterns()
        if issubclass(getattr(each.callback, "view_class", object), APIView) and route not in OPEN
    }


def doors() -> list[Door]:
    found = []
    for route, view in views().items():
        served = [method for method in METHODS if hasattr(view, method)]
        if "get" in served:
            served.append("head")
        found += [Door(route, method, view) for method in dict.fromkeys(served)]
    return found


MARKED = [door for door in doors() if door.method not in ("head", "options")]


def knock(client: Client, door: Door, **headers: str) -> int:
    answer = client.generic(door.method.upper(), door.path, b"{}", content_type="application/json", headers=headers)
    return answer.status_code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def staff(*permissions: str, **more: Any) -> Client:
    member = User.objects.create_user("ada", password="a-long-password", is_staff=True, **more)
    wanted = [
        Permission.objects.get(content_type__app_label=label, codename=codename)
        for label, _, codename in (permission.partition(".") for permission in permissions)
    ]
    member.user_permissions.set(wanted)
    client = Client(raise_request_exception=False)
    client.force_login(member, backend=BACKEND)
    return client


@pytest.fixture(autouse=True)
def _cold() -> None:
    keys.forget_cached()


# --- the API


def test_every_address_has_a_rule_or_is_open_for_a_reason():
    routes = [route for route, _ in patterns()]

    # Pages of the console: tests/integration/test_console.py goes over them.
    others = {route for route in routes if route not in views() and not route.startswith("console/")}
    # Flower's: tests/integration/test_flower_shown.py.
    assert others == {*OPEN, "flower/", "flower/<path:rest>"}


def test_every_method_says_what_it_needs():
    assert [str(door) for door in MARKED if rule_of(door.view, door.method) == NOBODY_ELSE] == []
    assert [str(door) for door in MARKED if not rule_of(door.view, door.method).permissions] == []


def test_every_address_that_reads_refuses_a_parameter_that_it_does_not_know():
    publish()
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root", password="a-long-password"), backend=BACKEND)
    ignored = {}
    for door in MARKED:
        # SCIM and scrapers send what their protocols allow.
        if door.method == "get" and door.path.startswith("/api/v1/"):
            answer = client.get(f"{door.path}?nobody_knows=1")
            named = [one["path"] for one in answer.json().get("faults", [])] if answer.status_code == 400 else None
            if named is None or "nobody_knows" not in named:
                ignored[str(door)] = answer.status_code

    assert ignored == {}


def test_every_permission_that_is_asked_for_exists():
    named = {one for door in MARKED for one in rule_of(door.view, door.method).permissions}
    stored = {
        f"{label}.{codename}"
        for label, codename in Permission.objects.values_list("content_type__app_label", "codename")
    }

    assert named - stored == set()


@pytest.mark.parametrize("client", [None, "somebody who is not staff"], ids=str)
def test_nobody_comes_in_without_a_key_or_a_session_of_staff(client):
    publish()
    browser = Client(raise_request_exception=False)
    if client:
        browser.force_login(User.objects.create_user("eve", password="a-long-password"), backend=BACKEND)

    assert {str(door): code for door in doors() if (code := knock(browser, door)) != 401} == {}


def test_staff_without_any_permission_come_in_nowhere():
    publish()
    client = staff()

    assert {str(door): code for door in doors() if (code := knock(client, door)) != 403} == {}


def test_a_key_of_a_scope_has_the_role_of_that_name_on_everything():
    for scope in Scope:
        principal = keys.authenticate(key(scope))
        assert principal.permissions == permissions_of(scope.role)
        assert principal.superuser == (scope == Scope.ADMIN)


def table() -> dict[str, dict[str, bool]]:
    """docs/reference/access.md: role → operation, as in the OpenAPI document → whether the role opens it."""
    text = (ROOT / "docs" / "reference" / "access.md").read_text("utf-8").partition("## Operations")[2]
    lines = [line for line in text.partition("## Permissions")[0].splitlines() if line.startswith("| ")]
    head, _, *rows = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines]
    assert head[2:] == ["in a space", *BUILT_IN]
    return {role: {row[0]: row[head.index(role)] == YES for row in rows} for role in BUILT_IN}


def named(door: Door) -> str:
    """As in the table."""
    address = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", door.route)
    return f"{door.method.upper()} `/{address}`"


@pytest.mark.parametrize("role", BUILT_IN)
def test_every_operation_is_asked_with_every_role_and_answers_as_the_table_says(role):
    publish()
    made = keys.create(name="granted", scope="")
    client, headers = Client(raise_request_exception=False), bearer(made.token)
    if role == next(iter(BUILT_IN)):
        assert {str(door): code for door in MARKED if (code := knock(client, door, **headers)) != 403} == {}

    Grant.objects.create(key=made.row, role=role)
    keys.forget_cached()

    asked = {named(door): knock(client, door, **headers) for door in MARKED}
    assert {name: code not in REFUSED for name, code in asked.items()} == table()[role]


@pytest.mark.parametrize("door", MARKED, ids=str)
def test_a_door_opens_to_staff_with_its_permissions_and_to_no_smaller_set(door):
    publish()
    needed = rule_of(door.view, door.method).permissions
    everything = [
        f"{label}.{codename}"
        for label, codename in Permission.objects.values_list("content_type__app_label", "codename")
    ]

    assert knock(staff(*needed), door) not in REFUSED
    for missing in needed:
        User.objects.all().delete()
        # Note [Implied permissions]: who may change something may also look at it.
        opening = broader(missing)
        assert knock(staff(*(one for one in everything if one not in opening)), door) == 403


@pytest.mark.parametrize("door", [door for door in doors() if door.method in ("head", "options")], ids=str)
def test_head_and_options_open_to_nobody_else(door):
    publish()
    client = staff()
    reader = key(Scope.VIEWER)

    assert knock(client, door) == 403
    if door.method == "options":
        assert knock(client, door, **bearer(reader)) == 403
    else:
        wanted = rule_of(door.view, "get").scope
        allowed = knock(Client(raise_request_exception=False), door, **bearer(reader)) not in REFUSED
        assert allowed == Scope.VIEWER.includes(wanted)


def test_superusers_come_in_everywhere():
    publish()
    client = staff(is_superuser=True)

    assert {str(door) for door in MARKED if knock(client, door) in REFUSED} == set()


def test_what_changes_something_needs_the_csrf_token_of_a_session():
    publish()
    member = User.objects.create_superuser("root", password="a-long-password")
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(member, backend=BACKEND)
    changing = [door for door in MARKED if door.method != "get"]

    assert {str(door): code for door in changing if (code := knock(client, door)) != 403} == {}


@pytest.mark.parametrize("route", [*ROUTES, *EVENT_ROUTES], ids=lambda route: f"{route.method} {route.path.pattern}")
def test_the_light_path_has_the_doors_of_the_views(route):
    """It asks the view's own permissions (`light.app`), so the view's method has to be marked."""
    assert route.view in views().values()
    assert rule_of(route.view, route.method) != NOBODY_ELSE
    assert [type(one) for one in route.instance.get_permissions()] == [HasScope]


# --- the admin

#: pages of the admin that every member of staff may see: they hold no data of the platform
STAFF_PAGES = {
    "index", "login", "logout", "password_change", "password_change_done", "jsi18n", "search", "toggle",
    # their own security; the second step of signing in
    "security", "set_up_factor", "step_up", "second_factor", "second_factor_key", "add_security_key",
    # sign-in at identity providers
    "sign_in_at", "sign_in_returned", "sign_in_linked", "sign_in_ended",
    "sign_in_answered", "sign_in_metadata",
}  # fmt: skip


def admin_pages() -> dict[str, str]:
    """Every page of every model in the admin: its name and an address."""
    pages = {}
    for model, page in all_pages().items():
        for each in page.urls:
            where = str(each.pattern)
            if each.name is None:
                continue  # the former address of a change page
            arguments = ["1"] * where.count("<")
            pages[f"{model._meta.label_lower} {each.name}"] = reverse(f"admin:{each.name}", args=arguments)
    return pages


def test_there_are_pages_to_look_at():
    assert len(admin_pages()) > 100


@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_any_permission_see_no_page_of_the_admin(method):
    client = staff()
    seen = {}
    for name, path in admin_pages().items():
        answer = getattr(client, method)(path)
        # For a row that does not exist, some pages redirect to the index.
        back = answer.status_code == 302 and answer.headers["Location"] == reverse("admin:index")
        if answer.status_code != 403 and not back:
            seen[name] = answer.status_code

    assert seen == {}


def test_strangers_are_sent_to_the_login():
    client = Client(raise_request_exception=False)
    seen = {}
    for name, path in admin_pages().items():
        answer = client.get(path)
        if not (answer.status_code == 302 and answer.headers["Location"].startswith(reverse("admin:login"))):
            seen[name] = answer.status_code

    assert seen == {}


def test_the_other_pages_of_the_admin_are_known():
    assert all_pages()
    names = {each.name for each in admin.site.urls[0] if isinstance(each, URLPattern) and each.name}

    assert names - STAFF_PAGES - {"autocomplete", "view_on_site", "app_list"} == set()
    client = staff()
    assert client.get(reverse("admin:autocomplete")).status_code == 403
    assert client.get(reverse("admin:app_list", args=["workflows"])).status_code == 404


def test_who_may_only_look_is_offered_no_action_that_changes_something():
    member = User.objects.create_user("reader", password="a-long-password", is_staff=True)
    member.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    request = RequestFactory().get("/")
    request.user = User.objects.get(pk=member.pk)
    offered = {}
    for model, page in all_pages().items():
        if actions := list(page.get_actions(request)):
            offered[model._meta.label_lower] = actions
        # Not every page is one of Unfold's, which have actions of one row.
        of_one = getattr(page, "get_actions_detail", lambda *_: [])(request, "1")
        if detail := [one.action_name for one in of_one]:
            offered[f"{model._meta.label_lower}, one"] = detail

    assert offered == {}
