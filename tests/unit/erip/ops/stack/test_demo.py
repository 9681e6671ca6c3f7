"""What the demo reads and prints."""

import io
import json
from datetime import UTC, datetime

import pytest
import yaml
from rich.console import Console

from erip.ops.stack.demo import SAMPLE, BadInput, Refused, just_now, read_incident
from erip.ops.stack.demo_screen import money, show
from erip.ops.stack.screens import duration
from erip.ops.stack.state import ROOT

RUN = {
    "id": "019abc00-0000-7000-8000-000000000001",
    "workflow": "breach-response",
    "version": 3,
    "status": "SUCCEEDED",
    "lane": "critical",
    "business_key": "B-2026-017",
    "error": None,
    "created_at": "2026-11-23T20:00:00+00:00",
    "finished_at": "2026-11-23T20:00:00.412000+00:00",
    "steps": [
        {
            "id": "quantify",
            "item": None,
            "status": "SUCCEEDED",
            "attempt": 2,
            "worker": "critical@a-machine",
            "started_at": "2026-11-23T20:00:00.100000+00:00",
            "finished_at": "2026-11-23T20:00:00.300000+00:00",
            "essential": True,
            "output": {
                "currency": "USD",
                "ale": 1_234_567.8,
                "p5": 100.0,
                "p50": 45_678.9,
                "p95": 2.5e9,
                "var95": 2.5e9,
                "seed": 42,
                "iterations": 20_000,
                "convergence_error": 0.0123,
            },
        },
        {
            "id": "decide",
            "item": None,
            "status": "SUCCEEDED",
            "attempt": 1,
            "worker": "critical@a-machine",
            "started_at": "2026-11-23T20:00:00.310000+00:00",
            "finished_at": "2026-11-23T20:00:00.320000+00:00",
            "essential": True,
            "output": {
                "level": "executive",
                "urgency": "immediate",
                "sla_hours": 4.0,
                "due_at": "2026-11-24T00:00:00Z",
                "approvers": ["ciso", "chief_risk_officer"],
                "reason": "[critical] severity and known exploitation",
            },
        },
        {
            "id": "comply",
            "item": None,
            "status": "SUCCEEDED",
            "attempt": 1,
            "worker": "critical@a-machine",
            "started_at": "2026-11-23T20:00:00.200000+00:00",
            "finished_at": "2026-11-23T20:00:00.250000+00:00",
            "essential": True,
            "output": {
                "obligations": [
                    {
                        "regime": "GDPR",
                        "title": "Notify the supervisory authority",
                        "deadline": "2026-11-26T20:00:00Z",
                        "hours_left": 72.0,
                        "applicability": "applies",
                    },
                    {
                        "regime": "NIS2",
                        "title": "Early warning to the CSIRT or the competent authority, and if need be to recipients",
                        "deadline": "2026-11-24T20:00:00Z",
                        "hours_left": -3.0,
                        "applicability": "applies",
                    },
                    {
                        "regime": "SEC",
                        "title": "8-K",
                        "deadline": None,
                        "hours_left": None,
                        "applicability": "to_check",
                    },
                ]
            },
        },
        {
            "id": "notify",
            "item": None,
            "status": "FAILED",
            "attempt": 3,
            "worker": "general@a-machine",
            "started_at": "2026-11-23T20:00:00.420000+00:00",
            "finished_at": "2026-11-23T20:00:00.500000+00:00",
            "essential": False,
            "output": None,
            "error": {"code": "webhook_refused", "message": "the webhook's target is not global"},
        },
    ],
}


def printed(run: dict, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show(run, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_screen_shows_everything_within_the_width(width):
    text = printed(RUN, width)
    assert max(len(line) for line in text.splitlines()) <= width
    for fact in (
        *(
            "breach-response",
            "SUCCEEDED in 412 ms",
            "B-2026-017",
            "the webhook's target is not global",
            "EXECUTIVE approval",
        ),
        *("within 4 h (by 2026-11-24 00:00 UTC)", "ciso, chief risk officer", "[critical] severity"),
        *("1.23 M", "45.7 k", "2.50 bn", "seed 42", "1.2%"),
        *("2026-11-26 20:00", "72 h", "3 h late", "1 more to check", "attempt 2"),
    ):
        assert fact in text, fact


def test_a_run_that_failed_before_its_first_step_is_shown_too():
    text = printed(
        {**RUN, "status": "FAILED", "finished_at": None, "error": {"message": "no such table"}, "steps": []}, 80
    )
    assert "FAILED" in text
    assert "no such table" in text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (9_999, "9,999"), (12_345, "12.3 k"), (1e6, "1.00 M"), (123_456_789, "123 M"), (5e9, "5.00 bn")],
)
def test_money_has_three_figures(amount, text):
    assert money(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (4.2, "4 s"), (600, "10 min"), (7200, "2 h"), (864_000, "10 d")]
)
def test_a_duration_has_one_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "there is no such file"),
        (b"{\n  'a': 1}", ":2:3: is not JSON"),
        (b"[1]", "must hold a JSON object"),
        (b"\xff\xfe", "is not a text in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_incident_is_named_with_its_fault(tmp_path, content, fault):
    path = tmp_path / "incident.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=fault):
        read_incident(path)


def test_the_samples_moments_lie_shortly_before_now():
    now = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
    assert just_now(now) == {"detected_at": "2026-11-25T09:00:00Z"}
    assert read_incident(SAMPLE).keys() >= just_now(now).keys()


def test_a_folder_is_no_incident(tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        read_incident(tmp_path)


def test_every_fault_of_the_api_is_one_line():
    faults = [{"path": "input.cves[0]", "message": "is not a CVE"}, {"path": "input", "message": "lacks severity"}]
    assert Refused(422, {"faults": faults}).faults == ["input.cves[0]: is not a CVE", "input: lacks severity"]
    assert Refused(413, {"detail": "The body is too large."}).faults == ["The API answered 413: The body is too large."]


def test_what_is_late_and_what_was_not_known_comes_before_everything_else():
    late = {
        "regime": "NIS2",
        "title": "Early warning",
        "deadline": "2026-11-20T20:00:00Z",
        "hours_left": -72.0,
        "applicability": "applies",
        "status": "overdue",
    }
    told = {"assumptions": [f"assets: no asset is called number {n}" for n in range(8)], "sample_data": ["assets"]}
    steps = [{**step, "output": {**(step["output"] or {}), **told}} for step in RUN["steps"]]
    for step in steps:
        if "obligations" in step["output"]:
            step["output"]["obligations"] = [*step["output"]["obligations"], late]
    screen = io.StringIO()
    show({**RUN, "steps": steps}, Console(file=screen, width=100))
    text = screen.getvalue()
    places = [text.index(head) for head in ("Overdue", "Not known, or assumed", "Timeline", "Decision")]
    assert places == sorted(places)
    assert "NIS2: Early warning, was due 2026-11-20 20:00 UTC, 72 h late" in text
    assert "Sample data of an invented organisation: assets" in text
    assert text.count("no asset is called") == 6
    assert "2 more in the report" in text


def test_a_run_with_nothing_late_or_unknown_has_no_such_heads():
    screen = io.StringIO()
    show(RUN, Console(file=screen, width=100))
    assert "Overdue" not in screen.getvalue()
    assert "Not known" not in screen.getvalue()


def test_the_sample_incident_shows_every_field_of_the_workflow_that_it_is_for():
    definition = yaml.safe_load((ROOT / "workflows/library/definitions/breach-response.yaml").read_text())
    incident = json.loads(SAMPLE.read_text())
    assert incident.keys() == definition["input"]["properties"].keys()
    assert incident["detected_at"]
