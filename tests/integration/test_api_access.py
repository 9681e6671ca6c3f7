import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from erip.access import keys
from erip.access.catalog import permissions_of
from erip.access.scopes import Scope
from tests.support.api import INPUT, Api, key, publish

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ready():
    keys.forget_cached()
    publish()


def test_without_a_key_the_answer_says_how_to_authenticate():
    answer = Api().get("/runs")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="erip"'
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:erip:problem:not-authenticated"


@pytest.mark.parametrize("token", ["erip_00000000_" + "a" * 40, "nonsense", "erip_é", ""])
def test_a_wrong_key_is_not_said_to_be_missing(token):
    answer = Client().get("/api/v1/runs", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert answer.json()["code"] == "authentication-failed"


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.METRICS, set()),
        (Scope.VIEWER, {"read"}),
        (Scope.OPERATOR, {"read", "start"}),
        (Scope.AUTHOR, {"read", "start", "publish"}),
        (Scope.ADMIN, {"read", "start", "publish"}),
    ],
)
def test_a_scope_opens_its_operations_and_no_others(scope, allowed):
    api = Api(key(scope))
    answers = {
        "read": api.get("/runs"),
        "start": api.post("/workflows/look-up/runs", {"input": INPUT}),
        "publish": api.send("PUT", "/workflows/look-up", b"{}"),
    }

    assert {name for name, answer in answers.items() if answer.status_code != 403} == allowed


def test_a_refusal_names_the_permission_that_is_needed_and_the_roles_that_have_it():
    answer = Api(key(Scope.VIEWER)).post("/workflows/look-up/runs", {"input": INPUT})

    assert answer.status_code == 403
    assert answer.json()["detail"] == (
        "This needs the permission workflows.start_run (roles operator, author, platform-admin)."
    )


def test_a_revoked_key_is_refused():
    token = key()
    assert Api(token).get("/runs").status_code == 200

    keys.revoke(token.split("_")[1])

    assert Api(token).get("/runs").status_code == 401


def signed_in(*permissions: str, csrf: bool = False, **user) -> Client:
    member = User.objects.create_user("ada", password="a-long-password", is_staff=True, **user)
    member.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_signed_in_member_of_staff_may_read_what_the_admin_shows_them():
    client = signed_in("view_workflowrun")

    assert client.get("/api/v1/runs").status_code == 200
    refused = client.get("/api/v1/workflows")
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("This needs the permission workflows.view_workflowdefinition (roles ")


def test_a_member_starts_runs_who_may_change_them():
    body = {"input": INPUT}
    kind = "application/json"

    reader = signed_in("view_workflowrun").post("/api/v1/workflows/look-up/runs", body, kind)
    User.objects.all().delete()
    operator = signed_in("change_workflowrun").post("/api/v1/workflows/look-up/runs", body, kind)

    assert (reader.status_code, operator.status_code) == (403, 202)


def test_a_session_without_the_csrf_token_changes_nothing():
    answer = signed_in(is_superuser=True, csrf=True).post(
        "/api/v1/workflows/look-up/runs", {"input": INPUT}, "application/json"
    )

    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_somebody_who_is_not_staff_is_nobody():
    User.objects.create_user("eve", password="a-long-password")
    client = Client()
    client.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")

    assert client.get("/api/v1/runs").status_code == 401


def test_nobody_hands_on_more_than_they_have():
    codenames = [permission.partition(".")[2] for permission in sorted(permissions_of("viewer"))]

    def scopes(client: Client) -> set[str]:
        form = client.get("/admin/access/apikey/add/").context["adminform"].form
        return {value for value, _ in form.fields["scope"].choices if value}

    assert scopes(signed_in("add_apikey", *codenames[:-1])) <= {"metrics"}
    User.objects.all().delete()
    assert scopes(signed_in("add_apikey", *codenames)) == {"metrics", "viewer"}
    User.objects.all().delete()
    assert scopes(signed_in(is_superuser=True)) == set(Scope.values)
