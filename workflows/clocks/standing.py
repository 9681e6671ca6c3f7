"""`clocks.standing`: where the legal duties of a run stand now.

`compass.assess_compliance` says it as of the run's creation. What was learnt, filed, stopped and dismissed since is
known of the cases and the clocks. So the duties are assessed again with the facts that are known now, and each is as
its clock has it; a clock whose duty is not found any more is named, since it goes on until a person dismisses it. A
duty without a clock stays `promptly`, with what was recorded as sent: nothing says whether that was in time.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflows.clocks import assessing
from workflows.clocks.changing import database_clock
from workflows.clocks.errors import ClocksError
from workflows.clocks.filing import Recorded
from workflows.clocks.models import LegalCase, LegalClock, State
from workflows.clocks.reckoning import at_of
from workflows.clocks.showing import late, overdue
from workflows.core.clocks.clock import OutOfRange
from workflows.core.graph import Retry
from workflows.library.compass import data
from workflows.library.compass.contract import ComplianceInput, ComplianceOutput, ObligationDue
from workflows.library.compass.obligations import assess, summed
from workflows.registry import StepContext, step

log = structlog.get_logger(__name__)

_LEARNT: Final = "the run learnt it"
#: proofs of one duty that are shown
_SHOWN_SENT: Final = 5


class StandingInput(BaseModel):
    """facts: what was learnt since, in the words of `compass.assess_compliance`; null is nothing. It is told to the
    duties first, so that clocks of those that apply now start. compliance: what is said if nothing was assessed.
    recorded: from the output of `clocks.file`: what was sent for duties without a clock."""

    model_config = ConfigDict(extra="forbid")

    compliance: ComplianceOutput | None = None
    facts: dict[str, Any] = Field(default={}, max_length=40)
    by: str = Field(default="", max_length=200, description="who learnt it, such as user:anna; default: the workflow")
    reason: str = Field(default="", max_length=500)
    recorded: list[Recorded] = Field(default=[], max_length=5_000)


@step(
    "clocks.standing",
    timeout=30.0,
    retry=Retry(max_attempts=10),
    summary="Where the legal duties of the run stand now, after telling them what was learnt",
)
def standing(given: StandingInput, ctx: StepContext) -> ComplianceOutput:
    run_id = UUID(ctx.run_id)
    untold = _tell(run_id, given, ctx)
    now = database_clock()
    left = {(row.case_id, row.obligation): row for row in LegalClock.objects.filter(run_id=run_id).order_by("pk")}
    before = given.compliance or ComplianceOutput()
    found: list[ObligationDue] = []
    assumptions: list[str] = []
    cases = LegalCase.objects.filter(run_id=run_id, facts__isnull=False).order_by("created_at", "pk")
    for case in cases:
        one = _assessed(case, [row for row in left.values() if row.case_id == case.pk]) or before
        found += [_stands(duty, left.pop((case.pk, duty.code), None), now) for duty in one.obligations]
        assumptions += one.assumptions
    if not cases:
        found += [_stands(duty, None, now) for duty in before.obligations]
        assumptions += before.assumptions
    _say_sent(found, given.recorded, assumptions)
    found += [_stands(_duty_of(row), row, now) for row in left.values()]
    return summed(found, now, list(dict.fromkeys([*assumptions, *untold])))


def _say_sent(found: list[ObligationDue], recorded: list[Recorded], assumptions: list[str]) -> None:
    """At the duties without a clock. What was sent for none of them is not lost, but said with the assumptions."""
    sent: dict[str, list[str]] = defaultdict(list)
    for one in recorded:
        sent[one.obligation].append(f"{_shown(one.at.isoformat())} as {one.reference} by {one.by}")
    said = {
        code: f"recorded as sent {'; '.join(lines[:_SHOWN_SENT])}"
        + (f"; and {len(lines) - _SHOWN_SENT} more" if len(lines) > _SHOWN_SENT else "")
        for code, lines in sent.items()
    }
    placed = set()
    for place, duty in enumerate(found):
        if duty.code in said and duty.status == "promptly" and not duty.said:
            found[place] = duty.model_copy(update={"said": f"{said[duty.code]}; no clock says whether in time"})
            placed.add(duty.code)
    assumptions += [
        f"{code} is none of the duties without a clock: {said[code]}" for code in said if code not in placed
    ]


def _tell(run_id: UUID, given: StandingInput, ctx: StepContext) -> list[str]:
    """What could not be told: a response must not end because one fact is none."""
    facts = {name: value for name, value in given.facts.items() if value is not None}
    if not facts:
        return []
    try:
        assessing.learn(run_id, facts, by=given.by or f"workflow:{ctx.workflow}", reason=given.reason or _LEARNT)
    except ClocksError as error:
        said = "; ".join(str(fault) for fault in error.faults) or str(error)
        return [f"what was learnt was not told to the duties: {said}"[:1000]]
    return []


def _assessed(case: LegalCase, rows: Collection[LegalClock]) -> ComplianceOutput | None:
    """With all that is known of the case; None: another release wrote its facts."""
    try:
        facts = ComplianceInput.model_validate(case.facts)
        submitted = {**facts.submitted, **assessing.filed_of(rows)}
        known = facts.model_copy(update={"submitted": submitted, "start_clocks": False})
        # As of then: what a missing moment is taken for does not move.
        return assess(data.rules(), known, case.as_of)
    except (ValidationError, ValueError, OutOfRange) as error:
        log.warning("case_not_assessed", case=str(case.pk), error=error)
        return None


def _stands(duty: ObligationDue, row: LegalClock | None, now: datetime) -> ObligationDue:
    changed: dict[str, Any] = {}
    if row is not None:
        changed = {
            "deadline": row.due_at,
            "arguable_until": row.arguable_until,
            "provisional": row.provisional,
            "applicability": "applies",
            "missing": [row.doubt] if row.doubt else [],
            **_state(row, now),
        }
    elif duty.status in ("due", "overdue") and duty.deadline is not None:
        changed["status"] = "overdue" if duty.deadline < now else "due"
    deadline = changed.get("deadline", duty.deadline)
    changed["hours_left"] = None if deadline is None else round((deadline - now) / timedelta(hours=1), 2)
    return duty.model_copy(update=changed)


def _state(row: LegalClock, now: datetime) -> dict[str, str]:
    if row.state == State.FILED and row.filed is not None:
        proof = f"filed {_shown(row.filed['at'])} as {row.filed['reference']} by {row.filed['by']}"
        return {"status": "late" if late(row) else "met", "said": proof}
    if row.state == State.DISMISSED:
        last = next((one for one in reversed(row.history) if one["what"] == "dismissed"), None)
        return {"status": "dismissed", "said": f"dismissed by {last['by']}: {last['reason']}" if last else ""}
    if row.state == State.STOPPED:
        stop = row.stops[-1]
        return {"status": "stopped", "said": f"stopped since {_shown(stop['since'])} by {stop['by']}: {stop['reason']}"}
    if row.state == State.WAITING:
        return {"status": "waiting"}
    return {"status": "overdue" if overdue(row, now) else "due"}


def _duty_of(row: LegalClock) -> ObligationDue:
    """By the copy that the clock keeps."""
    duty = row.duty
    return ObligationDue(
        code=row.obligation,
        regime=duty["regime"],
        title=duty["title"],
        authority=duty["authority"],
        deadline=row.due_at,
        status="due",
        applicability="applies",
        trigger=row.trigger or None,
        hours_left=None,
        wording=duty["wording"],
        citation=duty["citation"],
        source=duty["source_url"],
        verified=duty["verified"],
        reviewed_on=duty["reviewed_on"],
    )


def _shown(text: str) -> str:
    return f"{at_of(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
