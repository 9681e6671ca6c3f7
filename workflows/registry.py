"""The steps that definitions may use: Python functions under a name, with typed input and output.

@step("acme.look_up", timeout=5, retry=Retry(max_attempts=3))
def look_up(data: LookUpInput, ctx: StepContext) -> LookUpOutput: ...
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel

from workflows.core import contracts
from workflows.core.graph import Retry
from workflows.errors import UnknownStep

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


_steps: dict[str, StepSpec] = {}


def step(
    name: str,
    *,
    timeout: float = 30.0,
    retry: Retry | None = None,
    idempotent: bool = True,
    transactional: bool = False,
    summary: str = "",
) -> Callable[[Body], Body]:
    """Register a function as a step. Its first parameter and its result are annotated with pydantic models.

    timeout: seconds for one attempt. idempotent=False: never run again after an unknown outcome.
    transactional: its ORM writes commit together with its result, exactly once; such a body is a plain `def`.
    Raises TypeError for a function that cannot be a step, ValueError for a name that is taken.
    """

    def register(body: Body) -> Body:
        spec = _spec(name, body, timeout, retry, idempotent, transactional, summary)
        known = _steps.get(name)
        if known and (known.body.__module__, known.body.__qualname__) != (body.__module__, body.__qualname__):
            raise ValueError(f"step {name!r} is registered twice: {known.body.__module__} and {body.__module__}")
        _steps[name] = spec
        return body

    return register


def withdraw(name: str) -> StepSpec:
    """Forget a step, like a release that no longer has it. Returns the argument for `restore`. Raises UnknownStep."""
    spec = get(name)
    del _steps[name]
    return spec


def restore(spec: StepSpec) -> None:
    """Undo `withdraw`."""
    _steps[spec.name] = spec


def _spec(
    name: str,
    body: Callable[..., Any],
    timeout: float,
    retry: Retry | None,
    idempotent: bool,
    transactional: bool,
    summary: str,
) -> StepSpec:
    hints = typing.get_type_hints(body)
    parameters = list(inspect.signature(body).parameters)
    is_async = inspect.iscoroutinefunction(body)
    models = [hints.get(parameters[0]) if parameters else None, hints.get("return")]
    for what, model in zip(("first parameter", "result"), models, strict=True):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"step {name!r}: annotate the {what} of {body.__qualname__} with a pydantic model")
    if is_async and transactional:
        raise TypeError(f"step {name!r}: a transactional step runs in the checkpoint's transaction; make it `def`")
    return StepSpec(
        name=name,
        body=body,
        input_model=typing.cast("type[BaseModel]", models[0]),
        output_model=typing.cast("type[BaseModel]", models[1]),
        timeout=timeout,
        retry=retry,
        idempotent=idempotent,
        transactional=transactional,
        is_async=is_async,
        takes_context=len(parameters) > 1,
        summary=summary or (inspect.getdoc(body) or "").split("\n")[0],
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
