"""Which obligations an incident brings, and when each is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from workflows.library.compass.clocks import Clock, Deadline, deadline
from workflows.library.compass.contract import ComplianceInput, ComplianceOutput, ObligationDue, Status
from workflows.library.vocabulary import (
    categories_in_force,
    jurisdictions_in_force,
    sectors_in_force,
    severity_rank,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """An obligation, as the computation sees it."""

    code: str
    regime: str
    title: str
    authority: str
    citation: str
    source_url: str
    wording: str
    clocks: tuple[Clock, ...] = ()
    jurisdictions: frozenset[str] = frozenset()
    sectors: frozenset[str] = frozenset()
    data_categories: frozenset[str] = frozenset()
    conditions: frozenset[str] = frozenset()
    min_severity: str = ""
    min_records: int = 0
    max_records: int | None = None
    in_force_from: date | None = None
    in_force_until: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    applies: bool
    #: facts that are not known; with any of them an obligation that applies is to be checked
    missing: tuple[str, ...] = field(default=())


NO = Verdict(False)


def applicability(rule: Rule, facts: ComplianceInput, on: date) -> Verdict:
    """Whether the rule binds. A known fact against it is final; an unknown one leaves it to be checked."""
    if (rule.in_force_from and on < rule.in_force_from) or (rule.in_force_until and on > rule.in_force_until):
        return NO
    missing: list[str] = []
    if rule.jurisdictions and not rule.jurisdictions & jurisdictions_in_force(facts.jurisdictions):
        return NO
    if rule.sectors:
        if facts.sector is None:
            missing.append("sector")
        elif not rule.sectors & sectors_in_force([facts.sector]):
            return NO
    if rule.data_categories:
        if facts.data_categories is None:
            missing.append("data_categories")
        elif not rule.data_categories & categories_in_force(facts.data_categories):
            return NO
    if rule.conditions:
        if facts.organisation_facts is None:
            missing.extend(sorted(rule.conditions))
        elif not rule.conditions <= set(facts.organisation_facts):
            return NO
    if rule.min_severity:
        if facts.severity is None:
            missing.append("severity")
        elif severity_rank(facts.severity) < severity_rank(rule.min_severity):
            return NO
    if rule.min_records or rule.max_records is not None:
        if facts.affected_records is None:
            missing.append("affected_records")
        elif facts.affected_records < rule.min_records or (
            rule.max_records is not None and facts.affected_records > rule.max_records
        ):
            return NO
    return Verdict(True, tuple(missing))


def assess(rules: Sequence[Rule], facts: ComplianceInput, as_of: datetime) -> ComplianceOutput:
    """Every obligation that applies or may apply: by certainty, then by deadline."""
    assumptions: list[str] = []
    detected = facts.detected_at
    if detected is None:
        detected = as_of
        assumptions.append("detected_at is not given: the run's creation is taken")
    if facts.confirmed_at is None:
        assumptions.append("confirmed_at is not given: clocks that start at confirmation start at detection")
    moments: dict[str, datetime] = {"detected": detected}
    for name in ("confirmed", "classified", "material", "paid"):
        moment = getattr(facts, f"{name}_at")
        if moment is not None:
            moments[name] = moment
    on = detected.astimezone(UTC).date()
    verdicts = {rule.code: applicability(rule, facts, on) for rule in rules}
    binding = [rule for rule in rules if verdicts[rule.code].applies]
    deadlines = _deadlines(binding, moments, facts.submitted)
    found = [
        _due(rule, verdicts[rule.code], deadlines.get(rule.code), facts.submitted.get(rule.code), as_of)
        for rule in binding
    ]
    far = datetime.max.replace(tzinfo=UTC)
    found.sort(key=lambda one: (one.applicability != "applies", one.deadline or far, one.code))
    open_ones = [
        one for one in found if one.applicability == "applies" and one.status == "due" and one.deadline is not None
    ]
    first = open_ones[0] if open_ones else None
    applying = sum(one.applicability == "applies" for one in found)
    return ComplianceOutput(
        as_of=as_of.astimezone(UTC),
        obligations=found,
        applying=applying,
        to_check=len(found) - applying,
        overdue=sum(one.status == "overdue" and one.applicability == "applies" for one in found),
        next_deadline=first.deadline if first else None,
        next_obligation=first.code if first else None,
        hours_to_next_deadline=first.hours_left if first else None,
        assumptions=assumptions,
    )


def _deadlines(
    rules: Sequence[Rule], moments: Mapping[str, datetime], submitted: Mapping[str, datetime]
) -> dict[str, Deadline]:
    """Each rule's deadline. `after:` clocks wait for the rule they follow; a circle of them never starts."""
    known = dict(moments)
    known.update({f"after:{code}": moment for code, moment in submitted.items()})
    deadlines: dict[str, Deadline] = {}
    left = list(rules)
    while left:
        waiting: list[Rule] = []
        names = {f"after:{rule.code}" for rule in left}
        for rule in left:
            if any(clock.trigger in names and clock.trigger not in known for clock in rule.clocks):
                waiting.append(rule)
                continue
            found = deadline(rule.clocks, known)
            if found is not None:
                deadlines[rule.code] = found
                known.setdefault(f"after:{rule.code}", found.at)
        if len(waiting) == len(left):
            break
        left = waiting
    return deadlines


def _due(
    rule: Rule, verdict: Verdict, due: Deadline | None, submitted: datetime | None, as_of: datetime
) -> ObligationDue:
    status: Status
    if submitted is not None:
        status = "late" if due is not None and submitted > due.at else "met"
    elif due is not None:
        status = "overdue" if as_of > due.at else "due"
    else:
        status = "waiting" if rule.clocks else "promptly"
    missing = list(verdict.missing)
    return ObligationDue(
        code=rule.code,
        regime=rule.regime,
        title=rule.title,
        authority=rule.authority,
        deadline=due.at if due else None,
        status=status,
        applicability="to_check" if missing else "applies",
        trigger=due.trigger if due else (rule.clocks[0].trigger if rule.clocks else None),
        hours_left=round((due.at - as_of) / timedelta(hours=1), 2) if due else None,
        wording=rule.wording,
        citation=rule.citation,
        source=rule.source_url,
        missing=missing,
        note=rule.note,
    )
