"""`run_step`: the body of one step, called as a worker calls it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from workflows import registry
from workflows.core.claim import Claim
from workflows.core.machine import NO_ITEM, StepFailed
from workflows.testing.steps_of import know
from workflows.worker import bodies

#: of runs in memory: always the same, so that a test may compare what was made from them
RUN_ID = "00000000-0000-7000-8000-000000000001"
#: a Monday
MOMENT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def run_step(
    step: str | Callable[..., Any],
    input: BaseModel | Mapping[str, Any] | None = None,
    *,
    attempt: int = 1,
    item: int | None = None,
    id: str = "step",
    workflow: str = "test",
    business_key: str | None = None,
    lane: str = "standard",
    deadline: datetime | None = None,
    run_id: str = RUN_ID,
    run_created_at: datetime = MOMENT,
) -> Any:
    """Call the body of a step, and return the model that it returned.

    step: its registered name, or the decorated function. input: what `with` would give, checked by the step's input
    model. The rest is what its `StepContext` says; `id` is the step's id in the definition. An `async def` body runs to
    its end. Nothing limits its time.
    Raises UnknownStep, pydantic's ValidationError for an input that does not fit, whatever the body raises, TypeError
    for a result that is not a model, and ValueError for one that could not be recorded.
    """
    spec = _spec(step)
    given = input.model_dump(mode="json") if isinstance(input, BaseModel) else dict(input or {})
    key = NO_ITEM if item is None else item
    claim = Claim(run_id, id, key, attempt, given, 0, workflow, business_key, lane, deadline, run_created_at)
    result = spec.body(*bodies.arguments(claim, spec))
    if spec.is_async:
        result = finished(result)
    outcome = bodies.succeeded(claim, result)
    if isinstance(outcome, StepFailed):
        raise ValueError(outcome.error["message"])
    return result


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, also where an event loop runs already, as in an async test."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((True, asyncio.run(coroutine)))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    well, result = outcome[0]
    if not well:
        raise result
    return result


def _spec(step: str | Callable[..., Any]) -> registry.StepSpec:
    if isinstance(step, str):
        know([step])
        return registry.get(step)
    for spec in registry.all().values():
        if spec.body is step:
            return spec
    raise TypeError(f"{getattr(step, '__qualname__', step)!r} is not a step: decorate it with @step, or give its name")
