"""`uses`: a worker runs a registered step once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from workflows.core import step_input
from workflows.core.expressions import ROOTS, SECRET_ROOTS
from workflows.core.format import DURATION
from workflows.core.graph import Retry, StepInfo, StepNode, Work
from workflows.core.kind import Kind
from workflows.core.kinds.approval_format import GUARDED_BY
from workflows.core.kinds.guard import refusal, rendered
from workflows.core.machine import NO_ITEM, StepHappening, StepView, attempts
from workflows.core.schema import Schema, SchemaInvalid
from workflows.core.shapes import Shape
from workflows.core.states import StepState
from workflows.core.structure import did_you_mean
from workflows.core.templates import Template

if TYPE_CHECKING:
    from workflows.core.machine import Deciding
    from workflows.core.reading import StepReading

_RETRY: dict[str, Any] = {
    "type": "object",
    "title": "an object with max_attempts, backoff, factor, max_delay",
    "description": "Attempts, and the rest in between: backoff * factor^(attempt-1), at most max_delay.",
    "additionalProperties": False,
    "properties": {
        "max_attempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "title": "a number of attempts from 1 to 100",
            "description": "Attempts in all; 1 is never try again.",
        },
        "backoff": {**DURATION, "description": "Rest before the second attempt."},
        "factor": {"type": "number", "minimum": 1, "maximum": 100, "title": "a factor from 1 to 100"},
        "max_delay": {**DURATION, "description": "The longest rest."},
    },
}

#: the keys that say what a worker runs
WORK_KEYS: dict[str, Any] = {
    "uses": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "title": "the name of a registered step",
        "description": "Name of the registered step that does the work, such as nexus.enrich_threat.",
    },
    "with": {
        "type": ["object", "string"],
        "title": "an object, or one ${{ expression }} that gives an object",
        "description": "The step's input; strings may hold ${{ expressions }}.",
    },
    "timeout": {**DURATION, "description": "How long one attempt may take. Default: that of the registered step."},
    "heartbeat": {
        **DURATION,
        "description": "How long the body may be silent before its attempt fails: it calls ctx.heartbeat.",
    },
    "retry": _RETRY,
    "idempotent": {
        "type": "boolean",
        "title": "true or false",
        "description": "false: never blindly run again after an unknown outcome. May only tighten the step's own.",
    },
}


@dataclass(frozen=True)
class Task(Kind):
    name: ClassVar[str] = "task"
    marker: ClassVar[str] = "uses"
    keys: ClassVar[Mapping[str, Any]] = {**WORK_KEYS, "guarded_by": GUARDED_BY}
    required: ClassVar[tuple[str, ...]] = ("uses",)
    strides: ClassVar[bool] = True

    work: Work
    guarded_by: str | None = None

    @property
    def reads(self) -> int:
        return super().reads if self.guarded_by is None else max(5, super().reads)

    @property
    def plain(self) -> bool:  # type: ignore[override]
        return self.guarded_by is None and self.work.heartbeat is None

    @classmethod
    def check(cls, reading: "StepReading") -> Self | None:
        work = check_work(reading)
        approval = reading.step.get("guarded_by")
        return cls(work, approval if isinstance(approval, str) else None) if work else None

    def begin(self, deciding: "Deciding", node: StepNode) -> None:
        input = rendered(deciding, self.work)
        if self.guarded_by is not None:
            fault = refusal(deciding, node.id, self.guarded_by, self.work, input)
            if fault is not None:
                deciding.set(node.id, NO_ITEM, StepView(StepState.FAILED), fault, input=input)
                return
        deciding.set(node.id, NO_ITEM, StepView(StepState.READY), input=input)

    def happened(self, deciding: "Deciding", node: StepNode, happening: StepHappening) -> None:
        attempts.happened(deciding, self.work, happening)

    def stop(self, deciding: "Deciding", node: StepNode, view: StepView) -> None:
        attempts.stop(deciding, node, self.work, view)

    def output(self, registered: Mapping[str, StepInfo]) -> Any:
        return registered[self.work.uses].output_schema

    def explain(self, view: StepView, due_at: datetime | None) -> str:
        return attempts.explain(view, due_at)


def check_work(reading: "StepReading", roots: tuple[str, ...] = ROOTS) -> Work | None:
    """What a worker runs for a step. roots: the names that its `with` may read."""
    step = reading.step
    info = _uses(reading)
    template: Template | None = None
    if "with" in step and reading.sound("with"):
        template = reading.template("with", roots=(*roots, *SECRET_ROOTS))
        if template is not None and any(filling.location == () for filling in template.secrets):
            reading.fault("with", "a secret is a text, and an input is an object: name the key that gets it")
    if info is not None and ("with" not in step or template is not None):
        _check_input(reading, template, info)
    timeout = reading.duration("timeout")
    heartbeat = reading.duration("heartbeat")
    longest = timeout if timeout is not None else float(info.timeout) if info is not None else None
    if heartbeat is not None and longest is not None and heartbeat >= longest:
        reading.fault("heartbeat", f"must be shorter than the timeout, which is {longest:g} s")
    retry = _retry(reading, info)
    if info is None:
        return None
    if step.get("idempotent") is True and not info.idempotent:
        reading.fault("idempotent", f"{info.name} is not idempotent: a definition can only tighten that")
    return Work(
        uses=info.name,
        with_=template,
        timeout=timeout if timeout is not None else float(info.timeout),
        retry=retry,
        idempotent=info.idempotent and step.get("idempotent", True) is not False,
        transactional=info.transactional,
        heartbeat=heartbeat,
        secrets=template.secrets if template is not None else (),
    )


def _uses(reading: "StepReading") -> StepInfo | None:
    name = reading.step.get("uses")
    if not isinstance(name, str) or not name:
        return None
    if name not in reading.registered:
        hint = did_you_mean(name, reading.registered)
        reading.fault("uses", f'no step named "{name}" is registered{hint}')
        return None
    return reading.registered[name]


def _check_input(reading: "StepReading", template: Template | None, info: StepInfo) -> None:
    try:
        schema = Schema.compile(info.input_schema)
    except SchemaInvalid as error:
        reading.fault("with", f"the input schema of {info.name} is not usable: {error}")
        return
    shape = Shape.of(info.input_schema, reading.budget)
    reading.faults.extend(step_input.check(template, schema, at=f"{reading.at}.with", shape=shape))


def _retry(reading: "StepReading", info: StepInfo | None) -> Retry:
    given, default = reading.step.get("retry"), (info.retry if info else None) or Retry()
    if not isinstance(given, dict) or not reading.sound("retry"):
        return default
    backoff = reading.duration("retry", "backoff")
    max_delay = reading.duration("retry", "max_delay")
    return Retry(
        max_attempts=int(given.get("max_attempts", default.max_attempts)),
        backoff=default.backoff if backoff is None else backoff,
        factor=float(given.get("factor", default.factor)),
        max_delay=default.max_delay if max_delay is None else max_delay,
    )
