"""clearance.route_decision"""

from datetime import timedelta

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
    facts = data.model_dump(exclude={"table", "facts"})
    facts = {name: value for name, value in facts.items() if name in fields} | data.facts
    try:
        row = current.table.decide(facts)
    except BadFact as error:
        raise PermanentStepError(f"table {data.table}: {error}", code="bad_fact") from error
    return DecideOutput(
        level=row.then.level,
        urgency=row.then.urgency,
        sla_hours=row.then.sla_hours,
        due_at=ctx.run_created_at + timedelta(hours=row.then.sla_hours),
        approvers=list(row.then.approvers),
        reason=row.then.reason,
        table=current.name,
        version=current.number,
        row=row.id,
        facts=facts,
    )
