"""`regulatory-change`: who is touched, who decides, what is adapted, and the evidence that it was."""

import pytest

from tests.unit.workflows.library.cases import done, no, play, yes
from workflows.core.states import StepState
from workflows.testing import Result
from workflows.testing.moments import Moment

TOUCHED = {"cases": 2, "open": [], "moved": []}
DONE = {"done": [{"what": "The procedure", "where": "wiki/17"}]}


def change(*during: Moment, cases: int = 0, readiness: float | None = 90.0) -> Result:
    stubs = {
        "touched": {"cases": cases}, "touched_after": TOUCHED, "readiness": {"score": readiness}, "posture": {},
        "cast": {}, "report": {"url": "https://erip.example/reports/1"},
    }  # fmt: skip
    return play("regulatory-change", {"regulation": "NIS2", "obligations": ["nis2-final"]}, stubs, during)


def assess(impact: str | None, after: str = "1d") -> Moment:
    return yes("assess", after, {"impact": impact} if impact else None)


@pytest.mark.parametrize(
    ("impact", "cases", "readiness", "level"),
    [
        ("high", 0, 90.0, "executive"),
        ("medium", 1, 90.0, "executive"),
        ("medium", 0, 50.0, "director"),
        ("medium", 0, None, "director"),
        ("low", 3, 50.0, "manager"),
        (None, 0, 90.0, "director"),
        (None, 2, 90.0, "executive"),
    ],
)
def test_the_level_of_the_table_decides_and_it_is_adapted_and_proved(
    impact: str | None, cases: int, readiness: float | None, level: str
) -> None:
    result = change(
        assess(impact), yes(f"approve_{level}", "3d"), yes("adapt", "60d", DONE), yes("evidence", "70d"),
        cases=cases, readiness=readiness,
    ).expect("SUCCEEDED")  # fmt: skip
    assert {one for one in done(result) if one.startswith("approve_")} == {f"approve_{level}"}
    assert (result.output["relevant"], result.output["adapted"], result.output["proved"]) == (True, True, True)
    assert result.steps["evidence"].input["evidence"]["open_cases"] == {**TOUCHED}


def test_what_means_nothing_here_goes_no_further_and_is_reported() -> None:
    result = change(no("assess", "1d")).expect("SUCCEEDED")
    assert (result.output["relevant"], result.output["decision"], result.output["adapted"]) == (False, None, None)
    assert "report" in done(result)
    nothing = change(assess("none")).expect("SUCCEEDED")
    assert nothing.steps["decide"].output["result"]["level"] == "none"
    assert (nothing.output["relevant"], nothing.output["adapted"]) == (True, None)


def test_silence_is_no_answer_it_is_decided_as_not_rated() -> None:
    result = change(yes("approve_director", "16d"), yes("adapt", "60d", DONE), yes("evidence", "70d")).expect(
        "SUCCEEDED"
    )
    assert result.steps["assess"].output["expired"] is True
    assert result.steps["decide"].output["rules"][0] == "unrated"
    assert result.output["proved"] is True


def test_what_is_refused_is_not_adapted_and_what_was_not_done_is_not_proved() -> None:
    refused = change(assess("low"), no("approve_manager", "2d")).expect("SUCCEEDED")
    assert refused.steps["adapt"].state is StepState.SKIPPED
    assert (refused.output["adapted"], refused.output["proved"]) == (None, None)
    late = change(assess("low"), yes("approve_manager", "2d")).expect("SUCCEEDED")
    assert late.steps["adapt"].output["expired"] is True
    assert (late.output["adapted"], late.output["proved"]) == (None, None)
    wrong = change(assess("low"), yes("approve_manager", "2d"), yes("adapt", "9d", DONE), no("evidence", "10d"))
    assert (wrong.output["adapted"], wrong.output["proved"]) == (True, False)


def test_what_was_not_there_is_done_and_looked_at_once_more() -> None:
    began = (assess("low"), yes("approve_manager", "2d"), yes("adapt", "9d", DONE), no("evidence", "10d"))
    for last, proved in ((yes("evidence_again", "40d"), True), (no("evidence_again", "40d"), False)):
        result = change(*began, yes("adapt_again", "30d", DONE), last).expect("SUCCEEDED")
        assert (result.output["adapted"], result.output["proved"]) == (True, proved)
        assert result.steps["evidence_again"].input["evidence"]["done"][0]["form"] == DONE
    slow = change(
        assess("low", "13d"), yes("approve_manager", "26d"), yes("adapt", "205d", DONE), no("evidence", "264d"),
        yes("adapt_again", "353d", DONE),
    ).expect("SUCCEEDED")  # fmt: skip
    assert slow.output["proved"] is None
