"""Worked cases of deadlines, from outside of this repository: no deadline is later than the law allows."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.obligations import shipped
from workflows.library.compass.contract import ComplianceInput, ObligationDue
from workflows.library.compass.obligations import assess

DATA = Path(os.environ.get("ERIP_TEST_DATA") or Path(__file__).resolve().parents[5] / "shared/data")
FILE = DATA / "law/golden.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
RULES = {rule.code: rule for rule in shipped()}
#: what the cases call a moment → the field that has it
MOMENTS = {
    "incident_at": "incident_at",
    "detected_at": "detected_at",
    "confirmed_at": "confirmed_at",
    "classified_at": "classified_at",
    "material_at": "material_at",
    "paid_at": "paid_at",
    "measure_available_at": "fix_available_at",
}
# The case names a zone: a place in it.
PLACES = {
    "America/New_York": "US-NY", "America/Los_Angeles": "US-CA", "America/Chicago": "US-TX", "Australia/Sydney": "AU",
}  # fmt: skip
#: due as the case has it, to the second; the others are earlier, for the reason that is given
EARLIER = {
    "brazil-tiradentes": "the easternmost of Brazil's zones counts, an hour before that of its capital",
}
#: arguable as the case has it; the others differ, for the reason that is given
ARGUED = {
    "brazil-tiradentes": "the easternmost of Brazil's zones counts here, too",
}
if not CASES:
    pytest.skip("the worked cases are not on this machine", allow_module_level=True)


def computed(case: dict[str, Any]) -> ObligationDue | None:
    facts = case["facts"]
    rule = RULES[case["obligation"] + ("-trust" if facts.get("trust_service_provider") else "")]
    own = min(rule.jurisdictions)
    place = own if "-" in own else facts.get("member_state") or PLACES.get(facts.get("zone", ""))
    given: dict[str, Any] = {field: facts[name] for name, field in MOMENTS.items() if name in facts}
    given["jurisdictions"] = [place or own]
    given["submitted"] = facts.get("submitted", {})
    given["severity"] = "critical"
    given["data_categories"] = sorted(rule.data_categories) or ["personal"]
    given["sector"] = min(rule.sectors, default=None)
    relief = facts.get("nis2_entity") is False and facts.get("relief_excluded_by_authority") is False
    given["organisation_facts"] = [*sorted(rule.conditions), *(["dora_weekend_relief"] if relief else [])]
    residents = [count for name, count in facts.items() if name.startswith("residents_")]
    given["affected_records"] = facts.get("affected_records", max(residents, default=rule.min_records))
    found = assess([rule], ComplianceInput.model_validate(given), datetime(2026, 11, 25, tzinfo=UTC))
    return found.obligations[0] if found.obligations else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_no_deadline_is_later_than_the_law_allows(case: dict[str, Any]) -> None:
    if case["expect"]["due"] is None:
        assert computed(case) is None
        return
    found = computed(case)
    assert found is not None
    assert found.applicability == "applies"
    due = datetime.fromisoformat(case["expect"]["due"])
    assert found.deadline is not None
    assert found.deadline < due if case["id"] in EARLIER else found.deadline == due
    arguable = case["expect"].get("arguable_until")
    if arguable and case["id"] not in ARGUED:
        assert found.arguable_until == datetime.fromisoformat(arguable)


def test_every_case_is_of_a_shipped_duty() -> None:
    assert {case["obligation"] for case in CASES} <= set(RULES)
