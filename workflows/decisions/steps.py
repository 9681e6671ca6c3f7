"""What workers run for a step of the kind `decision`."""

from typing import Any

from pydantic import BaseModel, Field

from workflows.core.kinds.decision import USES
from workflows.core.tables.document import TableInvalid
from workflows.core.tables.plain import plain
from workflows.core.tables.table import FactsInvalid
from workflows.decisions.compiled import compiled
from workflows.decisions.errors import UnknownTable, UnknownTableVersion
from workflows.errors import PermanentStepError
from workflows.registry import step

#: faults that an error names
_NAMED = 10


class Question(BaseModel):
    """The facts, and the table to ask; version: None: the one in force."""

    table: str = Field(max_length=63)
    version: int | None = None
    facts: dict[str, Any] = {}


class Said(BaseModel):
    """What the table says, its version, and the ids of the rules that matched."""

    result: Any
    table: str
    version: int
    rules: list[str]


@step(USES, timeout=10.0, summary="Ask a stored decision table; steps with `decision` do.")
def decide(data: Question) -> Said:
    try:
        found = compiled(data.table, data.version)
    except (UnknownTable, UnknownTableVersion) as error:
        raise PermanentStepError(error.message, code=error.code) from error
    except TableInvalid as error:
        # A newer release published it: another worker may be able to read it.
        raise RuntimeError(f"this release cannot read {data.table}: {error}"[:400]) from error
    try:
        decision = found.table.decide(data.facts)
    except FactsInvalid as error:
        told = "; ".join(str(fault) for fault in error.faults[:_NAMED])
        raise PermanentStepError(f"{found.name} v{found.number}: {told}", code="facts_not_valid") from error
    if not decision.is_decided:
        why = decision.fault or "no rule matches, and no output has a default"
        raise PermanentStepError(f"{found.name} v{found.number} does not decide this case: {why}", code="not_decided")
    rules = [found.table.rules[place].id for place in decision.rules]
    return Said(result=plain(decision.output), table=found.name, version=found.number, rules=rules)
