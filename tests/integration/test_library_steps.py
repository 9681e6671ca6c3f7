"""The steps and the reference definitions on the shipped data."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from standardwebhooks import Webhook

from tests.unit.erip.foundation.outbound.test_webhooks import server
from workflows import library, registry
from workflows.core import definition
from workflows.decisions import stored as decisions
from workflows.errors import PermanentStepError, StepError
from workflows.library import cache
from workflows.library.models import (
    Asset,
    Delivery,
    KevEntry,
    LossFactor,
    NotificationTarget,
    PastIncident,
    Report,
    ReportLink,
)
from workflows.library.reference import load_reference_data, sample_incident
from workflows.library.vocabulary import key
from workflows.registry import StepContext

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOLDER = Path(library.__file__).parent / "definitions"
LEVELS = ("manager", "director", "executive", "board")


@pytest.fixture(autouse=True)
def _data(settings: Any, tmp_path: Path) -> None:
    settings.ERIP_REPORT_DIR = tmp_path / "reports"
    settings.ERIP_PUBLIC_URL = "https://erip.example"
    cache.forget()
    load_reference_data()
    cache.forget()


def context(step: str = "s", run: str = "run-1", workflow: str = "w") -> StepContext:
    return StepContext(run, step, None, 1, f"{run}:{step}:", workflow, "KEY-1", "high", None, NOW)


def call(name: str, data: dict[str, Any], ctx: StepContext | None = None) -> dict[str, Any]:
    """As a worker calls it: validated input, output as JSON."""
    spec = registry.get(name)
    given = spec.input_model.model_validate(data)
    result = spec.body(given, ctx or context()) if spec.takes_context else spec.body(given)
    return dict(json.loads(json.dumps(result.model_dump(mode="json"))))


def run(name: str, data: dict[str, Any], run_id: str = "run-1") -> tuple[Any, dict[str, Any]]:
    """All steps of a definition in their order: (the run's output, the steps' outputs)."""
    graph = definition.validate(definition.parse((FOLDER / f"{name}.yaml").read_bytes(), "yaml"), registry.all())
    assert graph.input_faults(data) == []
    steps: dict[str, Any] = {}
    state = {
        "input": data,
        "steps": steps,
        "run": {
            "id": run_id,
            "workflow": name,
            "business_key": None,
            "created_at": NOW.isoformat(),
            "status": "RUNNING",
        },
    }
    for node in graph.steps.values():
        skipped = node.condition is None and any(steps[need]["status"] == "SKIPPED" for need in node.needs)
        if skipped or (node.condition is not None and not node.condition.evaluate(state)):
            steps[node.id] = {"output": None, "status": "SKIPPED"}
            continue
        given = node.work.with_.render(state) if node.work.with_ else {}
        steps[node.id] = {
            "output": call(node.work.uses, given, context(node.id, run_id, name)),
            "status": "SUCCEEDED",
        }
    return graph.output.render(state) if graph.output else None, {key: one["output"] for key, one in steps.items()}


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        (
            "breach-response",
            [
                "enrich",
                "compliance",
                "posture",
                "quantify",
                "decide",
                "evidence",
                "reminder",
                "remind",
                "escalate",
                "notices",
                "report",
                # What the team does.
                "triage",
                "plan",
                "contain_at_once",
                *(f"{what}_{level}" for what in ("approve", "contain") for level in LEVELS),
                "keep_containment",
                "withdrawal_window",
                "undo_containment",
                "withdrawal_window_late",
                "undo_late",
                "addendum",
                "cast",
                "file",
                "filed",
                "secure",
                "corrected",
                "counted",
                "duties",
                "final_report",
                "lessons",
                "tell_lessons",
            ],
        ),
        ("trust-score", ["compliance", "security", "risk", "operations", "score", "report", "notify"]),
        ("compliance-assessment", ["obligations", "readiness", "posture", "decide", "report"]),
        ("critical-threat", ["detect", "assess", "decide", "notify"]),
        (
            "vulnerability-response",
            [
                "enrich",
                "posture",
                "prioritise",
                "report",
                "notify",
                "treat",
                "accept_low",
                "accept_high",
                "accepted",
                "remedy",
                "overdue",
                "remedy_late",
                "verify",
                "still_there",
                "remedy_again",
                "overdue_again",
                "remedy_again_late",
                "verify_again",
                "left_open",
            ],
        ),
    ],
)
def test_the_reference_definitions_are_valid_and_have_their_steps(name: str, steps: list[str]) -> None:
    graph = definition.validate(definition.parse((FOLDER / f"{name}.yaml").read_bytes(), "yaml"), registry.all())
    assert sorted(graph.steps) == sorted(steps)
    assert graph.name == name


def test_the_sample_breach_goes_through_all_six_steps() -> None:
    output, steps = run("breach-response", sample_incident() | {"detected_at": "2026-11-23T06:40:00Z"})
    assert steps["enrich"]["ransomware_use"]
    assert steps["enrich"]["kev_matches"][0]["cve"] == "CVE-1900-0001"
    assert steps["enrich"]["similar_incidents"][0]["reference"] == "SAMPLE-2022-01"
    assert steps["posture"]["control_gaps"]
    due = {one["code"]: one["deadline"] for one in output["deadlines"]}
    assert due["gdpr-33"] == "2026-11-26T06:40:00Z"
    assert due["nis2-early-warning"] == "2026-11-24T06:40:00Z"
    assert due["nis2-final"] == "2026-12-26T22:59:59Z"
    assert due["hipaa-hhs"] == "2027-01-22T07:59:59Z"  # it was still the 22nd in California
    assert due["sec-8k-105"] is None
    assert output["decision"]["level"] == "executive"
    loss = output["loss"]
    assert loss["p5"] <= loss["p50"] <= loss["p95"] == loss["var95"]
    assert abs(loss["ale"] - loss["analytic_ale"]) < 5 * loss["standard_error"]
    assert loss["converged"]
    assert Path(output["report"]["path"]).read_text() == Report.objects.get().html


def test_a_breach_with_the_least_input_is_answered_too() -> None:
    output, steps = run("breach-response", {"breach_id": "B", "severity": "low"})
    assert output["decision"]["row"] == "low"
    named, _ = run("breach-response", {"breach_id": "B", "severity": "low", "assets": ["Payroll"]}, "run-2")
    assert named["decision"]["facts"]["records"] == 4200
    assert named["decision"]["row"] == "low-with-data"
    assert steps["compliance"]["assumptions"]


GARBLED = {
    "incident_type": "Ransomwear",
    "attack_vector": "Fishing rod",
    "data_categories": ["Paymnt", "支付"],
    "jurisdictions": ["Atlantis"],
    "sector": "Helthcare",
    "organisation_facts": ["hipa"],
    "assets": ["Payrol"],
    "cvss_vectors": ["CVSS:3.1/AV:N"],
    "residents": {"Mars": 5},
    "submitted": {"gdpr-3": "2026-11-23T06:40:00Z"},
}


@pytest.mark.parametrize("fields", [*([name] for name in GARBLED), list(GARBLED)], ids=lambda fields: "+".join(fields))
@pytest.mark.parametrize("severity", ["low", "critical"])
def test_no_unknown_word_costs_a_breach_response_its_answer_and_each_is_named(fields: list[str], severity: str) -> None:
    given = {name: GARBLED[name] for name in fields}
    output, _ = run("breach-response", {"breach_id": "b" * 1024, "severity": severity, **given})
    told = "\n".join(output["assumptions"])
    report = Report.objects.get()
    for value in given.values():
        for word in [value] if isinstance(value, str) else value:
            assert key(word) in key(told), word
            assert key(word) in key(report.markdown.replace("\\", "")), word
    assert output["decision"]["row"]


def test_without_assets_and_loss_factors_a_critical_run_still_has_its_deadlines_and_a_decision() -> None:
    Asset.objects.all().delete()
    LossFactor.objects.all().delete()
    cache.forget()
    output, steps = run("breach-response", sample_incident())
    assert (steps["posture"]["known"], steps["posture"]["exposure_score"]) == (False, None)
    assert (output["loss"]["known"], output["loss"]["var95"], output["loss"]["converged"]) == (False, None, False)
    assert {"loss", "exposure"} & set(output["decision"]["missing"])
    assert [one for one in output["deadlines"] if one["code"] == "gdpr-33"]
    report = Report.objects.get()
    assert "the asset register is empty" in report.markdown
    assert "the loss is not known" in report.markdown
    assert report.html.count("not known") >= 2
    score, _ = run("trust-score", {"notify": ["a@example.org"]}, "run-2")
    assert score["score"] is not None


def test_the_largest_input_that_is_admitted_is_answered() -> None:
    rows = [
        KevEntry(
            cve_id=f"CVE-1901-{n:04}",
            vendor="V" * 20,
            product="P" * 100,
            name="N" * 100,
            date_added=NOW.date(),
            due_date=NOW.date(),
            description="d",
            required_action="A" * 300,
            ransomware=n % 2 == 0,
        )
        for n in range(500)
    ]
    KevEntry.objects.bulk_create(rows)
    cache.forget()
    vector = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
    output, steps = run(
        "breach-response",
        {
            "breach_id": "B",
            "severity": "high",
            "description": "x" * 10_000,
            "cves": [row.cve_id for row in rows],
            "cvss_vectors": [vector] * 500,
            "assets": [f"{n:03}{'a' * 100}" for n in range(250)],
            "jurisdictions": ["DE", "GB", "US-CA", "US-NY", "US-TX", "US-FL", "BR", "SG", "IN", "AU"],
            "data_categories": ["health", "payment_card"],
        },
    )
    assert steps["enrich"]["kev_match_count"] == 500
    assert len(steps["enrich"]["kev_matches"]) == 40
    assert all(one["ransomware"] for one in steps["enrich"]["kev_matches"])
    assert output["report"]["path"]


def test_the_same_run_gives_the_same_numbers_and_another_run_others() -> None:
    once, again, other = (run("breach-response", sample_incident(), name)[0]["loss"] for name in ("a", "a", "b"))
    assert once == again
    assert once["seed"] != other["seed"]
    assert once["ale"] != other["ale"]


def test_the_trust_score_is_made_of_real_figures() -> None:
    output, steps = run("trust-score", {"notify": ["board@example.org"]})
    parts = {part["dimension"]: part["score"] for part in output["breakdown"]}
    assert parts == {
        "compliance": steps["compliance"]["score"],
        "security": steps["security"]["protection_score"],
        "risk": steps["risk"]["score"],
        "operations": steps["operations"]["score"],
    }
    assert output["score"] == pytest.approx(
        0.3 * parts["compliance"] + 0.3 * parts["security"] + 0.25 * parts["risk"] + 0.15 * parts["operations"],
        abs=0.02,
    )
    assert [message.to for message in mail.outbox] == [["board@example.org"]]
    assert output["report"]["url"] in mail.outbox[0].body


def test_worse_data_lowers_the_trust_score() -> None:
    before = run("trust-score", {"seed": 1}, "a")[0]["score"]
    PastIncident.objects.filter(reference="SAMPLE-2025-02").update(hours_to_contain=500, loss=90_000_000)
    cache.forget()
    assert run("trust-score", {"seed": 1}, "b")[0]["score"] < before


def test_the_other_definitions_run() -> None:
    threat, _ = run("critical-threat", {"cves": ["cve-1900-0001"], "severity": "high"})
    assert (threat["level"], threat["urgency"]) == ("executive", "immediate")
    quiet, steps = run("critical-threat", {"severity": "low"})
    assert quiet["level"] == "none"
    assert steps["notify"] is None
    remedy, _ = run("vulnerability-response", {"cves": ["CVE-1900-0004"]})
    assert remedy["decision"]["row"] == "exploited-and-exposed"
    state, _ = run("compliance-assessment", {"jurisdictions": ["DE"], "sector": "finance"})
    assert state["decision"]["row"] == "gaps"
    assert {one["code"] for one in state["deadlines"]} >= {"dora-initial", "dora-intermediate", "dora-final"}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("clearance.route_decision", {"table": "nowhere"}, "no decision table 'nowhere'"),
        ("clearance.route_decision", {"facts": {"mood": "bad"}}, "no input 'mood'"),
        ("clearance.route_decision", {"facts": {"severity": "odd"}}, "severity: \"odd\" is not one of"),
        ("prism.quantify_risk", {"frequency": {"low": 1e9, "mode": 1e9, "high": 1e9}}, "lower the frequency"),
        ("compass.assess_readiness", {"frameworks": ["Astrology"]}, "astrology"),
        ("trust.calculate_score", dict.fromkeys(["compliance", "security", "risk", "operations"]), "at least one"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_fails_for_good_and_says_why(name: str, data: dict[str, Any], message: str) -> None:
    with pytest.raises(PermanentStepError, match=message):
        call(name, data)


def test_a_report_is_made_once_and_its_link_survives_a_second_attempt() -> None:
    first = call("beacon.report", {"title": "One"}, context("report"))
    again = call("beacon.report", {"title": "Two"}, context("report"))
    assert (first["report_id"], first["url"]) == (again["report_id"], again["url"])
    assert Report.objects.get().title == "Two"
    assert ReportLink.objects.count() == 1
    assert first["expires_at"] == again["expires_at"]
    assert datetime.fromisoformat(first["expires_at"]) > datetime.now(UTC) + timedelta(days=29)
    assert call("beacon.report", {}, context("report", run="run-2"))["report_id"] != first["report_id"]


def test_a_report_escapes_what_it_was_given() -> None:
    evil = "<script>alert(1)</script> | [x](javascript:alert(1)) `y`"
    made = call(
        "beacon.report",
        {
            "title": evil,
            "summary": evil,
            "subject": {evil: [evil]},
            "sections": [{"title": evil, "text": evil, "facts": {"a": {"b": evil}}}],
            "compliance": {
                "obligations": [
                    {
                        **dict.fromkeys(
                            ["code", "regime", "title", "authority", "wording", "citation", "trigger"], evil
                        ),
                        "source": "javascript:alert(1)",
                        "deadline": None,
                        "status": "due",
                        "applicability": "applies",
                        "hours_left": None,
                    }
                ]
            },
        },
    )
    html, markdown = Path(made["path"]).read_text(), Path(made["markdown_path"]).read_text()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert 'href="javascript' not in html
    assert "<script" not in markdown.replace("\\<", "")
    assert "\\[x\\](javascript" in markdown
    assert "[x](" not in markdown
    assert "http-equiv" in html


def test_a_report_says_first_what_is_overdue_and_what_was_not_known() -> None:
    incident = {
        "breach_id": "B",
        "severity": "critical",
        "jurisdictions": ["DE", "Atlantis"],
        "data_categories": ["personal", "Paymnt"],
        "detected_at": (NOW - timedelta(days=30)).isoformat(),
        "cvss_vectors": ["CVSS:3.1/AV:N"],
        "assets": ["Payrol", "Payroll"],
    }
    output, steps = run("breach-response", incident)
    assert output["overdue"] >= 1
    assert steps["compliance"]["most_urgent"] == "gdpr-33"
    assert steps["compliance"]["hours_to_most_urgent"] == -27 * 24
    assert steps["decide"]["facts"]["hours_to_deadline"] == -27 * 24
    report = Report.objects.get()
    for text in (report.html, report.markdown):
        order = [
            text.index(heading) for heading in ("Overdue", "Not known, or assumed", "Decision", "Legal obligations")
        ]
        assert order == sorted(order)
        head = text[: text.index("Legal obligations")]
        assert "GDPR" in head
        assert "648 h ago" in head
        for word in ("Atlantis", "Paymnt", "Payrol", "vector left out", "Sample data was used"):
            assert word in head, word
    assert {"assets", "controls", "organisation"} <= set(
        steps["posture"]["sample_data"] + steps["quantify"]["sample_data"]
    )
    assert any("Atlantis" in one for one in output["assumptions"])


def test_a_report_of_a_threat_of_which_nothing_is_known_does_not_call_it_low() -> None:
    unknown = call("nexus.enrich_threat", {"cves": ["CVE-2024-3400"]})
    call("beacon.report", {"title": "t", "threat": unknown}, context("report"))
    report = Report.objects.get()
    assert "How severe it is is not known" in report.markdown
    assert "0 / 100" not in report.html


def test_a_report_that_finds_no_disk_is_stored_all_the_same(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings.ERIP_REPORT_DIR = tmp_path / "file"
    made = call("beacon.report", {"title": "One"})
    assert made["path"] is None
    assert "could not be written" in made["note"]
    assert Report.objects.get().title == "One"


def test_a_message_without_anyone_to_tell_says_so() -> None:
    assert "nobody was notified" in call("notify.send", {})["note"]
    NotificationTarget.objects.create(name="a", kind="email", address="soc@example.org", workflows=["w"])
    NotificationTarget.objects.create(name="b", kind="email", address="off@example.org", enabled=False)
    cache.forget()
    assert call("notify.send", {})["delivered"] == 1
    assert "nobody" in call("notify.send", {}, context(workflow="other"))["note"]
    assert mail.outbox[0].to == ["soc@example.org"]
    assert mail.outbox[0].subject == "ERIP: w KEY-1"


def test_a_subject_cannot_add_headers() -> None:
    call("notify.send", {"email": ["a@example.org"], "subject": "Hello\r\nBcc: everyone@example.org"})
    assert mail.outbox[0].message()["Bcc"] is None
    assert mail.outbox[0].recipients() == ["a@example.org"]


def test_a_second_attempt_tells_only_those_who_were_not_reached(settings: Any) -> None:
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = True
    with server(b"HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n") as (port, failed):
        data = {"email": ["a@example.org"], "webhook": [f"http://127.0.0.1:{port}/"], "data": {"x": 1}}
        with pytest.raises(StepError, match="503") as error:
            call("notify.send", data, context("notify"))
        assert error.value.retryable
        assert error.value.retry_after == 9
        assert len(failed) == 1
    assert len(mail.outbox) == 1
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (port, received):
        data["webhook"] = [f"http://127.0.0.1:{port}/"]
        found = call("notify.send", data, context("notify"))
    assert len(mail.outbox) == 1
    assert [one["already_sent"] for one in found["deliveries"]] == [True, False]
    assert Delivery.objects.count() == 2
    head, _, body = received[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["webhook-id"] == "run-1:notify:"
    payload = Webhook(settings.ERIP_WEBHOOK_SECRET).verify(body, headers)
    assert (payload["data"]["x"], payload["data"]["run_id"]) == (1, "run-1")


def test_a_recipient_that_cannot_be_reached_keeps_nobody_else_from_it(settings: Any) -> None:
    bad = ["no address", "two@a@example.org", "a@exa mple.org", "x@☃.example", "lf@example.org\nBcc: b@example.org", ""]
    found = call("notify.send", {"email": ["first@example.org", *bad, "last@example.org"]}, context("notify"))
    assert sorted(one.to[0] for one in mail.outbox) == ["first@example.org", "last@example.org"]
    assert (found["delivered"], found["refused"]) == (2, len(bad))
    assert [one["target"] for one in found["deliveries"]] == ["first@example.org", *bad, "last@example.org"]
    assert [one["status"] for one in found["deliveries"]] == ["delivered", *["refused"] * len(bad), "delivered"]
    assert all(one["detail"] for one in found["deliveries"])
    assert f"{len(bad)} of {len(bad) + 2} recipients cannot be reached" in found["note"]


@pytest.mark.parametrize("error", [ValueError("bad header"), UnicodeError("no such codec"), RuntimeError("a bug")])
def test_what_a_mail_library_raises_for_one_address_is_that_addresss_outcome(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = EmailMessage.send

    def one_breaks(message: EmailMessage, fail_silently: bool = False) -> int:
        if message.to == ["bad@example.org"]:
            raise error
        return send(message, fail_silently)

    monkeypatch.setattr(EmailMessage, "send", one_breaks)
    found = call("notify.send", {"email": ["bad@example.org", "good@example.org"]}, context("notify"))
    assert [one["status"] for one in found["deliveries"]] == ["refused", "delivered"]
    assert type(error).__name__ in found["deliveries"][0]["detail"]


def test_nobody_reached_is_a_failure_that_names_everybody() -> None:
    with pytest.raises(PermanentStepError, match=r"'no address'.*127\.0\.0\.1") as error:
        call("notify.send", {"email": ["no address"], "webhook": ["https://127.0.0.1/"]}, context("notify"))
    assert error.value.code == "delivery_refused"


def test_a_recipient_that_hangs_holds_up_nobody(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = True
    monkeypatch.setattr("workflows.library.notify.steps.SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(StepError, match=r"no answer within 1 s.*good@example.org: delivered") as error:
            call("notify.send", {"email": ["good@example.org"], "webhook": [url]}, context("notify"))
    assert error.value.retryable
    assert [one.to for one in mail.outbox] == [["good@example.org"]]


def test_mail_goes_to_the_domain_that_was_written_by_idna_2008() -> None:
    found = call("notify.send", {"email": ["a@straße.example"]}, context("notify"))
    assert mail.outbox[0].to == ["a@xn--strae-oqa.example"]
    assert b"strasse" not in mail.outbox[0].message().as_bytes()
    assert found["deliveries"][0]["target"] == "a@straße.example"


@pytest.mark.parametrize(
    ("kind", "address"), [("email", "nobody"), ("webhook", "ftp://x"), ("webhook", "https://☃.net/")]
)
def test_a_target_that_cannot_be_one_is_refused_in_the_admin(kind: str, address: str) -> None:
    with pytest.raises(ValidationError, match="address"):
        NotificationTarget(name="n", kind=kind, address=address).full_clean()
    NotificationTarget(name="n", kind="email", address="soc@example.org").full_clean()
    NotificationTarget(name="n", kind="webhook", address="https://straße.de/hook").full_clean()


def test_a_private_webhook_is_refused_for_good() -> None:
    with pytest.raises(PermanentStepError, match="not a public address"):
        call("notify.send", {"webhook": ["https://127.0.0.1/"]})


def test_a_table_that_does_not_say_what_the_step_needs_fails_it_with_the_place() -> None:
    rules = [{"id": "dear", "when": {"loss": "> 5"}, "then": {"level": '"board"'}}]
    inputs = [{"name": "loss", "type": "number", "optional": True}]
    decisions.publish("odd", {"inputs": inputs, "outputs": [{"name": "level"}], "rules": rules}, author="test")
    with pytest.raises(PermanentStepError, match="odd v1 does not decide this case: no rule matches") as error:
        call("clearance.route_decision", {"table": "odd", "loss": 1})
    assert error.value.code == "not_decided"
    with pytest.raises(PermanentStepError, match="odd v1, rule dear: sla_hours: Field required") as error:
        call("clearance.route_decision", {"table": "odd", "loss": 6})
    assert error.value.code == "unfit_table"


def test_the_clock_of_a_decision_starts_with_the_run() -> None:
    found = call("clearance.route_decision", {"severity": "medium"})
    assert (found["sla_hours"], found["due_at"]) == (48, (NOW + timedelta(hours=48)).isoformat().replace("+00:00", "Z"))
