"""Drafts of notifications: what is known is in them, what is not is to be filled in, and nothing is invented."""

from datetime import UTC, datetime
from typing import Any

import pytest

from workflows.library.beacon.contract import NoticesInput, NoticesOutput
from workflows.library.beacon.notices import OPEN, _facts, drafts
from workflows.library.compass.contract import ComplianceOutput
from workflows.library.shipping.files import fixture

CODES = [code for row in fixture("notices.yaml") for code in row["codes"]]


def duty(code: str, **more: Any) -> dict[str, Any]:
    return {
        "code": code, "regime": "GDPR", "title": "Notify", "authority": "the authority",
        "deadline": datetime(2026, 12, 1, tzinfo=UTC), "status": "due", "applicability": "applies", "trigger": "aware",
        "hours_left": 5.0, "wording": "within 72 hours", "citation": "Art. 33", "source": "https://example.org", **more,
    }  # fmt: skip


def made(*duties: dict[str, Any], **facts: Any) -> NoticesOutput:
    return drafts(NoticesInput(compliance=ComplianceOutput.model_validate({"obligations": list(duties)}), **facts))


def test_every_list_of_fields_is_of_a_shipped_duty_and_is_marked_as_what_it_is() -> None:
    shipped = {row["code"] for row in fixture("obligations")}
    assert set(CODES) <= shipped
    assert len(CODES) == len(set(CODES))
    for row in fixture("notices.yaml"):
        assert row["to"] in ("authority", "people", "others")
        assert row["verified"] in (True, False)
        assert all(field["asks"] for field in row["fields"])


def test_what_is_known_is_in_the_draft_and_the_rest_is_to_be_filled_in() -> None:
    one = made(
        duty("gdpr-33"), summary="A mail went astray", incident_type="phishing", affected_records=4200,
        data_categories=["health"], jurisdictions=["DE"],
    ).notices[0]  # fmt: skip
    assert "A mail went astray" in one.text
    assert "Records: about 4,200." in one.text
    assert "Categories of data: health." in one.text
    assert "not verified" in one.text
    # The records are known, the people are not: one does not stand for the other.
    assert "Where possible, the categories and approximate number of people concerned" in one.open
    assert "Where possible, the categories and approximate number of records concerned" not in one.open
    assert one.text.count(OPEN) == len(one.open)


@pytest.mark.parametrize("code", CODES)
def test_without_any_fact_every_field_is_open_and_nothing_is_said_to_be_none(code: str) -> None:
    one = made(duty(code)).notices[0]
    fields = next(row["fields"] for row in fixture("notices.yaml") if code in row["codes"])
    assert one.open == [field["asks"] for field in fields]
    assert "No data are concerned" not in one.text
    assert "No data are concerned." in made(duty("gdpr-33"), data_categories=[]).notices[0].text


#: everything that a case can say
EVERYTHING: dict[str, Any] = {
    "summary": "A mail went astray", "incident_type": "phishing", "attack_vector": "mail", "severity": "high",
    "affected_records": 4200, "data_categories": ["health"], "residents": {"DE": 10}, "jurisdictions": ["DE", "FR"],
    "cves": ["CVE-2026-1"], "incident_at": datetime(2026, 11, 1, tzinfo=UTC),
    "detected_at": datetime(2026, 11, 2, tzinfo=UTC), "aware_at": datetime(2026, 11, 3, tzinfo=UTC),
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "asks", "shown"),
    [
        ("gdpr-33", "If it is notified after more than 72 hours: the reasons for the delay", "2026-11-03"),
        ("gdpr-33", "Where possible, the categories and approximate number of people concerned", "DE 10"),
        ("nis2-early-warning", "Whether it could have a cross-border impact", "DE, FR"),
        ("nis2-notification", "What is new since the early warning", "A mail went astray"),
        ("nis2-notification", "An initial assessment of the incident, its severity and its impact", "high"),
        ("nis2-notification", "Where available, the indicators of compromise", "2026"),
        ("nis2-final", "The type of threat or the root cause that is likely to have triggered it", "phishing"),
        ("nis2-final", "Where applicable, the cross-border impact", "DE, FR"),
    ],
)
def test_what_facts_help_with_and_do_not_answer_is_to_be_filled_in(code: str, asks: str, shown: str) -> None:
    one = made(duty(code), **EVERYTHING).notices[0]
    assert asks in one.open
    said = one.text.split(f"## {asks}\n")[1].split("\n## ")[0]
    assert shown in said
    assert OPEN in said


def test_each_source_is_a_fact_that_can_be_known_or_is_for_people() -> None:
    known = _facts(NoticesInput(**EVERYTHING)).keys()
    sources = {name for row in fixture("notices.yaml") for field in row["fields"] for name in field.get("from", ())}
    assert sources - known == {"people_say"}


def test_a_summary_that_is_cut_says_so() -> None:
    assert "Cut here: the summary has 2,001 characters." in made(duty("gdpr-34"), summary="x" * 2001).notices[0].text
    assert "Cut here" not in made(duty("gdpr-34"), summary="x" * 2000).notices[0].text


def test_duties_that_are_met_get_no_draft_and_those_that_may_apply_are_named() -> None:
    found = made(
        duty("gdpr-33", status="met"), duty("gdpr-34", applicability="to_check"), duty("unheard-of"),
        duty("nis2-early-warning", deadline=None),
    )  # fmt: skip
    assert [one.code for one in found.notices] == ["nis2-early-warning"]
    assert (found.without_template, found.to_check) == (["unheard-of"], ["gdpr-34"])
    assert "no fixed time" in found.notices[0].text
    assert drafts(NoticesInput()).notices == []


def test_what_a_case_says_is_text_and_no_markup() -> None:
    text = made(duty("gdpr-34"), summary="# Fine\n<script>x</script> [a](b)", incident_type="*bold*").notices[0].text
    assert "<script>" not in text
    assert "\n# Fine" not in text
    assert "[a](b)" not in text
