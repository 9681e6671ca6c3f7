"""Cases are assessed again: when somebody learns a new fact, and when the law changes.

A duty that now applies starts its clock. One that applied before keeps its clock with the duty, the facts and the
deadline of today. One that does not apply any more keeps its clock too, with the doubt written on it: a person
dismisses it, or does not. Nothing that people did to a clock is lost: stops, corrected moments, extensions, proofs.

Note [Law that changes]
Each case carries the token of the duties with which it was assessed. A leader compares it with today's every few
seconds. A case is open while one of its clocks is, or for YOUNG after it was made, since a change may add a duty to a
case that has no clock yet. These are found by two queries, each with an index of its own: what a look costs grows with
the clocks that are open and the cases that are young, and not with all that were ever made. What changed is kept
(`clocks_reassessment`) and listed by `GET /api/v1/clocks/reassessments`.

Note [No clock goes back to waiting]
What a running clock counts from has happened. A correction may move it, but where nothing is left to count from, be it
that a law asks for one stage more, the clock keeps its duty, facts and deadline, with a doubt: an alarm that falls
silent by itself would tell nobody that a person has to decide.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from pydantic import ValidationError

from erip.foundation.faults import MAX_FAULTS, Fault, join
from workflows.clocks.changing import database_clock, note
from workflows.clocks.errors import ClockChangeInvalid, NothingToAssess
from workflows.clocks.models import OPEN, LegalCase, LegalClock, Reassessment, State
from workflows.clocks.reckoning import at_of, reckoned, refresh, text_of
from workflows.clocks.starting import duty_of, facts_of, new_clock, wants_clock
from workflows.core.clocks.clock import BadClock, OutOfRange
from workflows.library.compass import data
from workflows.library.compass.contract import ComplianceInput
from workflows.library.compass.obligations import UPDATE, Rule, assess

log = structlog.get_logger(__name__)

#: how long a case without open clocks is looked at when the law changes
YOUNG: Final = timedelta(days=30)
#: cases of one transaction
PORTION: Final = 50
#: cases of one run that one request assesses again
MOST: Final = 200
#: inputs of the step that are no facts of the incident
_NOT_FACTS: Final = {
    "submitted": "file the clock instead, with the proof",
    "start_clocks": "is no fact: the clocks of what applies start",
}

_NOT_APPLIES: Final = "by what is known now, the duty does not apply"
_UNCERTAIN: Final = "it is not certain that the duty applies"
_NOTHING_LEFT: Final = "by what is known now, what it counts from has not happened"


def learn(run_id: UUID, facts: Mapping[str, Any], *, by: str, reason: str) -> list[Reassessment]:
    """New facts of an incident, in the words of `compass.assess_compliance`. Returns what that changed.

    Raises ClockChangeInvalid with every fault of the facts, NothingToAssess.
    """
    faults = [Fault(join("facts", name), said) for name, said in _NOT_FACTS.items() if name in facts]
    faults += [
        Fault(join("facts", name), "a moment can be corrected, and not taken back: dismiss the clock instead")
        for name, value in facts.items()
        if value is None and name.endswith("_at")
    ]
    if faults:
        raise ClockChangeInvalid(faults=faults[:MAX_FAULTS])
    law = data.law()
    rules = data.rules()
    with transaction.atomic():
        cases = list(LegalCase.objects.select_for_update().filter(run_id=run_id, facts__isnull=False).order_by("id"))
        if not cases:
            raise NothingToAssess(f"No duties of the run {run_id} were assessed.")
        if len(cases) > MOST:
            raise NothingToAssess(f"The run assessed {len(cases):,} incidents, more than {MOST} at once.")
        now = database_clock()
        found = []
        for case in cases:
            case.facts = _checked({**case.facts, **facts})
            found += _assessed_again(case, rules, law, now, cause="facts", by=by, reason=reason)
        return found


def follow_the_law(limit: int = PORTION) -> tuple[list[Reassessment], bool]:
    """Assess open cases again whose duties have changed. Returns what that changed, and whether there may be more."""
    law = data.law()
    if law is None:
        return [], False
    rules = data.rules()
    with transaction.atomic():
        now = database_clock()
        behind = LegalCase.objects.filter(Q(law__isnull=True) | ~Q(law=law))
        ids = set(_of_open_clocks(law, limit)) | set(_young(law, now, limit))
        cases = list(behind.filter(pk__in=ids).select_for_update(skip_locked=True).order_by("id")[:limit])
        found: list[Reassessment] = []
        for case in cases:
            found += _assessed_again(case, rules, law, now, cause="law", by="erip", reason="the duties have changed")
        return found, len(cases) == limit


def _of_open_clocks(law: UUID, limit: int) -> QuerySet[LegalClock, UUID]:
    behind = Q(case__law__isnull=True) | ~Q(case__law=law)
    return (
        LegalClock.objects.filter(behind, state__in=OPEN)
        .order_by()
        .values_list("case_id", flat=True)
        .distinct()[:limit]
    )


def _young(law: UUID, now: datetime, limit: int) -> QuerySet[LegalCase, UUID]:
    behind = Q(law__isnull=True) | ~Q(law=law)
    young = LegalCase.objects.filter(behind, created_at__gt=now - YOUNG)
    return young.order_by("created_at").values_list("pk", flat=True)[:limit]


def _checked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ClockChangeInvalid."""
    try:
        return ComplianceInput.model_validate(facts).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        faults = []
        for one in error.errors(include_url=False)[:MAX_FAULTS]:
            at = "facts"
            for key in one["loc"]:
                at = join(at, key)
            faults.append(Fault(at, one["msg"]))
        raise ClockChangeInvalid(faults=faults) from error


def _assessed_again(
    case: LegalCase,
    rules: Sequence[Rule],
    law: UUID | None,
    now: datetime,
    *,
    cause: str,
    by: str,
    reason: str,
) -> list[Reassessment]:
    """The case is locked: Note [One at a time] in `changing`."""
    rows = {row.obligation: row for row in case.clocks.select_for_update().order_by("pk")}
    case.law = law
    try:
        again = _Again(case, rows, rules, now, by, reason)
    except (ValidationError, ValueError, OutOfRange) as error:
        # Facts that another release wrote. The clocks stay as they are.
        log.warning("case_not_assessed", case=str(case.pk), error=error)
        case.save(update_fields=["law"])
        return []
    again.carry_out()
    case.save(update_fields=["facts", "law"])
    if not again.changes:
        return []
    made = Reassessment(
        case=case,
        run_id=case.run_id,
        workflow=case.workflow,
        at=now,
        cause=cause,
        by=by,
        reason=reason,
        changes=again.changes,
    )
    made.save()
    return [made]


class _Again:
    """One case that is assessed again."""

    def __init__(
        self,
        case: LegalCase,
        rows: Mapping[str, LegalClock],
        rules: Sequence[Rule],
        now: datetime,
        by: str,
        reason: str,
    ) -> None:
        self.case, self.rows, self.now, self.by, self.reason = case, rows, now, by, reason
        self.rules = {rule.code: rule for rule in rules}
        self.changes: list[dict[str, Any]] = []
        self.duties: dict[str, Mapping[str, Any]] = {}
        self.to_check: set[str] = set()
        self.found: Mapping[str, Any] = {}
        if case.facts is not None:
            self._assess(rules)

    def _assess(self, rules: Sequence[Rule]) -> None:
        given = ComplianceInput.model_validate(self.case.facts)
        # What was filed since counts as submitted, and what started clocks goes on doing so.
        submitted = {**given.submitted, **filed_of(self.rows.values())}
        output = assess(
            rules, given.model_copy(update={"submitted": submitted, "start_clocks": True}), self.case.as_of
        ).model_dump(mode="json")
        self.found = output["clocks"]
        self.duties = {one["code"]: one for one in output["obligations"] if one["applicability"] == "applies"}
        self.to_check = {one["code"] for one in output["obligations"] if one["applicability"] == "to_check"}

    def carry_out(self) -> None:
        for code, row in self.rows.items():
            if row.state in OPEN:
                self._of_clock(code, row)
        if self.case.facts is None:
            return
        started = [
            new_clock(self.case, self.rules[code], facts_of(code, self.found), duty, note=self.reason)
            for code, duty in self.duties.items()
            if code not in self.rows and code in self.rules and wants_clock(self.rules[code], duty)
        ]
        LegalClock.objects.bulk_create(started)
        self.changes += [_change(row, "started", None) for row in started]

    def _of_clock(self, code: str, row: LegalClock) -> None:
        before, due = (row.duty, row.facts, row.doubt), row.due_at
        rule = self.rules.get(code)
        applies = rule is not None and (self.case.facts is None or code in self.duties)
        row.doubt = "" if applies else _UNCERTAIN if rule is not None and code in self.to_check else _NOT_APPLIES
        if rule is not None and applies and rule.document:
            row.duty = duty_of(rule)
            if self.case.facts is not None:
                own = facts_of(code, self.found)
                # What people corrected of this clock stays corrected.
                assumed = [name for name in own["assumed"] if name not in row.facts["amended"]]
                submitted = {**own["submitted"], **row.facts["submitted"]}
                row.facts = {**own, "amended": row.facts["amended"], "assumed": assumed, "submitted": submitted}
        forecast = self.duties.get(code)
        if row.since is None and forecast is not None:
            row.due_at = at_of(forecast["deadline"]) if forecast["deadline"] else None
            row.arguable_until = at_of(forecast["arguable_until"]) if forecast["arguable_until"] else None
        if (row.duty, row.facts, row.doubt) == before and row.due_at == due:
            return
        try:
            if row.since is not None and reckoned(row) is None:
                # Note [No clock goes back to waiting].
                row.duty, row.facts, row.doubt = before[0], before[1], row.doubt or _NOTHING_LEFT
                if row.doubt == before[2]:
                    return
            refresh(row, self.now)
        except (OutOfRange, BadClock) as error:
            log.warning("clock_not_reckoned", clock=row.pk, error=error)
            return
        doubted, other = bool(before[2]), row.doubt != before[2]
        what = (
            "doubted" if row.doubt and other
            else "applies" if doubted and not row.doubt
            else "moved" if row.due_at != due
            else "changed"
        )  # fmt: skip
        note(row, self.now, self.by, what, row.doubt or self.reason, due)
        row.save()
        if what != "changed" or row.duty != before[0]:
            self.changes.append(_change(row, what, due))


def filed_of(rows: Iterable[LegalClock]) -> dict[str, datetime]:
    """When each of these was met, and filed again: as `submitted` of an assessment."""
    found: dict[str, datetime] = {}
    for row in rows:
        if row.state == State.FILED and row.filed is not None:
            found[row.obligation] = at_of(row.filed["at"])
            if row.filed["updated_at"]:
                found[f"{row.obligation}{UPDATE}"] = at_of(row.filed["updated_at"])
    return found


def _change(row: LegalClock, what: str, before: datetime | None) -> dict[str, Any]:
    return {
        "clock": row.pk,
        "obligation": row.obligation,
        "what": what,
        "due_before": None if before is None else text_of(before),
        "due_at": None if row.due_at is None else text_of(row.due_at),
    }
