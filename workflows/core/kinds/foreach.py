"""`foreach`: a worker runs a registered step once for each item of a list.

An item that fails stops nothing: all items are tried, and their results kept. How the items of a step stand, and when
they are joined: Note [Items] in `core/machine/items`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Self

import orjson

from workflows.core.expressions import ITEM_ROOTS, ROOTS, BudgetExceeded, ExpressionError
from workflows.core.graph import StepInfo, StepNode, Work
from workflows.core.kind import Kind
from workflows.core.kinds.task import WORK_KEYS, check_work
from workflows.core.machine import NO_ITEM, ItemsEnded, StepChange, StepHappening, StepView, attempts
from workflows.core.machine.items import MAX_OUTPUT_BYTES, ItemResult
from workflows.core.states import StepState
from workflows.core.templates import Template, is_one_expression

if TYPE_CHECKING:
    from workflows.core.machine import Deciding
    from workflows.core.reading import StepReading

#: items of one step
MAX_ITEMS = 10_000
DEFAULT_MAX_PARALLEL = 100
#: Inputs of all items together that are larger are refused: a text that each item repeats grows with their number.
MAX_INPUT_BYTES = 16 * 1024 * 1024
#: failures listed in the step's output, and in its error
MAX_FAILURES, MAX_FAILURES_IN_ERROR = 100, 3


@dataclass(frozen=True, slots=True)
class FanOut:
    """The list that the work is done over, and how."""

    #: what renders to the list
    foreach: Template
    #: items that may be ready or running at once
    max_parallel: int
    #: how many items may fail and the step still succeeds: this many, or this share of them (a Fraction: with a float,
    #: 29% of 100 would be less than 29)
    tolerated: int | Fraction

    def tolerates(self, failed: int, total: int) -> bool:
        """Whether the step succeeds although `failed` of its items failed."""
        most = self.tolerated * total if isinstance(self.tolerated, Fraction) else self.tolerated
        return failed <= most


@dataclass(frozen=True)
class ForEach(Kind):
    name: ClassVar[str] = "foreach"
    marker: ClassVar[str] = "foreach"
    keys = {
        **WORK_KEYS,
        "foreach": {
            "type": ["string", "array"],
            "maxItems": MAX_ITEMS,
            "title": "a list, or one ${{ expression }} that gives a list",
            "description": "Do the step once for each item; its `with` may read item and index. At most 10,000 items.",
        },
        "max_parallel": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_ITEMS,
            "default": DEFAULT_MAX_PARALLEL,
            "title": "a number of items from 1 to 10,000",
            "description": "With foreach: how many items may be under way at once.",
        },
        "tolerated_failures": {
            "title": "a number of items, or a share of them from 0% to 100%",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_ITEMS},
                {"type": "string", "pattern": r"^(100|[0-9]{1,2}(\.[0-9]{1,3})?)%$"},
            ],
            "default": 0,
            "description": "With foreach: how many items may fail and the step still succeeds, as 3 or 5%.",
        },
    }
    required: ClassVar[tuple[str, ...]] = ("foreach", "uses")

    fan_out: FanOut
    #: what is done for each item
    work: Work

    @property
    def places(self) -> int:  # type: ignore[override]  # the class is frozen: nobody writes it
        return self.fan_out.max_parallel

    @classmethod
    def check(cls, reading: "StepReading") -> Self | None:
        fan_out = _check_fan_out(reading)
        work = check_work(reading, (*ROOTS, *ITEM_ROOTS))
        return cls(fan_out, work) if fan_out and work else None

    def begin(self, deciding: "Deciding", node: StepNode) -> None:
        """A row for the step, and one for each item."""
        values = self.fan_out.foreach.render(deciding.context())
        if not isinstance(values, list):
            _refuse(deciding, node, "foreach_not_a_list", "foreach gave no list")
            return
        if len(values) > MAX_ITEMS:
            message = f"foreach gave {len(values):,} items; at most {MAX_ITEMS:,} are allowed"
            _refuse(deciding, node, "foreach_too_many", message)
            return
        items: list[StepChange] = []
        active = size = 0
        with_ = self.work.with_
        context = {**deciding.context()}
        for index, value in enumerate(values):
            state, input, error = StepState.READY, None, None
            context["item"], context["index"] = value, index
            try:
                input = with_.render(context) if with_ is not None else {}
            except BudgetExceeded:
                raise  # all items after this one would fail the same way
            except ExpressionError as fault:
                state, error = StepState.FAILED, {"code": "expression_error", "message": str(fault)}
            else:
                size += len(orjson.dumps(input))
                if size > MAX_INPUT_BYTES:
                    much = f"the items' inputs have more than {MAX_INPUT_BYTES:,} bytes together"
                    message = f"{much}; hand on references in place of data"
                    _refuse(deciding, node, "foreach_too_large", message)
                    return
                if active < self.fan_out.max_parallel:
                    active += 1
                else:
                    state = StepState.PENDING
            items.append(StepChange(node.id, index, True, state, 0, 0, 0, input, error=error))
        deciding.begin_items(node.id, items)
        if all(change.state.ended for change in items):
            results = tuple(ItemResult(change.item, change.state, None, change.error) for change in items)
            self._join(deciding, ItemsEnded(node.id, results))

    def happened(self, deciding: "Deciding", node: StepNode, happening: StepHappening) -> None:
        if happening.item != NO_ITEM:
            attempts.happened(deciding, self.work, happening)
        elif isinstance(happening, ItemsEnded):
            self._join(deciding, happening)
        else:
            deciding.discarded.append(happening)

    def stop(self, deciding: "Deciding", node: StepNode, view: StepView) -> None:
        deciding.stop_items(node.id)

    @property
    def items(self) -> Template:  # type: ignore[override]  # the class is frozen: nobody writes it
        return self.fan_out.foreach

    def output(self, registered: Mapping[str, StepInfo]) -> Any:
        result = registered[self.work.uses].output_schema
        definitions = {key: result[key] for key in ("$defs", "definitions") if key in result}
        own = {key: value for key, value in result.items() if key not in definitions}
        return {**definitions, **_OUTPUT, "properties": {**_OUTPUT["properties"], "results": _results(own)}}

    def explain(self, view: StepView, due_at: datetime | None) -> str:
        fan = view.fan
        if fan is None:
            return "waits for its items"
        ended = fan.succeeded + fan.failed
        told = f"waits for {fan.total - ended:,} of its {fan.total:,} items"
        parts = ((fan.active, "under way"), (fan.resting, "resting or unclear"), (fan.pending, "waiting for a place"))
        return f"{told}: {', '.join(f'{count:,} {what}' for count, what in parts if count)}"

    def _join(self, deciding: "Deciding", happening: ItemsEnded) -> None:
        joined = deciding.join_items(happening.step)
        if joined is None:
            deciding.discarded.append(happening)
            return
        (view, fan), results = joined, happening.results
        output = compose(results) if results is not None else None
        state, error = StepState.SUCCEEDED, None
        if not self.fan_out.tolerates(fan.failed, fan.total):
            state = StepState.FAILED
            error = {"code": "items_failed", "message": f"{fan.failed} of {fan.total} items failed"}
            if results is not None:
                error = items_failed(results)
        elif output is None:
            state = StepState.FAILED
            message = f"the items' outputs have more than {MAX_OUTPUT_BYTES:,} bytes together"
            error = {"code": "output_too_large", "message": f"{message}; they can be read one by one"}
        joined_view = StepView(state, view.attempt, view.failures, view.lost, output)
        deciding.set(happening.step, NO_ITEM, joined_view, error)


#: the schema of what `compose` gives
_OUTPUT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "results": {"type": "array"},
        "total": {"type": "integer"},
        "succeeded": {"type": "integer"},
        "failed": {"type": "integer"},
        "failures": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"item": {"type": "integer"}, "code": {}, "message": {"type": "string"}},
            },
        },
    },
}


def _results(result: dict[str, Any]) -> dict[str, Any]:
    """A failed item has null in place of its output."""
    return {"type": "array", "items": {"anyOf": [result, {"type": "null"}]}}


def _check_fan_out(reading: "StepReading") -> FanOut | None:
    step = reading.step
    if not reading.sound("foreach"):
        return None
    foreach = reading.template("foreach")
    if foreach is None:
        return None
    if isinstance(step["foreach"], str) and (foreach.constant or not is_one_expression(step["foreach"])):
        reading.fault("foreach", "is not a list, or one ${{ expression }} that gives a list")
    max_parallel, given = DEFAULT_MAX_PARALLEL, step.get("tolerated_failures", 0)
    if reading.sound("max_parallel"):
        max_parallel = int(step.get("max_parallel", max_parallel))
    tolerated: int | Fraction = 0
    if reading.sound("tolerated_failures"):
        tolerated = Fraction(given.removesuffix("%")) / 100 if isinstance(given, str) else int(given)
    return FanOut(foreach, max_parallel, tolerated)


def _refuse(deciding: "Deciding", node: StepNode, code: str, message: str) -> None:
    deciding.set(node.id, NO_ITEM, StepView(StepState.FAILED), {"code": code, "message": message})


def compose(results: Sequence[ItemResult]) -> dict[str, Any]:
    """The output: `results` in the order of the items, null for those that failed, and the failures."""
    failures = [result for result in results if result.state is StepState.FAILED]
    return {
        "results": [result.output for result in results],
        "total": len(results),
        "succeeded": len(results) - len(failures),
        "failed": len(failures),
        "failures": [_failure(result) for result in failures[:MAX_FAILURES]],
    }


def items_failed(results: Sequence[ItemResult]) -> dict[str, Any]:
    """The error of a step of which more items failed than it tolerates."""
    failures = [_failure(result) for result in results if result.state is StepState.FAILED]
    listed = "; ".join(f"item {one['item']}: {one['message']}" for one in failures[:MAX_FAILURES_IN_ERROR])
    more = f"; and {len(failures) - MAX_FAILURES_IN_ERROR} more" if len(failures) > MAX_FAILURES_IN_ERROR else ""
    return {"code": "items_failed", "message": f"{len(failures)} of {len(results)} items failed: {listed}{more}"}


def _failure(result: ItemResult) -> dict[str, Any]:
    error = result.error or {}
    return {"item": result.item, "code": error.get("code"), "message": str(error.get("message", ""))[:500]}
