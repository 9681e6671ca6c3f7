"""The reference workflows on the real engine."""

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from erip.access.scopes import Scope
from tests.support.api import Api, key
from tests.workers import until
from workflows import engine
from workflows.core.states import Lane
from workflows.library import cache
from workflows.library.models import NotificationTarget, Report
from workflows.library.reference import sample_incident
from workflows.models import WorkflowRun
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(run_to_end: Callable[..., WorkflowRun], settings: Any, tmp_path: Path) -> Callable[..., WorkflowRun]:
    settings.ERIP_REPORT_DIR = tmp_path
    cache.forget()
    call_command("bootstrap", "--json")
    cache.forget()
    return run_to_end


def test_the_sample_breach_succeeds_with_decision_loss_deadlines_and_report(run: Callable[..., WorkflowRun]) -> None:
    found = run("breach-response", sample_incident())
    assert (found.state, found.error) == ("SUCCEEDED", None)
    assert found.steps.filter(state="SUCCEEDED").count() == 7
    output: Any = found.output
    assert output["decision"]["level"] == "executive"
    assert output["loss"]["var95"] > output["loss"]["ale"] > 0
    assert [one for one in output["deadlines"] if one["code"] == "gdpr-33"]
    assert Path(output["report"]["path"]).parent.name == str(found.id)
    assert Report.objects.get().run_id == str(found.id)


def test_a_bad_vector_is_named_and_costs_a_critical_run_nothing_else(run: Callable[..., WorkflowRun]) -> None:
    found = run(
        "breach-response",
        {
            "breach_id": "B",
            "severity": "high",
            "cvss_vectors": ["CVSS:3.1/AV:N", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/"],
        },
    )
    assert (found.state, found.error) == ("SUCCEEDED", None)
    enriched: Any = found.steps.get(step="enrich").output
    assert enriched["max_cvss"] == 9.8
    assert enriched["cvss_unreadable"][0].startswith("cvss_vectors[0]: ")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("critical-threat", {"cves": ["CVE-1900-0001"], "severity": "high"}),
        ("trust-score", {"notify": ["a@example.org"]}),
        ("compliance-assessment", {"jurisdictions": ["DE"], "sector": "energy"}),
        ("vulnerability-response", {"cves": ["CVE-1900-0001"], "notify": ["a@example.org"]}),
    ],
)
def test_the_other_reference_workflows_succeed(run: Callable[..., WorkflowRun], name: str, given: Any) -> None:
    found = run(name, given)
    assert (found.state, found.error) == ("SUCCEEDED", None)
    # What people do is skipped where nobody is to respond.
    assert not found.steps.exclude(state__in=["SUCCEEDED", "SKIPPED"]).exists()
    assert found.steps.filter(state="SKIPPED").exists() == (name == "vulnerability-response")
    assert len(mail.outbox) == ("notify" in given)


def begin(executor: Executor, **more: Any) -> WorkflowRun:
    """A breach response that waits for evidence."""
    request = engine.StartRequest({**sample_incident(), "evidence_within": "24h"}, **more)
    run_id = engine.start_runs("breach-response", [request], principal="test")[0].id
    return work(executor, run_id, lambda run: run.steps.filter(step="evidence", state="WAITING").exists())


def work(executor: Executor, run_id: Any, done: Callable[[WorkflowRun], bool]) -> WorkflowRun:
    def fact() -> bool:
        engine.release_due([str(lane) for lane in Lane], limit=9)
        executor.execute([str(run_id)])
        return done(WorkflowRun.objects.get(pk=run_id))

    until(fact)
    return WorkflowRun.objects.get(pk=run_id)


def ended(run: WorkflowRun) -> bool:
    return run.finished_at is not None


def test_a_breach_waits_for_evidence_and_decides_by_it(run: Callable[..., WorkflowRun], executor: Executor) -> None:
    request, body = example("http")
    waiting = begin(executor, business_key=body["business_key"])
    assert not waiting.steps.filter(step="quantify").exists()
    assert Api(key(Scope.OPERATOR)).post(request.partition("/api/v1")[2], body).status_code == 200
    found = work(executor, waiting.pk, ended)
    assert (found.state, found.error) == ("SUCCEEDED", None)
    quantified: Any = found.steps.get(step="quantify").input
    reported: Any = found.steps.get(step="report").input
    assert quantified["affected_records"] == 1200
    assert (reported["subject"]["affected_records"], reported["subject"]["evidence"]) == (1200, "Forensic report 7")


def test_a_breach_without_evidence_in_time_goes_on_and_says_so(
    run: Callable[..., WorkflowRun], executor: Executor
) -> None:
    waiting = begin(executor)
    row = waiting.steps.get(step="evidence")
    assert row.due_at is not None
    assert row.due_at <= timezone.now() + timedelta(hours=24), "and never past the next legal deadline"
    past = (timezone.now() - timedelta(seconds=1)).isoformat()
    progress: Any = row.output
    progress["waits"] = [{**wait, "until": wait["until"] and past} for wait in progress["waits"]]
    waiting.steps.filter(step="evidence").update(due_at=past, output=progress)
    found: Any = work(executor, waiting.pk, ended)
    assert found.state == "SUCCEEDED"
    assert "No evidence came while it was waited for" in found.output["assumptions"][-1]
    steps: Any = dict(found.steps.filter(item=-1).values_list("step", "state"))
    assert (steps["reminder"], steps["remind"], steps["escalate"]) == ("SUCCEEDED", "SKIPPED", "SUCCEEDED")
    told: Any = found.steps.get(step="escalate", item=0).input
    assert told["data"]["run_id"] == str(found.pk)


def test_whoever_should_send_evidence_is_reminded_at_half_time_and_a_message_that_fails_changes_nothing(
    run: Callable[..., WorkflowRun], executor: Executor
) -> None:
    NotificationTarget.objects.create(name="nowhere", kind="webhook", address="https://127.0.0.1:1/hook")
    waiting = begin(executor)
    row = waiting.steps.get(step="reminder")
    assert row.due_at is not None
    assert abs((row.due_at - timezone.now()).total_seconds() - 12 * 3600) < 600, "half of 24 h"
    past = (timezone.now() - timedelta(seconds=1)).isoformat()
    progress: Any = row.output
    progress["waits"] = [{**wait, "until": wait["until"] and past} for wait in progress["waits"]]
    waiting.steps.filter(step="reminder").update(due_at=past, output=progress)
    work(executor, waiting.pk, lambda run: run.steps.filter(step="remind", item=0).exclude(attempt=0).exists())
    engine.signal_run(str(waiting.pk), "evidence-received", {"affected_records": 5}, principal="test")
    waiting.steps.filter(step="remind", item=0, state="WAITING").update(due_at=past)

    def over(found: WorkflowRun) -> bool:
        found.steps.filter(step="remind", item=0, state="WAITING").update(due_at=past)
        return ended(found)

    found: Any = work(executor, waiting.pk, over)
    assert (found.state, found.error) == ("SUCCEEDED", None)
    assert found.steps.get(step="remind", item=0).state == "FAILED"
    assert found.steps.get(step="escalate", item=-1).state == "SKIPPED"


def test_the_schedule_of_the_documentation_can_be_stored(run: Callable[..., WorkflowRun]) -> None:
    _, body = example("json")
    api = Api(key(Scope.ADMIN))
    shipped = api.get("/schedules/compliance-quarterly").json()
    assert shipped["schedule"]["workflow"] == "compliance-assessment"
    assert "paused" in shipped["paused_reason"]
    assert api.send("PUT", "/schedules/compliance-quarterly", orjson.dumps(body)).status_code == 200
    assert api.post("/schedules/compliance-quarterly/resume").status_code == 200
    # It is the user's from now on.
    call_command("bootstrap", "--json", stdout=StringIO())
    assert api.get("/schedules/compliance-quarterly").json()["schedule"]["calendar"] == "DE"


def example(language: str) -> tuple[str, Any]:
    """The documentation's example that this file runs: its first line, and its JSON."""
    docs = (Path(__file__).parents[2] / "docs" / "reference" / "library.md").read_text("utf-8")
    found = re.search(
        rf"<!-- example: tests/integration/test_library_runs.py .*?-->\n```{language}\n(.*?)```", docs, re.S
    )
    assert found
    line, _, rest = found[1].partition("\n")
    return (line, orjson.loads(rest)) if language == "http" else ("", orjson.loads(found[1]))
