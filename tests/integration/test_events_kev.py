"""The catalogue of known exploited vulnerabilities as events, and what the reference workflows do on events."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows.events import active, types
from workflows.events.models import Block, DeadLetter, Event, TriggeredRun
from workflows.events.triggers import Triggers
from workflows.library import cache
from workflows.library.models import Report
from workflows.library.reference import FIXTURES
from workflows.models import WorkflowRun
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLE = FIXTURES / "kev-sample.json"
DATA = Path(os.environ.get("ERIP_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "kev.json"


@pytest.fixture(autouse=True)
def bootstrapped(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ERIP_REPORT_DIR = tmp_path
    for forget in (active.forget, types.forget, cache.forget):
        forget()
    call_command("bootstrap", "--json", stdout=StringIO())
    # Once more: a thread of another test may have read them meanwhile, and its copy is kept for a second.
    for forget in (active.forget, types.forget, cache.forget):
        forget()
    yield
    active.forget()
    types.forget()


def load(path: Path) -> dict[str, Any]:
    out = StringIO()
    call_command("load_kev", str(path), "--as-events", "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def take(*events: dict[str, Any]) -> None:
    with consuming(Triggers()):
        if events:
            accept(events)
        until(lambda: not Block.objects.exists(), seconds=60)


def sample(tmp_path: Path, **changed: str) -> Path:
    """The sample, with some due dates changed."""
    document = json.loads(SAMPLE.read_text())
    for entry in document["vulnerabilities"]:
        entry["dueDate"] = changed.get(entry["cveID"].replace("-", "_"), entry["dueDate"])
    path = tmp_path / "kev.json"
    path.write_text(json.dumps(document))
    return path


def test_each_entry_is_an_event_and_starts_a_response_however_often_it_is_loaded() -> None:
    assert load(SAMPLE)["events"] == 6
    take()
    load(SAMPLE)
    take()
    assert not DeadLetter.objects.exists()
    assert Event.objects.count() == WorkflowRun.objects.count() == TriggeredRun.objects.count() == 6
    told = json.loads(Event.objects.get(subject="CVE-1900-0001").event)
    assert (told["id"], told["type"], told["time"]) == (
        "CVE-1900-0001",
        "atlas.vulnerability.discovered",
        "2026-10-20T00:00:00Z",
    )
    assert told["data"]["due_date"] == "2026-11-10"
    assert told["data"]["known_ransomware_campaign_use"] == "Known"
    assert (told["data"]["vendor"], told["data"]["product"]) == ("Example Soft", "Transfer Gateway")
    assert told["data"]["cwes"] == ["CWE-89"]
    run = WorkflowRun.objects.get(business_key="CVE-1900-0001")
    assert (run.workflow, run.input["cves"], run.input["due_date"]) == (
        "vulnerability-response",
        ["CVE-1900-0001"],
        "2026-11-10",
    )


def test_the_due_date_is_in_the_input_the_decision_and_the_report_and_past_ones_time_nothing_out(
    executor: Executor, tmp_path: Path
) -> None:
    today = datetime.now(UTC).date()
    ahead, soon, past = today + timedelta(days=300), today + timedelta(days=1), date(2021, 5, 3)
    dates = {"CVE_1900_0001": str(ahead), "CVE_1900_0002": str(soon), "CVE_1900_0003": str(past)}
    load(sample(tmp_path, **dates))
    take()
    runs = {run.input["due_date"]: run for run in WorkflowRun.objects.all()}

    def end_of(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)

    assert runs[str(ahead)].deadline_at == end_of(ahead)
    assert runs[str(past)].deadline_at == runs[str(past)].created_at + timedelta(days=900)
    executor.execute([str(run.pk) for run in runs.values()])
    until(lambda: WorkflowRun.objects.filter(state="SUCCEEDED").count() == 6, what="all six have succeeded")
    decisions = {due: WorkflowRun.objects.get(pk=run.pk).output["decision"] for due, run in runs.items()}
    due = {key: datetime.fromisoformat(one["due_at"]) for key, one in decisions.items()}
    # The table's time limit, or the catalogue's date if that is sooner, or the table's if the date has passed.
    for key, run in runs.items():
        by_table = run.created_at + timedelta(hours=decisions[key]["sla_hours"])
        given = end_of(date.fromisoformat(key))
        assert due[key] == (by_table if given <= run.created_at else min(by_table, given))
        assert decisions[key]["due_date"] == key
        assert decisions[key]["overdue"] == (given <= run.created_at)
    report = Report.objects.get(run_id=str(runs[str(past)].pk))
    assert "Due date given: 2021-05-03, **passed**" in report.markdown


def test_the_whole_catalogue_is_logged_once_and_starts_as_many_runs() -> None:
    if not DATA.exists():
        pytest.skip(f"{DATA} is not there: CISA's catalogue is not part of the repository (set ERIP_TEST_DATA)")
    assert load(DATA)["events"] == 1404
    take()
    assert load(DATA)["events"] == 1404
    take()
    assert Event.objects.filter(type="atlas.vulnerability.discovered").count() == 1404
    runs = WorkflowRun.objects.filter(workflow="vulnerability-response")
    assert runs.count() == runs.values("business_key").distinct().count() == 1404
    assert not DeadLetter.objects.exists()
    entries = {one["cveID"]: one["dueDate"] for one in json.loads(DATA.read_text())["vulnerabilities"]}
    assert {run.business_key: run.input["due_date"] for run in runs} == entries
    # All its dates have passed: the runs get the time that the definition gives.
    assert not runs.filter(deadline_at__lt=datetime.now(UTC)).exists()


@pytest.mark.parametrize(
    ("type_", "data", "workflows"),
    [
        ("nexus.threat.detected", {"severity": "high"}, []),
        ("nexus.threat.detected", {"severity": "critical", "cve": "CVE-1900-0001"}, ["critical-threat"]),
        (
            "nexus.threat.detected",
            {
                "severity": "critical",
                "confirmed": True,
                "title": "Gateway",
                "affected_records": 12,
                "jurisdictions": ["DE"],
                "data_categories": ["personal"],
                "detected_at": "2026-11-25T07:00:00Z",
            },
            ["breach-response", "critical-threat"],
        ),
        ("nexus.threat.detected", {"severity": "critical", "confirmed": True}, ["breach-response", "critical-threat"]),
        ("atlas.vulnerability.discovered", {"cve": "CVE-1900-0001", "severity": "high"}, ["vulnerability-response"]),
        (
            "compass.regulation.detected",
            {"regulation": "NIS2", "jurisdictions": ["DE"]},
            ["compliance-assessment", "regulatory-change"],
        ),
        (
            "compass.compliance.gap.identified",
            {"framework": "ISO 27001", "requirement": "A.5.1", "severity": "low"},
            ["compliance-assessment"],
        ),
        ("compass.questionnaire.completed", {"questionnaire": "Q-1"}, ["compliance-assessment"]),
        ("trust_engine.score.requested", {"requested_by": "board@example.org"}, ["trust-score"]),
        ("prism.risk.quantified", {"ale": 1.5, "currency": "EUR"}, []),
    ],
)
def test_the_events_of_the_platform_start_reference_workflows_that_succeed(
    executor: Executor, type_: str, data: dict[str, Any], workflows: list[str]
) -> None:
    assert types.checker()(event(type=type_, data=data)) == []
    take(event(type=type_, data=data))
    assert not DeadLetter.objects.exists()
    assert sorted(run.workflow for run in WorkflowRun.objects.all()) == workflows
    executor.execute([str(run.pk) for run in WorkflowRun.objects.all()])

    def as_far_as_it_goes(run: WorkflowRun) -> bool:
        """A case of a team goes on until it asks people."""
        return run.finished_at is not None or run.steps.filter(step__in=["triage", "assess"], state="WAITING").exists()

    until(lambda: all(map(as_far_as_it_goes, WorkflowRun.objects.all())), what="all have ended, or ask people")
    found = {(run.workflow, run.state, str(run.error)) for run in WorkflowRun.objects.all()}
    team = dict.fromkeys(("breach-response", "regulatory-change"), "WAITING")
    assert found == {(name, team.get(name, "SUCCEEDED"), "None") for name in workflows}
