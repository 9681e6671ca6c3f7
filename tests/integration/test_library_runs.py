"""The reference workflows on the real engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command

from workflows.library import cache
from workflows.library.models import Report
from workflows.library.reference import sample_incident
from workflows.models import WorkflowRun

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
    assert found.steps.filter(state="SUCCEEDED").count() == 6
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
    assert not found.steps.exclude(state="SUCCEEDED").exists()
    assert len(mail.outbox) == ("notify" in given)
