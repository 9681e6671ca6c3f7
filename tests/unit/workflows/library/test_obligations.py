"""Which obligations an incident brings."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.obligations import shipped
from workflows.core.clocks.clock import Clock
from workflows.library.compass.contract import ComplianceInput
from workflows.library.compass.obligations import Rule, applicability, assess
from workflows.library.compass.readiness import RequirementFacts, readiness
from workflows.library.shipping import files

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def rule(code: str = "r", **fields: Any) -> Rule:
    return Rule(
        code=code, regime="R", title="t", authority="a", citation="c", source_url="https://x", wording="w", **fields
    )


def facts(**fields: Any) -> ComplianceInput:
    return ComplianceInput(**fields)


def test_a_member_state_brings_union_law_and_a_state_federal_law_but_not_the_other_way_round() -> None:
    eu, us, california = (rule(jurisdictions=frozenset([code])) for code in ("EU", "US", "US-CA"))
    assert applicability(eu, facts(jurisdictions=["de"]), NOW.date()).applies
    assert applicability(us, facts(jurisdictions=["US-CA"]), NOW.date()).applies
    assert not applicability(california, facts(jurisdictions=["US"]), NOW.date()).applies
    assert not applicability(eu, facts(jurisdictions=["UK"]), NOW.date()).applies
    assert applicability(rule(jurisdictions=frozenset(["GB"])), facts(jurisdictions=["uk"]), NOW.date()).applies


def test_health_data_is_personal_data_and_personal_data_is_not_health_data() -> None:
    personal, health = (rule(data_categories=frozenset([word])) for word in ("personal", "health"))
    assert applicability(personal, facts(data_categories=["PHI"]), NOW.date()).applies
    assert not applicability(health, facts(data_categories=["pii"]), NOW.date()).applies


def test_an_unknown_fact_is_to_be_checked_and_a_known_one_against_it_is_final() -> None:
    listed = rule(conditions=frozenset(["listed_company"]), data_categories=frozenset(["personal"]), min_records=500)
    verdict = applicability(listed, facts(), NOW.date())
    assert verdict.applies
    assert verdict.missing == ("data_categories", "listed_company", "affected_records")
    assert not applicability(listed, facts(organisation_facts=[]), NOW.date()).applies
    assert not applicability(listed, facts(affected_records=499), NOW.date()).applies
    known = facts(organisation_facts=["Listed company"], data_categories=["pii"], affected_records=500)
    assert applicability(listed, known, NOW.date()).missing == ()


def test_a_law_binds_from_the_day_it_is_in_force() -> None:
    law = rule(in_force_from=date(2026, 1, 1), in_force_until=date(2026, 12, 31))
    assert not applicability(law, facts(), date(2025, 12, 31)).applies
    assert applicability(law, facts(), date(2026, 1, 1)).applies
    assert not applicability(law, facts(), date(2027, 1, 1)).applies


def test_stages_follow_one_another_from_submission_or_else_from_the_deadline() -> None:
    stages = [
        # Out of order on purpose.
        rule("final", clocks=(Clock("after:second", 1, "months"),)),
        rule("second", clocks=(Clock("after:first", 72, "hours"),)),
        rule("first", clocks=(Clock("detected", 24, "hours"),)),
    ]
    detected = datetime(2026, 1, 27, 10, tzinfo=UTC)
    in_berlin = facts(detected_at=detected, jurisdictions=["DE"])
    by_code = {one.code: one for one in assess(stages, in_berlin, detected).obligations}
    assert by_code["second"].deadline == detected + timedelta(hours=96)
    # The end of the day in Berlin.
    assert by_code["final"].deadline == datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC)
    assert [by_code[code].provisional for code in ("first", "second", "final")] == [False, True, True]

    told = facts(detected_at=detected, submitted={"first": detected + timedelta(hours=2)})
    by_code = {one.code: one for one in assess(stages, told, detected).obligations}
    assert by_code["first"].status == "met"
    assert by_code["second"].deadline == detected + timedelta(hours=74)
    assert [by_code[code].provisional for code in ("first", "second", "final")] == [False, False, True]


def test_a_stage_after_one_that_was_not_met_is_a_forecast_and_never_overdue() -> None:
    stages = [
        rule("first", clocks=(Clock("detected", 24, "hours"),)),
        rule("second", clocks=(Clock("after:first", 72, "hours"),)),
    ]
    late = NOW + timedelta(days=30)
    by_code = {one.code: one for one in assess(stages, facts(detected_at=NOW), late).obligations}
    assert (by_code["first"].status, by_code["second"].status) == ("overdue", "waiting")
    told = facts(detected_at=NOW, submitted={"first": NOW})
    by_code = {one.code: one for one in assess(stages, told, late).obligations}
    assert (by_code["first"].status, by_code["second"].status) == ("met", "overdue")


def test_stages_in_a_circle_wait_for_ever_and_do_not_hang() -> None:
    circle = [rule("a", clocks=(Clock("after:b", 1, "hours"),)), rule("b", clocks=(Clock("after:a", 1, "hours"),))]
    assert {one.status for one in assess(circle, facts(), NOW).obligations} == {"waiting"}


def test_status_tells_due_overdue_met_late_waiting_and_promptly() -> None:
    rules = [
        rule("due", clocks=(Clock("detected", 72, "hours"),)),
        rule("overdue", clocks=(Clock("detected", 24, "hours"),)),
        rule("late", clocks=(Clock("detected", 24, "hours"),)),
        rule("met", clocks=(Clock("detected", 24, "hours"),)),
        rule("waiting", clocks=(Clock("material", 4, "business_days"),)),
        rule("promptly"),
    ]
    detected = NOW - timedelta(hours=30)
    found = assess(
        rules,
        facts(
            detected_at=detected,
            submitted={"late": detected + timedelta(hours=25), "met": detected + timedelta(hours=24)},
        ),
        NOW,
    )
    assert {one.code: one.status for one in found.obligations} == {one.code: one.code for one in rules}
    assert (found.overdue, found.next_obligation, found.hours_to_next_deadline) == (1, "due", 42.0)


def test_without_a_time_of_detection_the_run_is_taken_and_said_so() -> None:
    found = assess([rule(clocks=(Clock("detected", 1, "hours"),))], facts(), NOW)
    assert found.obligations[0].deadline == NOW + timedelta(hours=1)
    assert any("detected_at" in one for one in found.assumptions)
    assert found.obligations[0].provisional


def test_one_detail_that_cannot_be_reckoned_with_costs_the_others_nothing() -> None:
    rules = [
        rule("days", clocks=(Clock("detected", 60, "days"),)),
        rule("paid", clocks=(Clock("paid", 24, "hours"),)),
        rule("broken", broken="unit must be one of hours"),
    ]
    told = facts(detected_at="9999-12-30T00:00:00Z", paid_at=NOW, submitted={"gdpr-3": NOW})
    found = assess(rules, told, NOW)
    by_code = {one.code: one for one in found.obligations}
    assert by_code["paid"].deadline == NOW + timedelta(hours=24)
    assert (by_code["days"].deadline, by_code["days"].status) == (None, "waiting")
    assert (by_code["broken"].applicability, by_code["broken"].missing) == ("to_check", ["clocks"])
    told_of = "\n".join(found.assumptions)
    assert "days: no deadline can be reckoned from 9999-12-30" in told_of
    assert "broken: its clocks cannot be read: unit must be one of hours" in told_of
    assert "detected_at lies after the run's creation" in told_of
    assert "submitted 'gdpr-3' is no obligation that is known" in told_of


def requirement(fulfilment: float, weight: float = 1.0, assessed: date = date(2026, 6, 1)) -> RequirementFacts:
    return RequirementFacts("F", f"{fulfilment}-{weight}-{assessed}", "t", weight, fulfilment, assessed, 365)


def test_readiness_is_weighted_and_an_old_assessment_counts_half() -> None:
    found = readiness([requirement(1.0, 3), requirement(0.0, 1)], NOW.date())
    assert found.score == 75
    assert [one.fulfilment for one in found.shortfalls] == [0.0]
    old = readiness([requirement(1.0, assessed=date(2025, 11, 22))], NOW.date())
    assert (old.score, old.frameworks[0].out_of_date) == (50, 1)
    assert readiness([], NOW.date()).score is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 10)), min_size=1, max_size=8))
def test_readiness_stays_between_0_and_100(rows: list[tuple[float, float]]) -> None:
    score = readiness([requirement(a, b) for a, b in rows], NOW.date()).score
    assert score is not None
    assert 0 <= score <= 100.0001


def test_what_is_not_law_yet_binds_nobody_and_encryption_exempts_only_where_the_law_says_so() -> None:
    draft, exempting, plain = rule("draft", not_in_force="a bill"), rule("e", encryption_exempts=True), rule("p")
    assert not applicability(draft, facts(), NOW.date()).applies
    for encrypted, expected in ((None, True), (False, True), (True, False)):
        assert applicability(exempting, facts(encrypted=encrypted), NOW.date()).applies is expected
        assert applicability(plain, facts(encrypted=encrypted), NOW.date()).applies
    assert any("encrypted is not given" in one for one in assess([exempting], facts(), NOW).assumptions)


def test_a_stage_counts_from_its_latest_update_and_until_then_from_the_first() -> None:
    stages = [
        rule("middle", clocks=(Clock("detected", 24, "hours"),)),
        rule("final", clocks=(Clock("updated:middle", 24, "hours"),)),
    ]
    for submitted, due, provisional in (
        ({}, 48, True),
        ({"middle": NOW + timedelta(hours=1)}, 25, False),
        ({"middle": NOW + timedelta(hours=1), "middle-update": NOW + timedelta(hours=9)}, 33, False),
    ):
        found = assess(stages, facts(detected_at=NOW, submitted=submitted), NOW)
        final = next(one for one in found.obligations if one.code == "final")
        assert (final.deadline, final.provisional) == (NOW + timedelta(hours=due), provisional)
        assert not any("no obligation that is known" in one for one in found.assumptions)


def test_an_earlier_word_stands_in_for_a_trigger_and_a_later_one_makes_it_provisional() -> None:
    early, late = NOW - timedelta(hours=9), NOW - timedelta(hours=2)
    clock = rule(clocks=(Clock("confirmed", 72, "hours"),))
    known = {"suspected_at": early, "detected_at": late}
    assert assess([clock], facts(**known), NOW).obligations[0].deadline == early + timedelta(hours=72)
    from_the_incident = rule(clocks=(Clock("incident", 24, "hours"),))
    [found] = assess([from_the_incident], facts(detected_at=late), NOW).obligations
    assert (found.deadline, found.provisional) == (late + timedelta(hours=24), True)
    [found] = assess([from_the_incident], facts(detected_at=late, incident_at=early), NOW).obligations
    assert (found.deadline, found.provisional) == (early + timedelta(hours=24), False)


def test_a_fact_that_is_left_out_never_makes_a_deadline_later() -> None:
    """Of every shipped duty: each fact taken away in turn, and the deadline is the same, earlier, or not known yet."""
    words = ("incident", "suspected", "detected", "believed", "aware", "confirmed", "determined", "classified")
    given: dict[str, Any] = {f"{word}_at": NOW - timedelta(hours=30 - n) for n, word in enumerate(words)}
    given |= {f"{word}_at": NOW - timedelta(hours=20) for word in ("material", "paid", "fix_available", "handled")}
    for one in shipped():
        everything = given | {
            "jurisdictions": sorted(one.jurisdictions) or ["DE"],
            "sector": min(one.sectors, default=None),
            "data_categories": sorted(one.data_categories) or ["personal"],
            "severity": "critical",
            "organisation_facts": [*sorted(one.conditions), "dora_weekend_relief"],
        }
        before = {x.code: x for x in assess([one], facts(**everything), NOW).obligations}
        for name in everything:
            # Without `detected_at` the earliest moment that is given is taken, which is earlier here.
            after = assess([one], facts(**{key: everything[key] for key in everything if key != name}), NOW)
            for due in after.obligations:
                then = before[due.code].deadline
                if due.deadline is not None and then is not None:
                    assert due.deadline <= then or due.provisional, (due.code, name)


def test_only_a_duty_that_was_compared_with_the_law_says_when_it_was_reviewed() -> None:
    """What others quote, or what was not checked, must not look as if somebody had reviewed it."""
    rows = files.fixture("obligations")
    assert [row["code"] for row in rows if row.get("reviewed_on") and row.get("checked") != "official"] == []
    assert all(row.get("reviewed_on") for row in rows if row.get("checked") == "official")
