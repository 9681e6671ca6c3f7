"""`questionnaire` and `vendor-assessment`: answers are checked, reviewed and rated; what is not answered is no "no"."""

from typing import Any

import pytest

from tests.unit.workflows.library.cases import done, no, play, yes
from workflows.core.states import StepState
from workflows.library.questionnaire.contract import CheckInput, LoadInput
from workflows.library.questionnaire.steps import check, load
from workflows.library.shipping import files
from workflows.testing import Result
from workflows.testing.moments import Moment

QUESTIONS = [
    {"id": "mfa", "text": "A second factor?"},
    {"id": "incident", "text": "Was there an incident?", "expects": "no"},
    {"id": "people", "text": "How many work there?", "expects": None},
]


def answers(**said: str) -> dict[str, Any]:
    return {"answers": [{"question": id, "answer": answer} for id, answer in said.items()]}


def checked(*forms: dict[str, Any] | None) -> Any:
    return check(CheckInput.model_validate({"questions": QUESTIONS, "votes": [{"form": form} for form in forms]}))


@pytest.mark.parametrize(
    ("said", "score", "complete", "deviations"),
    [
        ({"mfa": "yes", "incident": "no", "people": "yes"}, 100.0, True, []),
        ({"mfa": "partly", "incident": "yes", "people": "no"}, 25.0, True, ["mfa", "incident"]),
        ({"mfa": "not_applicable", "incident": "no", "people": "no"}, 100.0, True, []),
        ({"mfa": "yes"}, 100.0, False, []),
        ({"people": "yes"}, None, False, []),
        ({}, None, False, []),
    ],
)
def test_a_score_is_of_what_was_answered_and_nothing_is_not_a_no(
    said: dict[str, str], score: float | None, complete: bool, deviations: list[str]
) -> None:
    found = checked(answers(**said))
    assert (found.score, found.complete) == (score, complete)
    assert [one.question for one in found.deviations] == deviations
    assert found.answered + len(found.unanswered) == found.asked == 3


def test_of_two_answers_the_later_one_counts_and_one_that_nobody_asked_for_is_named() -> None:
    found = checked(answers(mfa="no", other="yes"), None, answers(mfa="yes"))
    assert (found.score, found.deviations, found.not_asked) == (100.0, [], ["other"])


def test_shipped_questions_can_be_loaded_and_wrong_ones_are_refused() -> None:
    for row in files.fixture("questionnaires.yaml"):
        found = load(LoadInput(name=row["name"]))
        assert len(found.questions) == len({one.id for one in found.questions}) >= 10
    with pytest.raises(Exception, match="there is no questionnaire 'none'"):
        load(LoadInput(name="none"))
    with pytest.raises(Exception, match="the same id: mfa"):
        load(LoadInput.model_validate({"questions": [QUESTIONS[0], QUESTIONS[0]]}))


GOOD = answers(mfa="yes", incident="no", people="yes")


def asked(*during: Moment) -> Result:
    return play("questionnaire", {"title": "Yearly", "questions": QUESTIONS}, {}, during)


def test_answers_are_reviewed_and_accepted() -> None:
    result = asked(yes("answer", "1d", GOOD), yes("review", "2d")).expect("SUCCEEDED")
    assert (result.output["accepted"], result.output["answered"], result.output["result"]["score"]) == (
        True,
        True,
        100.0,
    )
    assert result.steps["answer_again"].state is StepState.SKIPPED
    assert result.steps["answer"].input["evidence"]["questions"][0]["id"] == "mfa"


def test_what_the_review_sends_back_is_asked_once_more_and_what_is_left_out_stays() -> None:
    first = answers(mfa="no", incident="no")
    result = asked(
        yes("answer", "1d", first), no("review", "2d"), yes("answer_again", "3d", answers(mfa="yes", people="yes")),
        yes("review_again", "4d"),
    ).expect("SUCCEEDED")  # fmt: skip
    assert (result.output["accepted"], result.output["result"]["score"]) == (True, 100.0)
    assert result.output["result"]["complete"] is True
    refused = asked(
        yes("answer", "1d", first), no("review", "2d"), yes("answer_again", "3d", first), no("review_again", "4d")
    )
    assert refused.expect("SUCCEEDED").output["accepted"] is False


def test_nobody_answers_and_it_ends_with_nothing_accepted() -> None:
    result = asked().expect("SUCCEEDED")
    assert result.happened("step.succeeded", "answer")[0].after == 14 * 86_400
    assert (result.output["accepted"], result.output["answered"], result.output["result"]) == (None, False, None)
    unreviewed = asked(yes("answer", "1d", GOOD)).expect("SUCCEEDED")
    assert (unreviewed.output["accepted"], unreviewed.output["answered"]) == (None, True)
    refused = asked(no("answer", "1d", answers())).expect("SUCCEEDED")
    assert (refused.output["accepted"], refused.output["answered"]) == (None, False)


def all_yes(but: dict[str, str] | None = None) -> dict[str, Any]:
    found = {one.id: one.expects or "yes" for one in load(LoadInput()).questions}
    return answers(**{**found, **(but or {})})


def vendor(*during: Moment, **given: Any) -> Result:
    stubs = {"report": {"url": "https://erip.example/reports/1"}, "remind_reassess": {}, "cast": {}}
    return play("vendor-assessment", {"vendor": "Acme", **given}, stubs, during)


@pytest.mark.parametrize(
    ("given", "form", "level", "risk", "days"),
    [
        ({"criticality": "low", "personal_data": False}, all_yes(), "team", "low", 365),
        ({"criticality": "low"}, all_yes(), "director", "low", 365),
        ({"personal_data": False}, all_yes(), "executive", "medium", 180),
        ({"criticality": "high", "personal_data": True}, all_yes(), "director", "medium", 365),
        ({"criticality": "low", "personal_data": False}, answers(mfa="yes"), "director", "medium", 180),
        ({"criticality": "low", "personal_data": False}, answers(mfa="no"), "director", "high", 180),
        ({"criticality": "high", "personal_data": False}, answers(mfa="no"), "executive", "high", 90),
        ({"criticality": "low", "personal_data": False}, None, "director", "high", 90),
        ({}, None, "executive", "high", 90),
    ],
)
def test_a_vendor_is_rated_by_the_table_and_what_is_not_known_never_counts_as_little(
    given: dict[str, Any], form: Any, level: str, risk: str, days: int
) -> None:
    said = () if form is None else (yes("answer", "1d", form),)
    conditions = {"conditions": [{"condition": "A second factor", "owner": "anna", "due": "2027-01-31"}]}
    result = vendor(*said, yes(f"approve_{level}", "2d" if form else "22d", conditions), **given).expect("SUCCEEDED")
    assert (result.output["risk"], result.output["approved"]) == (risk, True)
    assert {one for one in done(result) if one.startswith("approve_")} == {f"approve_{level}"}
    assert any(one and one["votes"][0]["form"] == conditions for one in result.output["decisions"])
    assert result.output["rating"]["result"]["reassess_days"] == days
    [reassess] = result.happened("step.succeeded", "reassess")
    assert reassess.after == days * 86_400
    assert result.ended_at is not None
    assert result.ended_at < reassess.at, "the outcome does not wait for it"
    assert "remind_reassess" in done(result)


def test_a_vendor_that_is_refused_or_that_nobody_decides_on_is_not_approved() -> None:
    given = {"criticality": "low", "personal_data": False}
    refused = vendor(yes("answer", "1d", all_yes()), no("approve_team", "2d"), **given).expect("SUCCEEDED")
    assert refused.output["approved"] is False
    assert vendor(yes("answer", "1d", all_yes()), **given).expect("SUCCEEDED").output["approved"] is None
