"""Worked cases of clocks, made by other means (`tests/support/legal_cases.py`): both readings, to the second."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from workflows.core.clocks.clock import Clock
from workflows.core.clocks.deadline import Circumstances, Deadline, deadline
from workflows.core.clocks.stopping import Stop
from workflows.core.clocks.where import Where

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
at = datetime.fromisoformat


#: earlier than as worked out, for the reason that is given; never later
EARLIER = {
    "NL-business-2026-05-04-4": "5 May is a holiday for legal terms each year; the package has it every five years",
}


def computed(case: dict[str, Any], **planted: Any) -> Deadline:
    clock = Clock.of({"trigger": "detected", **case["clock"], **planted})
    extended = case.get("extended")
    given = Circumstances(
        where=[Where(case.get("place", ""), (case["zone"],))],
        stops=[Stop(at(since), until and at(until)) for since, until in case.get("stops", ())],
        extended=(at(extended), "granted") if extended else None,
        explain=True,
    )
    found = deadline([clock], {"detected": at(case["start"])}, given)
    assert found is not None
    return found


def test_every_case_comes_out_as_worked_out() -> None:
    wrong = {
        case["id"]: (found.at, found.arguable_until)
        for case in CASES
        if (found := computed(case)) and (found.at, found.arguable_until) != (at(case["due"]), at(case["arguable"]))
    }
    assert set(wrong) == set(EARLIER)
    earlier = [case for case in CASES if case["id"] in EARLIER]
    assert all(computed(case).at < at(case["due"]) for case in earlier)


def test_no_reading_ends_before_it_is_due_and_each_says_how() -> None:
    for case in CASES:
        found = computed(case)
        assert found.arguable_until >= found.at > at(case["start"])
        for reading in (found.due, found.arguable):
            assert reading.how[0].startswith("starts ")
            assert reading.at.astimezone(ZoneInfo(case["zone"])).date().isoformat() in reading.how[-1]


def test_the_cases_are_many_and_of_all_kinds() -> None:
    assert len(CASES) >= 500
    assert all(case["source"] for case in CASES)
    calendars = {case["clock"].get("calendar") or case.get("place") for case in CASES} - {None, "us_federal_closures"}
    assert len(calendars) >= 20
    units = Counter(case["clock"]["unit"] for case in CASES)
    assert min(units[unit] for unit in ("hours", "days", "months", "business_days")) >= 20
    assert sum(len(case.get("stops", ())) == 2 for case in CASES) >= 20
    over_a_change = [at(case["start"]).utcoffset() != at(case["due"]).utcoffset() for case in CASES]
    assert sum(over_a_change) >= 50
    assert sum(case["due"] != case["arguable"] for case in CASES) >= 40
    amended = [case for case in CASES if "amended_from" in case]
    assert len(amended) >= 100
    assert {at(case["due"]) > at(case["due_before"]) for case in amended} == {True, False}, "both ways"
    assert sum(bool(case.get("stops")) for case in amended) >= 4
    assert sum("extended" in case for case in CASES) >= 10


def test_a_planted_fault_is_found_by_many_cases() -> None:
    """Without the holidays, with the day of the trigger counted, and without what the law adds."""

    def wrong(unit: str, **planted: Any) -> int:
        cases = [case for case in CASES if case["clock"]["unit"] == unit]
        return sum(computed(case, **planted).at != at(case["due"]) for case in cases)

    assert wrong("business_days", calendar="weekdays") > 150
    assert wrong("days", first_day=True) > 150
    european = [case for case in CASES if case["clock"].get("ends") == [{"rule": "eu"}]]
    assert sum(computed(case, ends=[]).arguable_until != at(case["arguable"]) for case in european) > 50
