"""The admin's pages: they show the data, and change it only through the engine."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from erip.access import keys
from erip.access.models import ApiKey
from tests.support.api import DEFINITION, INPUT, publish
from workflows import engine, store
from workflows.models import Worker, WorkflowDefinition, WorkflowRun, WorkflowVersion

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="a-long-password"), backend=BACKEND)
    return client


@pytest.fixture
def reader() -> Client:
    client = Client()
    user = User.objects.create_user("reader", password="a-long-password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def run() -> str:
    publish()
    return engine.start_runs("look-up", [engine.StartRequest(INPUT, "INC-7")], principal="test")[0].id


def address(model: str, page: str, *args) -> str:
    return reverse(f"admin:{model}_{page}", args=args)


def test_every_page_opens(client, run):
    Worker.objects.create(name="general@host", host="host", pid=1, lanes="high")
    keys.create(name="ci", scope="viewer")
    definition, version = WorkflowDefinition.objects.get(), WorkflowVersion.objects.get()
    pages = [
        reverse("admin:index"),
        address("workflows_workflowrun", "change", run),
        address("workflows_workflowdefinition", "change", definition.pk),
        address("workflows_workflowversion", "change", version.pk),
        "/admin/workflows/workflowdefinition/publish/",
        f"/admin/workflows/workflowdefinition/{definition.pk}/publish/",
        f"/admin/workflows/workflowrun/{run}/cancel/",
        address("access_apikey", "add"),
        address("access_apikey", "change", ApiKey.objects.get().pk),
        *(
            address(model, "changelist")
            for model in (
                "workflows_workflowrun",
                "workflows_workflowdefinition",
                "workflows_worker",
                "access_apikey",
                "auth_user",
                "auth_group",
            )
        ),
    ]

    assert {page: client.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)


@pytest.mark.parametrize("page", ["not-an-id", "00000000-0000-0000-0000-000000000000"])
def test_a_run_that_is_not_there_leads_back(client, page):
    assert client.get(f"/admin/workflows/workflowrun/{page}/change/").status_code == 302


def test_a_runs_page_shows_its_steps(client, run):
    page = client.get(address("workflows_workflowrun", "change", run)).content.decode()

    assert "enrich" in page
    assert "run.accepted" in page
    assert "CVE-2021-44228" in page


@pytest.mark.parametrize("term", ["INC-7", "{run}"])
def test_a_run_is_found_by_its_id_or_business_key(client, run, term):
    found = client.get(address("workflows_workflowrun", "changelist"), {"q": term.format(run=run)})
    missed = client.get(address("workflows_workflowrun", "changelist"), {"q": "another"})

    assert run in found.content.decode()
    assert run not in missed.content.decode()


def test_the_filters_narrow_the_list(client, run):
    page = address("workflows_workflowrun", "changelist")

    assert run in client.get(page, {"workflow": "look-up", "lane__exact": "high"}).content.decode()
    assert run not in client.get(page, {"workflow": "other"}).content.decode()


def test_cancelling_needs_a_post_and_says_who_did_it(client, run):
    page = f"/admin/workflows/workflowrun/{run}/cancel/"

    client.get(page)
    assert not WorkflowRun.objects.get().finished_at
    answer = client.post(page, {"_form_submitted": "on", "reason": "a drill"})

    assert answer.headers["HX-Redirect"] == address("workflows_workflowrun", "change", run)
    assert WorkflowRun.objects.get().state == "CANCELLED"


def test_a_cancelled_run_is_run_again_from_its_page(client, run):
    engine.cancel_run(run, principal="test")

    answer = client.post(f"/admin/workflows/workflowrun/{run}/retry/", {"_form_submitted": "on"})

    again = WorkflowRun.objects.exclude(pk=run).get()
    assert answer.headers["HX-Redirect"] == address("workflows_workflowrun", "change", again.pk)
    assert again.started_by == "user:root"


def test_who_may_only_look_cannot_change_anything(reader, run):
    assert reader.get(address("workflows_workflowrun", "change", run)).status_code == 200
    cancel = reader.post(f"/admin/workflows/workflowrun/{run}/cancel/", {"_form_submitted": "on"})
    publishing = reader.post("/admin/workflows/workflowdefinition/publish/", {"source": "x", "language": "yaml"})
    adding = reader.get(address("access_apikey", "add"))

    assert (cancel.status_code, publishing.status_code, adding.status_code) == (403, 403, 403)
    assert not WorkflowRun.objects.get().finished_at


@pytest.mark.parametrize("model", ["workflowrun", "workflowdefinition", "workflowversion", "worker"])
def test_nothing_is_added_or_deleted_by_hand(client, model):
    assert client.get(f"/admin/workflows/{model}/add/").status_code == 403


def publish_form(client, source: str, button: str):
    data = {"source": source, "language": "yaml", button: "1"}
    return client.post("/admin/workflows/workflowdefinition/publish/", data)


def test_the_form_validates_without_storing(client):
    answer = publish_form(client, DEFINITION, "validate")

    assert "look-up is valid: enrich." in answer.content.decode()
    assert not WorkflowDefinition.objects.exists()


def test_the_form_publishes_in_the_users_name(client):
    answer = publish_form(client, DEFINITION, "publish")

    version = WorkflowVersion.objects.get()
    assert answer.headers["Location"] == address("workflows_workflowversion", "change", version.pk)
    assert version.author == "user:root"


def test_the_form_names_every_fault_with_its_path(client):
    answer = publish_form(client, DEFINITION.replace("uses", "use").replace("lane: high", "lane: fast"), "publish")

    page = answer.content.decode()
    assert "steps.enrich.uses" in page or "steps.enrich" in page
    assert "lane" in page
    assert not WorkflowDefinition.objects.exists()


def test_a_new_key_is_shown_once_and_not_stored(client):
    owner = User.objects.create_user("ola").pk
    data = {"name": "ci", "scope": "operator", "owner": owner, "expires_at_0": "", "expires_at_1": ""}
    answer = client.post(address("access_apikey", "add"), data)

    token = re.search(r"erip_[A-Za-z0-9]{8}_[A-Za-z0-9]{40}", answer.content.decode())[0]
    assert "no-store" in answer.headers["Cache-Control"]
    assert keys.authenticate(token).name == "key:ci"
    shown = client.get(address("access_apikey", "change", ApiKey.objects.get().pk))
    assert token.rpartition("_")[2] not in shown.content.decode()


def test_nobody_gives_a_key_a_larger_scope_than_their_own():
    user = User.objects.create_user("ada", password="a-long-password", is_staff=True)
    viewing = Permission.objects.filter(codename__startswith="view_")
    # Those who see may also ask for rights in an emergency.
    more = Permission.objects.filter(codename__in=["add_apikey", "add_breakglass"])
    user.user_permissions.set(viewing | more)
    client = Client()
    client.force_login(user, backend=BACKEND)
    data = {"owner": user.pk, "expires_at_0": "", "expires_at_1": ""}

    client.post(address("access_apikey", "add"), {"name": "large", "scope": "admin", **data})
    client.post(address("access_apikey", "add"), {"name": "small", "scope": "viewer", **data})

    assert [key.name for key in ApiKey.objects.all()] == ["small"]


def test_a_key_is_revoked_from_the_list(client):
    made = keys.create(name="ci", scope="viewer")

    client.post(address("access_apikey", "changelist"), {"action": "revoke", "_selected_action": [made.row.pk]})

    assert keys.authenticate(made.token) is None


def test_an_archived_run_has_its_page_with_its_steps_and_no_actions(client, run):
    WorkflowRun.objects.filter(pk=run).update(state="SUCCEEDED", finished_at="2020-01-01T00:00:00Z")
    WorkflowRun.objects.get(pk=run).steps.update(state="SUCCEEDED", finished_at="2020-01-01T00:00:00Z")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    assert store.archive_runs(older_than=-60.0, limit=10) == 1
    listed = client.get(address("workflows_archivedrun", "changelist"), {"q": "INC-7"})
    assert run in listed.content.decode()
    page = client.get(address("workflows_archivedrun", "change", run))
    assert page.status_code == 200
    assert "INC-7" in page.content.decode()
    assert "/cancel" not in page.content.decode()
    assert client.get(address("workflows_workflowrun", "changelist"), {"q": "INC-7"}).content.decode().count(run) == 0
