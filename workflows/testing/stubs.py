"""What stands in for the bodies of steps: a value, a function, an exception, or several of them in turn."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from workflows.core.durations import parse_duration
from workflows.core.graph import Graph
from workflows.core.structure import did_you_mean
from workflows.registry import StepContext, StepSpec
from workflows.testing.one_step import finished


class StubUnfit(AssertionError):
    """A stub does not fit the definition, or its value does not fit the step's output model: the test is wrong."""


class Escape(BaseException):
    """Carries what is wrong with the test itself past the handling of errors that a body raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class _InTurn:
    outcomes: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Takes:
    seconds: float
    outcome: Any


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker of the attempt is gone."""


def in_turn(*outcomes: Any) -> _InTurn:
    """A stub with an outcome for each attempt; the last one is that of all further attempts."""
    if not outcomes:
        raise StubUnfit("in_turn() needs at least one outcome")
    return _InTurn(outcomes)


def takes(duration: str | float, outcome: Any) -> _Takes:
    """A stub whose attempts take a while on the run's clock: "40s", or a number of seconds. An attempt that takes
    longer than the step's timeout fails."""
    return _Takes(parse_duration(duration), outcome)


def lost() -> Lost:
    """An outcome: the worker is gone, and nobody knows what the attempt did."""
    return Lost()


@dataclass(frozen=True, slots=True)
class Call:
    """What is run for one attempt."""

    spec: StepSpec
    #: seconds on the run's clock
    seconds: float
    lost: bool = False


class Stubs:
    """The stubs of one test, by id of the step, or by the registered step that it uses."""

    def __init__(self, graph: Graph, stubs: Mapping[str, Any], specs: Mapping[str, StepSpec]) -> None:
        """Raises StubUnfit for a stub that stands for nothing, and for a value that does not fit."""
        self._by_id: dict[str, Any] = {}
        works = {id: node.work.uses for id, node in graph.steps.items() if node.work}
        wrong: list[str] = []
        for name, stub in stubs.items():
            if name in graph.steps and name not in works:
                wrong.append(f"{name}: no worker runs anything for a {graph.steps[name].kind}, so it needs no stub")
                continue
            ids = [name] if name in works else [id for id, uses in works.items() if uses == name]
            if not ids:
                hint = did_you_mean(name, [*works, *dict.fromkeys(works.values())])
                wrong.append(f"{name}: {graph.name} has no such step, and none that uses it{hint}")
            for id in ids:
                self._by_id[id] = stub if id not in self._by_id or id == name else self._by_id[id]
                wrong.extend(f"{name}: {fault}" for fault in _unfit(stub, specs[works[id]]))
        if wrong:
            raise StubUnfit("\n".join(dict.fromkeys(wrong)))

    def call(self, id: str, attempt: int, spec: StepSpec) -> Call:
        """What to run for this attempt of a step."""
        if id not in self._by_id:
            return Call(spec, 0.0)
        outcome, seconds = self._by_id[id], 0.0
        while isinstance(outcome, _InTurn | _Takes):
            if isinstance(outcome, _InTurn):
                outcome = outcome.outcomes[min(attempt, len(outcome.outcomes)) - 1]
            else:
                seconds += outcome.seconds
                outcome = outcome.outcome
        if isinstance(outcome, Lost):
            return Call(spec, seconds, lost=True)
        body = _body(outcome, spec)
        return Call(replace(spec, body=body, is_async=False, takes_context=True), seconds)


def _unfit(stub: Any, spec: StepSpec) -> list[str]:
    """What can be known to be wrong with a stub before it is used."""
    if isinstance(stub, _InTurn):
        return [fault for outcome in stub.outcomes for fault in _unfit(outcome, spec)]
    if isinstance(stub, _Takes):
        return _unfit(stub.outcome, spec)
    if isinstance(stub, Lost | BaseException) or _is_exception(stub):
        return []
    if callable(stub) and not isinstance(stub, BaseModel):
        return []
    try:
        as_output(stub, spec)
    except StubUnfit as error:
        return [str(error)]
    return []


def as_output(value: Any, spec: StepSpec) -> BaseModel:
    """A value as the output of a step. Raises StubUnfit."""
    if isinstance(value, BaseModel):
        if isinstance(value, spec.output_model):
            return value
        value = value.model_dump(mode="json")
    if not isinstance(value, Mapping):
        raise StubUnfit(f"{spec.name} gives an object ({spec.output_model.__name__}), not {value!r}")
    try:
        return spec.output_model.model_validate(dict(value))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)
        )
        raise StubUnfit(f"is not what {spec.name} gives ({spec.output_model.__name__}): {faults}") from None


def _is_exception(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _body(outcome: Any, spec: StepSpec) -> Callable[[Any, StepContext], BaseModel]:
    def body(data: Any, ctx: StepContext) -> BaseModel:
        if isinstance(outcome, BaseException) or _is_exception(outcome):
            raise outcome
        try:
            if callable(outcome) and not isinstance(outcome, BaseModel):
                value = outcome(*_arguments(outcome, (data, ctx)))
                if inspect.iscoroutine(value):
                    value = finished(value)
                if isinstance(value, BaseException):
                    raise value
            else:
                value = outcome
            return as_output(value, spec)
        except StubUnfit as error:
            raise Escape(StubUnfit(f"the stub of {ctx.step} {error}")) from error
        except AssertionError as error:
            # What a stub asserts is an assertion of the test, and no failure of the step.
            raise Escape(error) from error

    return body


def _arguments(function: Callable[..., Any], given: Sequence[Any]) -> Sequence[Any]:
    """As many as the function takes by position: the input, the context, or nothing."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return given[:1]
    places = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    if not places and any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return given[:1]
    return given[:places]
