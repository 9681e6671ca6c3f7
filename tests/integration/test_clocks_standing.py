"""`clocks.standing`: where the duties of a run stand after what people filed, dismissed and learnt."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_breach_team import call
from tests.integration.test_legal_clocks import assessed, duty, written
from tests.integration.test_library_steps import context
from workflows.clocks import changing
from workflows.clocks.models import LegalClock, Reassessment, State
from workflows.library import cache
from workflows.library.models import Report
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., WorkflowRun]


@pytest.fixture(autouse=True)
def _duties(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ERIP_REPORT_DIR = tmp_path
    cache.forget()
    for hours in (24, 48, 72):
        duty(f"test-{hours}", clocks=[{"trigger": "detected", "amount": hours, "unit": "hours"}])
    duty("test-grave", clocks=[{"trigger": "detected", "amount": 96, "unit": "hours"}], min_severity="high")
    cache.forget()
    yield
    cache.forget()


@pytest.fixture
def run(run_to_end: Run) -> WorkflowRun:
    """Of which three duties apply: one is overdue, two are not."""
    return assessed(run_to_end, detected_at=written(datetime.now(UTC) - timedelta(hours=30)), severity="low")


def stands(run: WorkflowRun, **given: Any) -> dict[str, Any]:
    first = run.steps.get(step="duties").output
    return call("clocks.standing", {"compliance": first, **given}, replace(context("duties"), run_id=str(run.pk)))


def said(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["code"]: (one["status"], one["said"]) for one in found["obligations"]}


def test_what_was_filed_and_dismissed_is_said_of_each_duty_in_the_report_too(run: WorkflowRun) -> None:
    assert {code: status for code, (status, _) in said(stands(run)).items()} == {
        "test-24": "overdue", "test-48": "due", "test-72": "due",
    }  # fmt: skip
    clocks = dict(LegalClock.objects.filter(run_id=run.pk).values_list("obligation", "pk"))
    changing.file(run.pk, clocks["test-72"], by="user:dan", reference="BfDI-17")
    changing.file(run.pk, clocks["test-24"], by="user:dan", reference="X-1")
    changing.dismiss(run.pk, clocks["test-48"], by="user:gus", reason="not ours | <b>")
    found = stands(run)
    told = said(found)
    assert {code: status for code, (status, _) in told.items()} == {
        "test-24": "late", "test-48": "dismissed", "test-72": "met",
    }  # fmt: skip
    assert "as BfDI-17 by user:dan" in told["test-72"][1]
    assert told["test-48"][1] == "dismissed by user:gus: not ours | <b>"
    assert (found["overdue"], found["next_deadline"]) == (0, None)
    old = datetime.now(UTC) - timedelta(days=40)
    made = call("beacon.report", {"compliance": found}, replace(context("final_report"), run_created_at=old))
    assert datetime.fromisoformat(made["expires_at"]) > datetime.now(UTC) + timedelta(days=29), "it can be read"
    report = Report.objects.get()
    assert "BfDI-17" in report.html
    assert "not ours | &lt;b&gt;" in report.html
    assert "| met: filed" in report.markdown
    assert "not ours \\| \\<b\\>" in report.markdown
    assert "Overdue" not in report.html


def test_what_was_learnt_starts_the_clocks_of_what_applies_now_and_once(run: WorkflowRun) -> None:
    facts = {"severity": "critical", "affected_records": None}
    for _ in range(2):
        found = stands(run, facts=facts, by="user:sam", reason="The triage corrected the severity")
        assert said(found)["test-grave"][0] == "due"
    assert LegalClock.objects.get(run_id=run.pk, obligation="test-grave").state == State.RUNNING
    assert Reassessment.objects.get(run_id=run.pk).by == "user:sam"
    # Then it is low after all: the clock goes on until a person dismisses it, and is named.
    lower = stands(run, facts={"severity": "low"})
    [grave] = [one for one in lower["obligations"] if one["code"] == "test-grave"]
    assert (grave["status"], bool(grave["missing"])) == ("due", True)
    odd = stands(run, facts={"nothing": 1})
    assert any("was not told" in one and "nothing" in one for one in odd["assumptions"])


def test_without_a_case_it_is_what_was_assessed_as_it_is_now() -> None:
    at = datetime.now(UTC) - timedelta(hours=1)
    one = {
        **dict.fromkeys(("code", "regime", "title", "authority", "wording", "citation", "source"), "x"),
        "deadline": at.isoformat(), "status": "due", "applicability": "applies", "trigger": None, "hours_left": 5.0,
    }  # fmt: skip
    given = {"compliance": {"obligations": [one], "assumptions": ["a"]}, "facts": {"severity": "high"}}
    found = call("clocks.standing", given, replace(context("duties"), run_id="01a21492-03a8-7168-881d-da169c051d39"))
    assert (found["obligations"][0]["status"], found["overdue"], found["assumptions"][0]) == ("overdue", 1, "a")
    assert len(found["assumptions"]) == 2, "and that nothing could be told"
