"""`decision`: a worker asks a stored decision table.

Note [Which version decides]
`table@3` is decided by version 3 of the table. Without a number, the version decides that is in force when the step is
evaluated, not the one that was when the run began: a run may wait for weeks before it comes to a decision, and then the
rules that hold at that time are the ones to go by. Whoever wants otherwise writes the number. The output says which
version it was, and a recorded output never changes; an attempt whose outcome was lost is repeated, perhaps by a newer
version, and only what is recorded counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from workflows.core.graph import Retry, StepInfo, StepNode, Work
from workflows.core.kind import Kind
from workflows.core.machine import NO_ITEM, StepHappening, StepView, attempts
from workflows.core.states import StepState
from workflows.core.templates import Template

if TYPE_CHECKING:
    from workflows.core.machine import Deciding
    from workflows.core.reading import StepReading

#: the registered step whose body asks the table
USES: Final = "decisions.decide"
_REFERENCE: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_-]{0,62})(?:@([1-9][0-9]{0,8}))?")
_WORK: Final = Work(USES, None, 10.0, Retry(), idempotent=True, transactional=False)
_OUTPUT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["result", "table", "version", "rules"],
    "properties": {
        "result": {},
        "table": {"type": "string"},
        "version": {"type": "integer"},
        "rules": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Decision(Kind):
    name: ClassVar[str] = "decision"
    marker: ClassVar[str] = "decision"
    keys = {
        "decision": {
            "type": "string",
            "pattern": f"^{_REFERENCE.pattern}$",
            "title": "the name of a decision table, with @ and a number for one of its versions",
            "description": "The stored decision table to ask, such as breach-approval or breach-approval@3.",
        },
        "input": {
            "type": ["object", "string"],
            "title": "an object, or one ${{ expression }} that gives an object",
            "description": "The facts that a decision table is asked about; strings may hold ${{ expressions }}.",
        },
    }
    required: ClassVar[tuple[str, ...]] = ("decision",)
    level: ClassVar[int] = 6
    strides: ClassVar[bool] = True

    table: str
    #: None: the one in force when the step is evaluated
    version: int | None
    #: what renders to the facts; None: there are none
    facts: Template | None
    work: Work = _WORK

    @classmethod
    def check(cls, reading: "StepReading") -> Self | None:
        facts = reading.template("input") if "input" in reading.step and reading.sound("input") else None
        given = reading.step["decision"]
        found = _REFERENCE.fullmatch(given) if isinstance(given, str) else None
        if found is None:
            return None  # the structure check reports it
        return cls(found[1], int(found[2]) if found[2] else None, facts)

    def begin(self, deciding: "Deciding", node: StepNode) -> None:
        facts: Any = {}
        if self.facts is not None:
            facts = self.facts.render(deciding.constants if self.facts.constant else deciding.context())
        input = {"table": self.table, "version": self.version, "facts": facts}
        deciding.set(node.id, NO_ITEM, StepView(StepState.READY), input=input)

    def happened(self, deciding: "Deciding", node: StepNode, happening: StepHappening) -> None:
        attempts.happened(deciding, self.work, happening)

    def stop(self, deciding: "Deciding", node: StepNode, view: StepView) -> None:
        attempts.stop(deciding, node, self.work, view)

    def output(self, registered: Mapping[str, StepInfo]) -> Any:
        return _OUTPUT

    def explain(self, view: StepView, due_at: datetime | None) -> str:
        wanted = self.table if self.version is None else f"version {self.version} of {self.table}"
        return f"{attempts.explain(view, due_at)} to ask the decision table {wanted}"
