"""clearance.route_decision"""

from datetime import UTC, date, datetime, time, timedelta

from workflows.core.graph import Retry
from workflows.errors import PermanentStepError
from workflows.library.clearance import data as store
from workflows.library.clearance.contract import DecideInput, DecideOutput
from workflows.library.clearance.table import BadFact
from workflows.registry import StepContext, step


@step(
    "clearance.route_decision",
    timeout=5.0,
    retry=Retry(max_attempts=3),
    summary="Who must approve, how urgently and by when, from a decision table",
)
def route_decision(data: DecideInput, ctx: StepContext) -> DecideOutput:
    current = store.in_force(data.table)
    if current is None:
        raise PermanentStepError(f"there is no decision table {data.table!r}", code="unknown_table")
    fields = {field.name for field in current.table.fields}
    facts = data.model_dump(exclude={"table", "facts", "due_date"})
    facts = {name: value for name, value in facts.items() if name in fields} | data.facts
    try:
        row = current.table.decide(facts)
    except BadFact as error:
        raise PermanentStepError(f"table {data.table}: {error}", code="bad_fact") from error
    could_be, missing = current.table.could_be(facts, row)
    due_at = ctx.run_created_at + timedelta(hours=row.then.sla_hours)
    given = _end_of(data.due_date) if data.due_date is not None else None
    overdue = given is not None and given <= ctx.run_created_at
    return DecideOutput(
        level=row.then.level,
        urgency=row.then.urgency,
        sla_hours=row.then.sla_hours,
        # A date that has already passed does not count: the table's time applies.
        due_at=min(due_at, given) if given is not None and not overdue else due_at,
        due_date=data.due_date,
        overdue=overdue,
        approvers=list(row.then.approvers),
        reason=row.then.reason,
        table=current.name,
        version=current.number,
        row=row.id,
        facts=facts,
        could_be=could_be,
        missing=missing,
        assumptions=[_without(missing, could_be)] if could_be else [],
    )


def _without(missing: list[str], could_be: list[str]) -> str:
    rows = " or ".join(could_be[:10])
    return f"the decision was made without knowing {', '.join(missing)}: row {rows} might have decided otherwise"


def _end_of(day: date) -> datetime:
    """The day's last second, in UTC."""
    return datetime.combine(day, time(23, 59, 59), UTC)
