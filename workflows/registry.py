"""The steps that definitions may use: Python functions under a name, with typed input and output.

@step("acme.look_up", timeout=5, retry=Retry(max_attempts=3))
def look_up(data: LookUpInput, ctx: StepContext) -> LookUpOutput: ...
"""

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel

from workflows.core import contracts, step_body, step_input
from workflows.core.graph import Retry
from workflows.core.sensitive import Parts, parts_of
from workflows.core.shapes import Budget, Shape
from workflows.core.templates import Template
from workflows.errors import StepRefused, UnknownStep

Body = typing.TypeVar("Body", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step's body may know about the run and attempt that it belongs to."""

    run_id: str
    step: str
    #: index in a fan-out, None outside of one
    item: int | None
    #: 1 for the first attempt
    attempt: int
    #: `run_id:step:item`, the same at every attempt: pass it on as a key wherever something must not happen twice
    idempotency_key: str
    workflow: str
    business_key: str | None
    lane: str
    #: when the run times out, UTC; None is never
    deadline: datetime | None
    run_created_at: datetime
    #: what an earlier attempt last gave to `heartbeat` as its cursor; None if none did
    cursor: Any = None
    #: see `heartbeat`
    say: Callable[[Any, Any], None] = field(default=lambda progress, cursor: None, repr=False)

    def heartbeat(self, progress: Any = None, cursor: Any = None) -> None:
        """Say that the attempt goes on. Cheap: call it as often as you like, and at least as often as the definition's
        `heartbeat` says; without that it does nothing.

        progress: shown to people. cursor: given to the next attempt, if this one fails. Each is any JSON value of up to
        64 KiB; None leaves what was said before. Raises ValueError.
        """
        self.say(progress, cursor)


@dataclass(frozen=True)
class StepSpec:
    """A registered step."""

    name: str
    body: Callable[..., Any]
    input_model: type[BaseModel]
    output_model: type[BaseModel]
    #: seconds for one attempt
    timeout: float
    retry: Retry | None
    idempotent: bool
    transactional: bool
    is_async: bool
    takes_context: bool
    summary: str

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        return contracts.accepted(self.input_model)

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        return contracts.given(self.output_model)

    def takes(self, with_: Template | None) -> bool:
        """Whether it refuses no key that a definition gives it: a later release may have added some. A key that its
        model drops is no reason to leave the step to others."""
        return not step_input.unknown_keys(with_, Shape.of(self._validated, Budget()))

    def level(self, with_: Template | None) -> int:
        """The format level from which processes know every key that a definition gives it (Note [Format levels] in
        `core/kinds`)."""
        value = with_.value if with_ is not None else None
        levels = self._levels
        return max((levels.get(key, 1) for key in value), default=1) if levels and isinstance(value, dict) else 1

    @cached_property
    def _levels(self) -> Mapping[str, int]:
        """By key of its input, those that came with a format level: a field of the model says it."""
        fields = self.input_schema.get("properties", {})
        return {key: one[LEVEL] for key, one in fields.items() if isinstance(one, dict) and LEVEL in one}

    @cached_property
    def _validated(self) -> dict[str, Any]:
        return contracts.validated(self.input_model)

    @cached_property
    def sealed(self) -> Parts:
        """Which parts of its output are sealed (Note [Sensitive data] in `core/sensitive`)."""
        return parts_of(self.output_schema)


#: in `json_schema_extra` of a field of an input model: the format level of the first release that has the field. A
#: definition that gives it is not published while processes of an earlier level live: they would refuse the input
LEVEL: Final = "format_level"

_steps: dict[str, StepSpec] = {}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step whose result is being recorded."""

    run_id: str
    step: str
    #: of a fan-out; -1: the step has none
    item: int
    output: Any


#: called with the results of a step, in the transaction that records them; by the step's name
_when_recorded: dict[str, Callable[[Sequence[Recorded]], object]] = {}


def when_recorded(name: str, do: Callable[[Sequence[Recorded]], object]) -> None:
    """Call this in the transaction that records results of the step of that name: by a worker, or by a person who says
    how it ended. What it raises is the failure of that transaction, so it raises nothing that is not a failure of the
    database. The step is a plain function that is not transactional."""
    _when_recorded[name] = do


def recorder(name: str) -> Callable[[Sequence[Recorded]], object] | None:
    return _when_recorded.get(name)


def step(
    name: str = "",
    *,
    timeout: float = 30.0,
    retry: Retry | None = None,
    idempotent: bool = True,
    transactional: bool = False,
    summary: str = "",
    **unknown: Any,
) -> Callable[[Body], Body]:
    """Register a function as a step. Its first parameter and its result are annotated with pydantic models.

    timeout: seconds for one attempt. idempotent=False: never run again after an unknown outcome.
    transactional: its ORM writes commit together with its result, exactly once; such a body is a plain `def`.
    Raises StepRefused, with every fault, for a function, a name or settings that cannot be those of a step.
    """
    settings = {
        "timeout": timeout,
        "retry": retry,
        "idempotent": idempotent,
        "transactional": transactional,
        "summary": summary,
        **unknown,
    }
    if not isinstance(name, str) and callable(name):
        raise StepRefused(
            step_body.place_of(name, sys._getframe(1)), "", ['@step stands alone: write @step("acme.look_up")']
        )

    def register(body: Body) -> Body:
        spec = _spec(name, body, settings, sys._getframe(1))
        known = _steps.get(name)
        if known and _origin(known.body) != _origin(body):
            first = step_body.place_of(known.body)
            raise StepRefused(step_body.place_of(body), name, [f"the name is taken by {first}"])
        _steps[name] = spec
        return body

    return register


_SETTINGS: Mapping[str, type] = {
    "timeout": float,
    "retry": Retry,
    "idempotent": bool,
    "transactional": bool,
    "summary": str,
}


def _origin(body: Callable[..., Any]) -> tuple[str, str, int]:
    """The same for a module that is imported once more, and for nothing else."""
    return body.__module__, body.__qualname__, inspect.unwrap(body).__code__.co_firstlineno


def withdraw(name: str) -> StepSpec:
    """Forget a step, like a release that no longer has it. Returns the argument for `restore`. Raises UnknownStep."""
    spec = get(name)
    del _steps[name]
    return spec


def restore(spec: StepSpec) -> None:
    """Undo `withdraw`."""
    _steps[spec.name] = spec


def _spec(name: str, body: Callable[..., Any], settings: dict[str, Any], caller: types.FrameType) -> StepSpec:
    shape = step_body.body_faults(body, StepContext, transactional=settings["transactional"])
    faults = [*step_body.name_faults(name), *step_body.setting_faults(settings, _SETTINGS)]
    if isinstance(shape, list) or faults:
        if isinstance(shape, list):
            faults += shape
        raise StepRefused(step_body.place_of(body, caller), name, faults)
    return StepSpec(
        name=name,
        body=body,
        input_model=shape.input_model,
        output_model=shape.output_model,
        timeout=settings["timeout"],
        retry=settings["retry"],
        idempotent=settings["idempotent"],
        transactional=settings["transactional"],
        is_async=shape.is_async,
        takes_context=shape.takes_context,
        summary=settings["summary"] or (inspect.getdoc(body) or "").split("\n")[0],
    )


def get(name: str) -> StepSpec:
    """The step of that name. Raises UnknownStep."""
    try:
        return _steps[name]
    except KeyError:
        raise UnknownStep(f"no step named {name!r} is registered in this process") from None


def all() -> Mapping[str, StepSpec]:
    """Every registered step, by name."""
    return dict(_steps)


def discover() -> None:
    """Import `steps.py` of every installed app."""
    autodiscover_modules("steps")
