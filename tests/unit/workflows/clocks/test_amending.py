"""A clock that is amended or extended, by its row: worked cases of `golden.json` before and after, to the second."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.workflows.core.clocks.test_golden import CASES, at
from workflows.clocks.models import LegalClock, State
from workflows.clocks.reckoning import refresh

AMENDED = [case for case in CASES if "amended_from" in case]
EXTENDED = [case for case in CASES if "extended" in case and "due_before" in case]


def row_of(case: dict[str, Any], start: str) -> LegalClock:
    """As it is stored when the clock has started, and stopped if the case says so."""
    stops = [{"since": one, "until": until, "reason": "r", "by": "user:a", "article": "a"}
             for one, until in case.get("stops", ())]  # fmt: skip
    facts = {
        "moments": {"detected": start}, "amended": {}, "assumed": ["detected"], "facts": [], "submitted": {},
        "places": [case["place"]] if "place" in case else [],
    }  # fmt: skip
    row = LegalClock(
        duty={"clocks": [{"trigger": "detected", "timezone": case["zone"], **case["clock"]}]},
        facts=facts,
        stops=stops,
        state=State.RUNNING,
    )
    refresh(row, at(start))
    return row


@pytest.mark.parametrize("case", AMENDED, ids=[case["id"] for case in AMENDED])
def test_an_amended_start_moves_the_deadline_as_worked_out(case: dict[str, Any]) -> None:
    # Given
    row = row_of(case, case["amended_from"])
    assert row.due_at == at(case["due_before"])
    turn = row.turn
    # When
    row.facts["amended"] = {"detected": case["start"]}
    row.facts["assumed"] = []
    refresh(row, at(case["start"]))
    # Then
    assert (row.due_at, row.arguable_until) == (at(case["due"]), at(case["arguable"]))
    assert row.since == at(case["start"])
    assert row.facts["moments"] == {"detected": case["amended_from"]}, "what was taken first stays written down"
    moved = at(case["due"]) != at(case["due_before"])
    assert row.turn == turn + moved, "an alarm after it is another alarm"
    assert not row.provisional


@pytest.mark.parametrize("case", EXTENDED, ids=[case["id"] for case in EXTENDED])
def test_an_extension_moves_the_deadline_and_never_to_an_earlier_one(case: dict[str, Any]) -> None:
    row = row_of(case, case["start"])
    assert row.due_at == at(case["due_before"])
    row.extended = {"until": case["extended"], "reason": "granted", "by": "user:a"}
    refresh(row, at(case["start"]))
    assert (row.due_at, row.arguable_until) == (at(case["due"]), at(case["arguable"]))
    assert isinstance(row.due_at, datetime)
    assert row.due_at >= at(case["due_before"])


def test_an_amended_clock_that_is_over_by_then_is_a_breach_at_once() -> None:
    case = next(one for one in AMENDED if at(one["due"]) < at(one["due_before"]))
    row = row_of(case, case["amended_from"])
    row.facts["amended"] = {"detected": case["start"]}
    refresh(row, at(case["due"]) + timedelta(seconds=1))
    assert row.next_rung_at == at(case["due"])
