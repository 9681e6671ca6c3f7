"""Actions on many runs in the admin, the page of a batch, and "Run again with…"."""

import re
from io import StringIO

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from tests.support.api import INPUT, publish
from tests.support.runs import fail, start
from workflows import operations
from workflows.models import RunBatch, RunRetry, WorkflowRun

pytestmark = pytest.mark.django_db
LIST = "admin:workflows_workflowrun_changelist"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def signed_in(*codenames: str) -> Client:
    user = User.objects.create_user(f"staff {User.objects.count()}", password="a-long-password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def client() -> Client:
    publish()
    return signed_in("view_workflowrun", "change_workflowrun")


def choose(client: Client, action: str, runs: list[str], query: str = "", **more: str):
    data = {"action": action, "index": "0", "_selected_action": runs, "select_across": "0", **more}
    return client.post(f"{reverse(LIST)}{query}", data, follow=True)


def hidden(page) -> dict[str, list[str]]:
    """What the form on the page sends."""
    found: dict[str, list[str]] = {}
    html = page.content.decode()
    for tag in re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", html[html.index('name="confirmed"') - 50 :]):
        name, value = re.search(r'name="([^"]*)"', tag)[1], re.search(r'value="([^"]*)"', tag)
        found.setdefault(name, []).append(value[1] if value else "")
    return found


def confirm(client: Client, page, query: str = "", **more: str):
    return client.post(f"{reverse(LIST)}{query}", {**hidden(page), **more}, follow=True)


def texts(page) -> list[str]:
    return [str(message) for message in page.context["messages"]]


def test_the_list_never_says_a_number_that_nobody_counted(client):
    start(60)

    page = client.get(reverse(LIST)).content.decode()

    assert "Select every run that matches" in page
    assert "9999999999" not in re.sub(r"[,.\s]", "", page)


def test_selected_runs_are_counted_and_then_cancelled(client):
    runs = start(3)

    page = choose(client, "cancel_selected", runs[:2])
    assert "Cancel 2 runs?" in page.content.decode()
    assert not WorkflowRun.objects.filter(state="CANCELLED").exists()
    batch = confirm(client, page, reason="a drill")
    operations.work_off(seconds=9)

    made = RunBatch.objects.get()
    assert batch.redirect_chain[-1][0] == reverse("admin:workflows_runbatch_change", args=[made.pk])
    assert (made.total, made.reason, made.created_by) == (2, "a drill", "user:staff 0")
    assert WorkflowRun.objects.filter(state="CANCELLED").count() == 2
    shown = client.get(reverse("admin:workflows_runbatch_change", args=[made.pk])).content.decode()
    assert "2 cancelled" in shown
    assert runs[0] in shown


def test_select_all_takes_what_the_filters_match_with_its_real_number(client):
    start(60, lane="bulk")
    others = start(1)
    query = "?lane__exact=bulk"

    page = choose(client, "cancel_selected", [str(WorkflowRun.objects.first().pk)], query, select_across="1")
    assert "Cancel 60 runs?" in page.content.decode()
    confirm(client, page, query)
    operations.work_off(seconds=9)

    assert WorkflowRun.objects.filter(state="CANCELLED").count() == 60
    assert WorkflowRun.objects.get(pk=others[0]).state == "PENDING"
    assert RunBatch.objects.get().filter == {"selected in the admin": {"lane__exact": "bulk"}}


def test_another_number_than_was_shown_is_shown_first(client):
    start(2)
    page = choose(client, "cancel_selected", [str(WorkflowRun.objects.first().pk)], select_across="1")
    start(1)

    again = confirm(client, page, reason="typed before")

    assert not RunBatch.objects.exists()
    assert any("matches 3 runs, not 2" in text for text in texts(again))
    assert "Cancel 3 runs?" in again.content.decode()
    assert "typed before" in again.content.decode()


def test_only_runs_that_fit_are_counted_and_none_is_said(client):
    live, (failed,) = start(1), fail(start(1))

    both = choose(client, "retry_selected", [*live, failed])
    none = choose(client, "retry_selected", live)

    assert "Run 1 run again?" in both.content.decode()
    assert any("None of the selected runs" in text for text in texts(none))


@pytest.mark.parametrize("chosen", [["7"], ["' OR 1=1"], ["00000000-0000-0000-0000-000000000000"]])
def test_what_is_no_run_is_no_server_error(client, chosen):
    for action in ("cancel_selected", "retry_selected"):
        page = choose(client, action, chosen, confirmed="1", expected="x" * 50)
        assert page.status_code == 200
    assert not RunBatch.objects.exists()


def test_who_may_only_look_does_nothing_and_sees_batches(client):
    runs = start(1)
    page = choose(client, "cancel_selected", runs)
    confirm(client, page)
    batch = reverse("admin:workflows_runbatch_change", args=[RunBatch.objects.get().pk])
    reader = signed_in("view_workflowrun")

    choose(reader, "cancel_selected", runs, confirmed="1", expected="1")

    assert RunBatch.objects.count() == 1
    assert reader.get(batch).status_code == 200
    assert reader.get(reverse("admin:workflows_runbatch_changelist")).status_code == 200
    assert signed_in("view_worker").get(batch).status_code == 403
    assert reader.post(batch, {"total": 7}).status_code == 403
    assert reader.get(reverse("admin:workflows_runbatch_add")).status_code == 403


@pytest.mark.parametrize("query", ["?outcome=pending", "?outcome=x'", "?cursor=7", "?cursor=%00", ""])
def test_the_page_of_a_batch_takes_any_query(client, query):
    page = choose(client, "cancel_selected", start(1))
    confirm(client, page)
    batch = reverse("admin:workflows_runbatch_change", args=[RunBatch.objects.get().pk])

    assert client.get(batch + query).status_code == 200


# --- run again with… --------------------------------------------------------------------------------------


def again(run: str) -> str:
    return f"/admin/workflows/workflowrun/{run}/again/"


def test_a_run_is_started_again_with_a_corrected_input(client):
    (run,) = fail(start(1))

    form = client.get(again(run))
    assert "CVE-2021-44228" in form.content.decode()
    answer = client.post(again(run), {"input": '{"cves": ["CVE-1"]}'})

    new = WorkflowRun.objects.get(pk=RunRetry.objects.get(retry_of=run).retried_as)
    assert answer.headers["Location"] == reverse("admin:workflows_workflowrun_change", args=[new.pk])
    assert (new.input, new.started_by) == ({"cves": ["CVE-1"]}, "user:staff 0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"cves": [7]}', "input.cves[0]"),
        ("{", ""),
        ("[]", "must be an object"),
        ('{"a": 1e999}', ""),
        ('{"a": "\\u0000"}', "a"),
        ('{"a": "\\ud800"}', ""),
        ("", "required"),
    ],
)
def test_what_is_wrong_with_an_input_is_said_and_the_text_stays(client, text, said):
    (run,) = fail(start(1))

    page = client.post(again(run), {"input": text})

    assert page.status_code == 200
    assert said in page.content.decode()
    assert WorkflowRun.objects.count() == 1


def test_a_run_that_has_a_retry_leads_to_it(client):
    (run,) = fail(start(1))
    body = {"input": orjson.dumps(INPUT).decode()}
    client.post(again(run), body)

    answer = client.post(again(run), body, follow=True)

    assert answer.redirect_chain[-1][0].endswith(f"{RunRetry.objects.get().retried_as}/change/")
    assert any("retried already" in text for text in texts(answer))
    assert WorkflowRun.objects.count() == 2


def test_only_an_ended_run_is_run_again_and_only_by_operators(client):
    live, (failed,) = start(1), fail(start(1))

    assert client.get(again(live[0])).status_code == 403
    assert signed_in("view_workflowrun").get(again(failed)).status_code == 403
    assert signed_in("view_workflowrun").post(again(failed), {"input": "{}"}).status_code == 403
    assert not RunRetry.objects.exists()


# --- the command ------------------------------------------------------------------------------------------


def command(*arguments: str) -> str:
    output = StringIO()
    call_command("runs", *arguments, stdout=output, stderr=StringIO())
    return output.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_command_counts_asks_and_follows_the_batch(client, monkeypatch):
    fail(start(3))
    options = ["retry", "--error-code", "connection_refused", "--reason", "it is back"]

    assert "3 runs would be taken" in command(*options, "--dry-run")
    with pytest.raises(CommandError, match="say --yes"):
        command(*options)
    with pytest.raises(CommandError, match="matches 3 runs, not 4"):
        command(*options, "--yes", "--expected-count", "4")
    assert not RunBatch.objects.exists()
    assert "done: 3 retried" in command(*options, "--yes")
    assert orjson.loads(command(*options, "--yes", "--json"))["count"] == 0
    assert RunBatch.objects.filter(created_by="command:runs", reason="it is back").count() == 1 + 1


def test_the_command_names_every_fault_at_once(client):
    with pytest.raises(CommandError) as refused:
        command("cancel", "--created-after", "yesterday", "--ended-before", "now", "--id", "7", "--workflow", "a\0")
    assert all(name in str(refused.value) for name in ("created-after", "ended-before", "--id 7", "--workflow"))
    with pytest.raises(CommandError, match="names nothing"):
        command("cancel", "--dry-run")
