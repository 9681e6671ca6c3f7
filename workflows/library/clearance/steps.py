"""clearance.route_decision"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from workflows.core.graph import Retry
from workflows.core.tables.document import TableInvalid
from workflows.core.tables.plain import plain
from workflows.core.tables.table import FactsInvalid
from workflows.core.tables.unknown import could_be
from workflows.decisions.compiled import Compiled
from workflows.errors import PermanentStepError
from workflows.library.clearance import data as store
from workflows.library.clearance.contract import DecideInput, DecideOutput
from workflows.registry import StepContext, step

#: faults that an error names
_NAMED: Final = 10


class Outcome(BaseModel):
    """The outputs that a table must have to be asked here. sla_hours: at most a year."""

    level: str = Field(min_length=1)
    urgency: str = ""
    sla_hours: float = Field(gt=0, le=24 * 366)
    approvers: list[str] = []
    reason: str = ""


@step(
    "clearance.route_decision",
    timeout=5.0,
    retry=Retry(max_attempts=3),
    summary="Who must approve, how urgently and by when, from a decision table",
)
def route_decision(data: DecideInput, ctx: StepContext) -> DecideOutput:
    current = _in_force(data.table)
    names = {column.input.path[0] for column in current.table.columns}
    if strange := sorted(set(data.facts) - names):
        raise PermanentStepError(
            f"table {data.table}: it has no input {strange[0]!r}; it has {', '.join(sorted(names))}", code="bad_fact"
        )
    facts = data.model_dump(exclude={"table", "facts", "due_date"})
    facts = {name: value for name, value in facts.items() if name in names} | data.facts
    row, outcome = _decided(current, facts)
    rows, missing = could_be(current.table, facts)
    due_at = ctx.run_created_at + timedelta(hours=outcome.sla_hours)
    given = _end_of(data.due_date) if data.due_date is not None else None
    overdue = given is not None and given <= ctx.run_created_at
    return DecideOutput(
        level=outcome.level,
        urgency=outcome.urgency,
        sla_hours=outcome.sla_hours,
        # A date that has already passed does not count: the table's time applies.
        due_at=min(due_at, given) if given is not None and not overdue else due_at,
        due_date=data.due_date,
        overdue=overdue,
        approvers=outcome.approvers,
        reason=outcome.reason,
        table=current.name,
        version=current.number,
        row=row,
        facts=facts,
        could_be=rows,
        missing=missing,
        assumptions=[_without(missing, rows)] if rows else [],
    )


def _in_force(name: str) -> Compiled:
    try:
        found = store.in_force(name)
    except TableInvalid as error:
        # A newer release published it: another worker may be able to read it.
        raise RuntimeError(f"this release cannot read {name}: {error}"[:400]) from error
    if found is None:
        raise PermanentStepError(f"there is no decision table {name!r}", code="unknown_table")
    return found


def _decided(current: Compiled, facts: dict[str, Any]) -> tuple[str, Outcome]:
    """The id of the rule that decides ("" for the outputs' defaults), and what it says."""
    at = f"table {current.name} v{current.number}"
    try:
        decision = current.table.decide(facts)
    except FactsInvalid as error:
        told = "; ".join(str(fault) for fault in error.faults[:_NAMED])
        raise PermanentStepError(f"{at}: {told}", code="bad_fact") from error
    if not decision.is_decided:
        why = decision.fault or "no rule matches, and no output has a default"
        raise PermanentStepError(f"{at} does not decide this case: {why}", code="not_decided")
    row = current.table.rules[decision.rules[0]].id if decision.rules else ""
    outputs = current.table.outputs
    said = plain(decision.output)
    try:
        return row, Outcome.model_validate({outputs[0].name: said} if len(outputs) == 1 else said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "its output"
        raise PermanentStepError(
            f"{at}, rule {row or 'of the defaults'}: {where}: {first['msg']}; it needs the outputs "
            f"{', '.join(Outcome.model_fields)}, of one rule",
            code="unfit_table",
        ) from error


def _without(missing: list[str], could_be: list[str]) -> str:
    rows = " or ".join(could_be[:10])
    return f"the decision was made without knowing {', '.join(missing)}: row {rows} might have decided otherwise"


def _end_of(day: date) -> datetime:
    """The day's last second, in UTC."""
    return datetime.combine(day, time(23, 59, 59), UTC)
