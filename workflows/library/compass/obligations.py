"""Which obligations an incident creates, and when each is due."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from workflows.core.clocks.clock import STAGES, TRIGGERS, Clock, OutOfRange
from workflows.core.clocks.deadline import Circumstances, Deadline, deadline
from workflows.core.clocks.where import Where
from workflows.library.compass.contract import ClockFacts, ComplianceInput, ComplianceOutput, ObligationDue, Status
from workflows.library.compass.reading import Reading
from workflows.library.vocabulary import holds, severity_rank

#: `submitted` names the latest update of a stage by this ending
UPDATE: Final = "-update"


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
    #: the numbers count the residents of one state of the country
    per_state: bool = False
    in_force_from: date | None = None
    in_force_until: date | None = None
    note: str = ""
    #: why it is not law yet; "" is law
    not_in_force: str = ""
    encryption_exempts: bool = False
    #: the article that allows to stop its clock
    stops: str = ""
    #: the official wording was read
    verified: bool = False
    reviewed_on: date | None = None
    #: its clocks as they were written
    document: tuple[Any, ...] = ()
    #: if its clocks cannot be read, the reason: the obligation must then be checked, and has no deadline
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    applies: bool
    #: facts that are not known; if there are any, an obligation that applies must be checked
    missing: tuple[str, ...] = field(default=())


NO = Verdict(False)


def applicability(
    rule: Rule, facts: ComplianceInput | Reading, on: date, given: ComplianceInput | None = None
) -> Verdict:
    """Whether the rule binds. A known fact against it is final; with an unknown one, somebody must check it.

    For many rules, `facts` may be read once in advance; `given` is then their source.
    """
    if isinstance(facts, Reading):
        assert given is not None
        read = facts
    else:
        given, read = facts, Reading.of(facts, [rule])
    if rule.not_in_force or (rule.encryption_exempts and given.encrypted):
        return NO
    if (rule.in_force_from and on < rule.in_force_from) or (rule.in_force_until and on > rule.in_force_until):
        return NO
    missing: list[str] = []
    for name, words, wanted in (
        ("jurisdictions", read.places, rule.jurisdictions),
        ("sector", None if read.sector is None else [read.sector], rule.sectors),
        ("data_categories", read.categories, rule.data_categories),
    ):
        if wanted:
            answer = None if words is None else holds(words, wanted)
            if answer is False:
                return NO
            if answer is None:
                missing.append(name)
    for condition in sorted(rule.conditions):
        answer = None if read.facts is None else holds(read.facts, (condition,))
        if answer is False:
            return NO
        if answer is None:
            missing.append(condition)
    if rule.min_severity:
        if given.severity is None:
            missing.append("severity")
        elif severity_rank(given.severity) < severity_rank(rule.min_severity):
            return NO
    if rule.min_records or rule.max_records is not None:
        counted = _counted(rule, read, given)
        if isinstance(counted, str):
            missing.append(counted)
        elif not counted:
            return NO
    if rule.broken:
        missing.append("clocks")
    return Verdict(True, tuple(missing))


def _counted(rule: Rule, read: Reading, given: ComplianceInput) -> bool | str:
    """Whether the number of people lies within the rule's bounds, or the name of the number that is missing.

    The law of a state counts its own residents. The total everywhere is at least that: a total that is too low is too
    low there, too; one that is high enough suffices only if everybody is known to live in that state.
    """
    most = float("inf") if rule.max_records is None else rule.max_records
    states = frozenset(place for place in rule.jurisdictions if "-" in place)
    everywhere = given.affected_records
    if rule.per_state:
        return _counted_in_a_state(rule, read, everywhere, most)
    if not states or states != rule.jurisdictions or read.only_in(states):
        if everywhere is None:
            return "affected_records"
        return rule.min_records <= everywhere <= most
    if states & set(read.residents):
        return rule.min_records <= sum(read.residents.get(state, 0) for state in states) <= most
    if everywhere is not None and everywhere < rule.min_records:
        return False
    return f"residents of {', '.join(sorted(states))}"


def _counted_in_a_state(rule: Rule, read: Reading, everywhere: int | None, most: float) -> bool | str:
    """The same, where any one state of the country may make the rule apply."""
    counts = read.residents_of_parts(rule.jurisdictions)
    if any(rule.min_records <= count <= most for count in counts):
        return True
    if everywhere is not None and (everywhere < rule.min_records or sum(counts) >= everywhere):
        return False
    if everywhere is not None and read.in_one_part_of(rule.jurisdictions):
        return rule.min_records <= everywhere <= most
    return "residents of each state"


def assess(rules: Sequence[Rule], facts: ComplianceInput, as_of: datetime) -> ComplianceOutput:
    """Every obligation that applies or may apply: by certainty, then by deadline."""
    assumptions: list[str] = []
    given = {name: getattr(facts, f"{name}_at") for name in TRIGGERS if name != "detected"}
    detected = facts.detected_at
    if detected is None:
        # An incident that is confirmed was detected earlier.
        first = min([moment for moment in given.values() if moment is not None], default=as_of)
        detected = min(first, as_of)
        taken = "the run's creation" if detected == as_of else "the earliest moment given"
        assumptions.append(
            f"detected_at is not given: {taken} is taken, and deadlines may be earlier than they are shown"
        )
    if facts.confirmed_at is None and facts.aware_at is None:
        assumptions.append("confirmed_at is not given: clocks that start at confirmation start at detection")
    moments: dict[str, datetime] = {"detected": detected}
    moments.update({name: moment for name, moment in given.items() if moment is not None})
    on = detected.astimezone(UTC).date()
    read = Reading.of(facts, rules)
    assumptions.extend(read.assumptions(rules, facts))
    ruled_out = read.rules_out(rules)
    verdicts = {rule.code: applicability(rule, read, on, facts) for rule in rules if rule.code not in ruled_out}
    binding = [rule for rule in rules if rule.code in verdicts and verdicts[rule.code].applies]
    holding = frozenset(head for word in read.facts or () if len(word.heads) == 1 for head in word.heads)
    where = {rule.code: read.where(rule) for rule in binding}
    deadlines = _deadlines(binding, moments, facts.submitted, where, holding, assumptions)
    assumptions.extend(f"{rule.code}: its clocks cannot be read: {rule.broken}" for rule in binding if rule.broken)
    if facts.encrypted is None and any(rule.encryption_exempts for rule in binding):
        assumptions.append("encrypted is not given: duties that encrypted data are exempt from are listed")
    if detected > as_of:
        assumptions.append("detected_at lies after the run's creation: it was taken as it is")
    codes = {rule.code for rule in rules}
    assumptions.extend(
        f"submitted {code!r} is no obligation that is known: it was not used"
        for code in [code for code in facts.submitted if code.removesuffix(UPDATE) not in codes][:20]
    )
    found = [_due(rule, verdicts[rule.code], deadlines.get(rule.code), facts, as_of) for rule in binding]
    clocks = (
        ClockFacts(
            moments=moments,
            submitted=facts.submitted,
            facts=sorted(holding),
            places={
                rule.code: [one.place for one in where[rule.code]]
                for rule in binding
                if rule.clocks and not verdicts[rule.code].missing
            },
            assumed=["detected"] if facts.detected_at is None else [],
            given=facts.model_dump(mode="json", exclude_unset=True),
        )
        if facts.start_clocks
        else None
    )
    return summed(found, as_of, assumptions, clocks)


def summed(
    found: list[ObligationDue], as_of: datetime, assumptions: list[str], clocks: ClockFacts | None = None
) -> ComplianceOutput:
    """What these duties amount to at that moment: by certainty, then by deadline."""
    far = datetime.max.replace(tzinfo=UTC)
    found.sort(key=lambda one: (one.applicability != "applies", one.deadline or far, one.code))
    open_ones = [
        one for one in found if one.applicability == "applies" and one.status == "due" and one.deadline is not None
    ]
    first = open_ones[0] if open_ones else None
    overdue = [one for one in found if one.applicability == "applies" and one.status == "overdue"]
    urgent = min(overdue, key=lambda one: (one.deadline or far, one.code), default=first)
    applying = sum(one.applicability == "applies" for one in found)
    return ComplianceOutput(
        as_of=as_of.astimezone(UTC),
        obligations=found,
        applying=applying,
        to_check=len(found) - applying,
        overdue=len(overdue),
        next_deadline=first.deadline if first else None,
        next_obligation=first.code if first else None,
        hours_to_next_deadline=first.hours_left if first else None,
        most_urgent=urgent.code if urgent else None,
        most_urgent_deadline=urgent.deadline if urgent else None,
        hours_to_most_urgent=urgent.hours_left if urgent else None,
        assumptions=assumptions,
        clocks=clocks,
    )


def _deadlines(
    rules: Sequence[Rule],
    moments: Mapping[str, datetime],
    submitted: Mapping[str, datetime],
    where: Mapping[str, Sequence[Where]],
    facts: Collection[str],
    unreckoned: list[str],
) -> dict[str, Deadline]:
    """Each rule's deadline. `after:` clocks wait for the rule they follow; a circle of them never starts."""
    known = {**moments, **stages(submitted)}
    deadlines: dict[str, Deadline] = {}
    left = list(rules)
    while left:
        waiting: list[Rule] = []
        names = {f"{stage}{rule.code}" for rule in left for stage in STAGES}
        for rule in left:
            if any(clock.trigger in names and clock.trigger not in known for clock in rule.clocks):
                waiting.append(rule)
                continue
            try:
                found = deadline(rule.clocks, known, Circumstances(where[rule.code], facts))
            except OutOfRange as error:
                # One moment in the year 9999 must not leave the other obligations without deadlines.
                unreckoned.append(f"{rule.code}: {error}")
                found = None
            if found is not None:
                deadlines[rule.code] = found
                for stage in STAGES:
                    known.setdefault(f"{stage}{rule.code}", found.at)
        if len(waiting) == len(left):
            break
        left = waiting
    return deadlines


def stages(submitted: Mapping[str, datetime]) -> dict[str, datetime]:
    """The triggers that submissions are. `<code>-update` is the latest update of what was submitted as `<code>`."""
    found = {f"after:{code}": moment for code, moment in submitted.items()}
    for code, moment in submitted.items():
        base = code.removesuffix(UPDATE)
        found[f"updated:{base}"] = max(moment, found.get(f"updated:{base}", moment))
    return found


def _due(rule: Rule, verdict: Verdict, due: Deadline | None, facts: ComplianceInput, as_of: datetime) -> ObligationDue:
    submitted = facts.submitted.get(rule.code)
    # A clock that follows an unmet stage has not begun to run: its deadline is a forecast, and cannot have passed.
    forecast = due is not None and due.trigger.startswith(STAGES) and due.trigger not in stages(facts.submitted)
    status: Status
    if submitted is not None:
        status = "late" if due is not None and submitted > due.at and not forecast else "met"
    elif due is None:
        status = "waiting" if rule.clocks else "promptly"
    elif as_of > due.at:
        status = "waiting" if forecast else "overdue"
    else:
        status = "due"
    missing = list(verdict.missing)
    return ObligationDue(
        code=rule.code,
        regime=rule.regime,
        title=rule.title,
        authority=rule.authority,
        deadline=due.at if due else None,
        arguable_until=due.arguable_until if due else None,
        status=status,
        applicability="to_check" if missing else "applies",
        trigger=due.trigger if due else (rule.clocks[0].trigger if rule.clocks else None),
        hours_left=round((due.at - as_of) / timedelta(hours=1), 2) if due else None,
        wording=rule.wording,
        citation=rule.citation,
        source=rule.source_url,
        missing=missing,
        provisional=due is not None
        and (forecast or due.assumed or (facts.detected_at is None and due.trigger == "detected")),
        note=rule.note,
        verified=rule.verified,
        reviewed_on=rule.reviewed_on,
    )
