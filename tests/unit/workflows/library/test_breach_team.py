"""`breach-response` as a team goes through it: who is asked, what is done, and what is taken back."""

from typing import Any

import pytest

from tests.unit.workflows.library import cases
from tests.unit.workflows.library.cases import done, no, yes
from workflows.core.states import RunState, StepState
from workflows.testing import Result, signal
from workflows.testing.moments import Moment

MEASURE = {"action": "Cut it off", "target": "Gateway", "undo": "Put it back"}
CARRIED = {"measures": [{"place": 0, **MEASURE, "state": "ordered", "detail": ""}], "note": ""}
LEVELS = ("manager", "director", "executive", "board")
LESSONS = {
    "lessons": "Patch sooner.",
    "owner": "anna",
    "actions": [{"action": "Patch", "owner": "ben", "due": "2027-01-31"}],
}
TEAM = {
    *("triage", "plan", "contain_at_once", "keep_containment", "withdrawal_window", "undo_containment"),
    *("file", "filed", "secure", "corrected", "counted", "duties", "final_report", "lessons", "tell_lessons"),
    *("withdrawal_window_late", "undo_late", "addendum", "cast"),
    *(f"{what}_{level}" for what in ("approve", "contain") for level in LEVELS),
}


def play(level: str, *during: Moment, **given: Any) -> Result:
    """A run whose table says `level`. Nothing is looked up or sent."""
    stubs: dict[str, Any] = {
        "enrich": {}, "compliance": {}, "posture": {}, "quantify": {}, "notices": {}, "report": {},
        "decide": lambda asked: {"level": level, "reason": f"asked with {asked.severity}"},
        "contain_at_once": CARRIED, **{f"contain_{one}": CARRIED for one in LEVELS},
        "undo_containment": lambda asked: {"reason": asked.reason},
        "corrected": {}, "counted": {}, "duties": {"overdue": 3},
        "undo_late": lambda asked: {"reason": asked.reason}, "addendum": {}, "cast": {},
        "filed": {}, "final_report": {}, "tell_lessons": {}, "remind": {}, "escalate": {},
    }  # fmt: skip
    incident = {
        "breach_id": "B-1",
        "severity": "high",
        "respond": True,
        "containment": {"measures": [MEASURE]},
        **given,
    }
    return cases.play("breach-response", incident, stubs, during)


#: everything but the approval of the level
REST = (yes("file", "2d"), yes("secure", "3d"), yes("lessons", "9d", LESSONS))
TRIAGE = yes("triage", "10m")


def test_without_a_team_it_is_what_it_was() -> None:
    for respond in ({"respond": False}, {"respond": None}):
        result = play("board", **respond).expect("SUCCEEDED")
        assert done(result) == {"enrich", "compliance", "posture", "quantify", "decide", "notices", "report"}
        assert {id for id in TEAM if result.steps[id].state is StepState.SKIPPED} == TEAM
        assert result.seconds == 0
        assert (result.output["dismissed"], result.output["approved"], result.output["contained"]) == (None, None, None)


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_of_the_table_decides_who_is_asked_and_what_runs_then(level: str) -> None:
    result = play(level, TRIAGE, yes(f"approve_{level}", "2h"), *REST).expect("SUCCEEDED")
    assert {id for id in done(result) if id.startswith("approve_")} == {f"approve_{level}"}
    contained = "contain_at_once" if level == "board" else f"contain_{level}"
    assert {id for id in done(result) if id.startswith("contain_")} == {contained}
    assert result.steps["undo_containment"].state is StepState.SKIPPED
    asked = result.steps[f"approve_{level}"].input
    assert asked["runs"][f"contain_{level}"]["with"]["measures"] == [MEASURE], "they see what they approve"
    assert result.output["approved"] is True
    assert result.output["contained"] == CARRIED["measures"]
    assert result.output["lessons"] == LESSONS
    assert {"final_report", "lessons", "tell_lessons"} <= done(result)


def test_at_the_worst_level_it_is_contained_before_anybody_approves_and_undone_if_they_refuse() -> None:
    result = play("board", TRIAGE, no("approve_board", "2h"), *REST).expect("SUCCEEDED")
    [contained] = result.happened("step.succeeded", "contain_at_once")
    [undone] = result.happened("step.succeeded", "undo_containment")
    assert (contained.after, undone.after) == (600.0, 7_200.0)
    asked = result.steps["undo_containment"].input
    assert asked["carried_out"] == [CARRIED, None, None, None, None]
    assert asked["reason"] == "The board refused it"
    assert result.output["taken_back"]["reason"] == "The board refused it"
    assert result.output["approved"] is False
    assert result.steps["withdrawal_window"].state is StepState.SKIPPED


@pytest.mark.parametrize("level", ["manager", "director", "executive"])
def test_below_it_a_refusal_leaves_nothing_done_and_nothing_to_undo(level: str) -> None:
    result = play(level, TRIAGE, no(f"approve_{level}", "1h"), *REST).expect("SUCCEEDED")
    assert not {id for id in done(result) if id.startswith(("contain_", "undo_"))}
    assert {id for id in done(result) if id.startswith("approve_")} == {f"approve_{level}"}, "nobody else is asked"
    assert (result.output["approved"], result.output["contained"]) == (False, None)


def test_what_a_level_leaves_undecided_goes_to_the_next_and_expiry_never_approves() -> None:
    result = play("manager", TRIAGE, *REST).expect("SUCCEEDED")
    ends = [result.happened("step.succeeded", f"approve_{level}")[0].after / 3_600 for level in LEVELS]
    assert [round(end - 1 / 6, 6) for end in ends] == [48, 60, 64, 68]
    assert not {id for id in done(result) if id.startswith(("contain_", "undo_"))}
    assert result.output["approved"] is False
    late = play("manager", TRIAGE, yes("approve_director", "50h"), *REST).expect("SUCCEEDED")
    assert "contain_director" in done(late)
    assert late.steps["approve_executive"].state is StepState.SKIPPED


@pytest.mark.parametrize(("said", "undone"), [(yes, False), (no, True), (None, True)])
def test_containment_that_nobody_approved_stays_for_a_day_and_longer_only_with_a_yes(said: Any, undone: bool) -> None:
    last = () if said is None else (said("keep_containment", "6h"),)
    result = play("board", TRIAGE, *last, *REST).expect("SUCCEEDED")
    assert ("undo_containment" in done(result)) is undone
    assert (result.steps["withdrawal_window"].state is StepState.SUCCEEDED) is not undone
    if undone:
        assert result.steps["undo_containment"].input["reason"] == "Nobody approved it"
        [entry] = result.happened("step.succeeded", "undo_containment")
        assert entry.after / 3_600 == pytest.approx(6 if said else 4 + 1 / 6 + 24)


@pytest.mark.parametrize("level", ["none", *LEVELS])
@pytest.mark.parametrize("after", ["5m", "30h"])
def test_a_withdrawal_takes_back_what_was_done_whenever_it_comes(level: str, after: str) -> None:
    taken = signal("approval-withdrawn", {"reason": "it was the wrong host"}, after=after)
    approved = () if level == "none" else (yes(f"approve_{level}", "2h"),)
    result = play(level, TRIAGE, *approved, taken, *REST).expect("SUCCEEDED")
    assert result.steps["undo_containment"].input["reason"] == "The approval was withdrawn: it was the wrong host"
    assert [one for one in result.steps["undo_containment"].input["carried_out"] if one] == [CARRIED]


def test_after_the_response_nothing_can_be_withdrawn_any_more_and_the_run_does_not_wait_for_it() -> None:
    late = signal("approval-withdrawn", {"reason": "late"}, after="10d")
    result = play("director", TRIAGE, yes("approve_director", "2h"), late, *REST).expect("SUCCEEDED")
    assert [what for what, _ in result.refused] == ["signal approval-withdrawn"]
    assert not {"undo_containment", "undo_late", "addendum"} & done(result)
    assert result.seconds == 9 * 86_400


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("after", ["4d", "8d"])
def test_what_was_secured_and_notified_first_leaves_time_to_withdraw_until_the_lessons(level: str, after: str) -> None:
    early = (yes("file", "20m"), yes("secure", "30m"), yes("lessons", "9d", LESSONS))
    taken = signal("approval-withdrawn", {"reason": "the wrong host"}, after=after)
    result = play(level, TRIAGE, yes(f"approve_{level}", "2h"), taken, *early).expect("SUCCEEDED")
    assert result.happened("step.succeeded", "final_report")[0].after == 7_200, "the report waits for none of it"
    asked = result.steps["undo_late"].input
    assert [one for one in asked["carried_out"] if one] == [CARRIED]
    assert asked["reason"] == "The approval was withdrawn: the wrong host"
    assert result.output["taken_back"]["reason"] == asked["reason"]
    assert "addendum" in done(result)


def test_lessons_that_are_refused_are_none() -> None:
    rest = (yes("file", "2d"), yes("secure", "3d"), no("lessons", "9d", LESSONS))
    assert play("director", TRIAGE, yes("approve_director", "2h"), *rest).output["lessons"] is None


def test_what_is_surely_no_breach_goes_no_further_but_its_clocks_were_looked_for() -> None:
    result = play("board", no("triage", "10m")).expect("SUCCEEDED")
    assert done(result) == {"triage", "compliance"}
    assert (result.output["dismissed"], result.output["decision"], result.output["contained"]) == (True, None, None)
    assert result.happened("step.succeeded", "compliance")[0].after == 0, "clocks do not wait for the triage"


def test_the_silence_of_the_triage_says_that_it_is_a_breach() -> None:
    result = play("director", yes("approve_director", "2h"), *REST).expect("SUCCEEDED")
    assert result.happened("step.succeeded", "enrich")[0].after == 3_600
    assert result.output["dismissed"] is False


def test_the_triage_can_correct_the_severity_and_name_other_measures() -> None:
    other = {"action": "Turn it off", "target": "", "undo": ""}
    form = {"severity": "critical", "measures": [{"action": "Turn it off"}]}
    result = play("director", yes("triage", "5m", form), yes("approve_director", "1h"), *REST).expect("SUCCEEDED")
    assert result.steps["decide"].input["severity"] == "critical"
    assert result.steps["contain_director"].input["measures"] == [other]
    told = result.steps["corrected"].input
    assert told["facts"] == {"severity": "critical"}, "more duties may apply"
    assert told["by"].startswith("user:")
    none = play("director", yes("triage", "5m", {"measures": []}), yes("approve_director", "1h"), *REST)
    assert none.steps["contain_director"].input["measures"] == [], "none is an answer"


def test_evidence_that_is_waited_for_delays_neither_the_clocks_nor_the_triage() -> None:
    result = play("director", TRIAGE, yes("approve_director", "7h"), *REST, evidence_within="4h").expect("SUCCEEDED")
    assert result.happened("step.succeeded", "compliance")[0].after == 0
    assert result.happened("step.succeeded", "decide")[0].after == 600 + 4 * 3_600
    dismissed = play("director", no("triage", "10m"), evidence_within="4h").expect("SUCCEEDED")
    assert dismissed.steps["evidence"].state is StepState.SKIPPED


def test_the_final_report_and_the_output_say_where_the_duties_stand_at_the_end() -> None:
    counted = (yes("file", "2d"), yes("secure", "3d", {"affected_records": 700}), yes("lessons", "9d", LESSONS))
    result = play("director", TRIAGE, yes("approve_director", "2h"), *counted).expect("SUCCEEDED")
    assert result.steps["duties"].input["facts"] == {"affected_records": 700}
    assert result.steps["final_report"].input["compliance"]["overdue"] == 3
    assert result.output["overdue"] == 3
    assert result.steps["corrected"].state is StepState.SKIPPED


def test_silence_carries_nothing_out_where_the_table_asks_nobody() -> None:
    result = play("none", *REST).expect("SUCCEEDED")
    assert not {id for id in done(result) if id.startswith("contain_")}
    asked = play("none", yes("approve_manager", "3h"), *REST).expect("SUCCEEDED")
    assert {id for id in done(asked) if id.startswith("contain_")} == {"contain_manager"}


def test_a_level_that_is_not_known_here_is_for_the_board() -> None:
    result = play("regents", TRIAGE, yes("approve_board", "2h"), *REST).expect("SUCCEEDED")
    assert {id for id in done(result) if id.startswith(("approve_", "contain_"))} == {"approve_board", "contain_board"}


def test_nobody_answers_anything_and_the_run_still_ends() -> None:
    result = play("executive")
    assert result.state is RunState.SUCCEEDED
    assert result.ended_at is not None
    assert (result.ended_at - result.started_at).days < 120, "its deadline"
    assert result.output["lessons"] is None
