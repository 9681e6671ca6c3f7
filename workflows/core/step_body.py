"""What must hold of a function and its settings before they can be a step, and where they are written."""

import inspect
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel, RootModel

from workflows.core.graph import Retry
from workflows.core.structure import did_you_mean

LONGEST_NAME = 200
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Shape:
    """What a function that can be a step takes and returns."""

    input_model: type[BaseModel]
    output_model: type[BaseModel]
    takes_context: bool
    is_async: bool


def place_of(body: object, caller: types.FrameType | None = None) -> str:
    """`file:line` of a function, else of what is run in the frame `caller`.

    The file is relative to the working directory if it stands below it.
    """
    code = getattr(inspect.unwrap(body) if callable(body) else body, "__code__", None)
    if code is not None:
        return place(code.co_filename, code.co_firstlineno)
    return place(caller.f_code.co_filename, caller.f_lineno) if caller else "?"


def place(file: str, line: int) -> str:
    near = os.path.relpath(file)
    return f"{file if near.startswith('..') else near}:{line}"


def setting_faults(settings: Mapping[str, Any], known: Mapping[str, type]) -> Iterator[str]:
    """What is wrong with the arguments of `@step` other than its name.

    settings: as they were given. known: the names there are, with the type of each.
    """
    for name, value in settings.items():
        if name not in known:
            yield f"there is no argument {name}{did_you_mean(name, known)}; there are {', '.join(known)}"
        elif name == "timeout":
            if not _is_number(value) or not 0 < value < math.inf:
                yield f"timeout is a number of seconds above 0, not {_shown(value)}"
        elif name == "retry":
            yield from _retry_faults(value)
        elif not isinstance(value, known[name]):
            yield f"{name} is {_TYPES[known[name]]}, not {_shown(value)}"


_TYPES = {bool: "True or False", str: "a text"}


def name_faults(name: object) -> Iterator[str]:
    if not isinstance(name, str):
        yield f"the name is a text, not {_shown(name)}"
    elif len(name) > LONGEST_NAME:
        yield f"the name has {len(name)} characters; at most {LONGEST_NAME} are allowed"
    elif not _NAME.fullmatch(name):
        yield f'the name {name!r} is not made of letters, digits, _ and -, in parts joined by dots, like "acme.look_up"'


def _retry_faults(retry: object) -> Iterator[str]:
    if retry is None:
        return
    if not isinstance(retry, Retry):
        hint = f": write Retry(max_attempts={retry})" if isinstance(retry, int) and not isinstance(retry, bool) else ""
        yield f"retry is a Retry (workflows.core.graph), not {_shown(retry)}{hint}"
        return
    attempts = retry.max_attempts
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= 100:
        yield f"retry.max_attempts is a whole number from 1 to 100, not {_shown(attempts)}"
    least = {"backoff": 0.0, "max_delay": 0.0, "factor": 1.0}
    for field in fields(Retry):
        value = getattr(retry, field.name)
        if field.name in least and not (_is_number(value) and least[field.name] <= value < math.inf):
            yield f"retry.{field.name} is a number of at least {least[field.name]:g}, not {_shown(value)}"


def body_faults(body: Callable[..., Any], context: type, *, transactional: object) -> list[str] | Shape:
    """What keeps `body` from being a step; else what it takes and returns.

    context: the class that its second parameter gets.
    """
    if isinstance(body, staticmethod | classmethod | type) or not callable(body):
        kind = "a class" if isinstance(body, type) else f"a {type(body).__name__}"
        return [f"a step is a plain function, not {kind}"]
    if not isinstance(inspect.unwrap(body), types.FunctionType):
        return [f"a step is a function that is written with def or async def, not {_shown(body)}"]
    faults: list[str] = []
    if inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        faults.append("a step returns its result once: yield cannot be used in it")
    is_async = inspect.iscoroutinefunction(body)
    if is_async and transactional is True:
        faults.append("a transactional step runs in the transaction that records it: write def, not async def")
    faults += _parameter_faults(body)
    try:
        hints = typing.get_type_hints(body)
    except Exception as error:
        # Whatever an annotation does when it is evaluated.
        faults.append(f"an annotation cannot be evaluated: {type(error).__name__}: {error}; import it at the top")
        return faults
    parameters = list(inspect.signature(body).parameters.values())
    models: list[type[BaseModel] | None] = [None, None]
    if parameters:
        models[0] = _model(hints.get(parameters[0].name), f"the first parameter ({parameters[0].name})", faults)
        if models[0] is not None and issubclass(models[0], RootModel):
            faults.append(f"the input is an object, so {models[0].__name__} cannot be a RootModel")
    models[1] = _model(hints.get("return"), "the result", faults)
    if len(parameters) > 1 and hints.get(parameters[1].name, context) is not context:
        faults.append(f"the second parameter ({parameters[1].name}) gets a {context.__name__}: annotate it so")
    for model, mode in zip(models, ("validation", "serialization"), strict=True):
        if model is not None:
            faults += _schema_faults(model, typing.cast(Any, mode))
    if faults:
        return faults
    assert models[0] is not None
    assert models[1] is not None
    return Shape(models[0], models[1], len(parameters) > 1, is_async)


def _parameter_faults(body: Callable[..., Any]) -> Iterator[str]:
    parameters = list(inspect.signature(body).parameters.values())
    if not parameters:
        yield "it takes no input: write one parameter that is annotated with a pydantic model"
        return
    first = parameters[0]
    # A function of a class body, not one that is local to another function.
    if first.name in ("self", "cls") and first.annotation is inspect.Parameter.empty:
        yield "a step is a plain function, not a method of a class"
    if any(each.kind not in _POSITIONAL for each in parameters[:2]):
        yield "it is called with the input and, if it takes two parameters, the context: write them without * and **"
    needed = [each.name for each in parameters[2:] if each.default is inspect.Parameter.empty]
    if needed:
        yield f"it is called with the input and the context; nothing is given for {', '.join(needed)}"


def _model(hint: Any, what: str, faults: list[str]) -> type[BaseModel] | None:
    if isinstance(hint, type) and issubclass(hint, BaseModel) and hint is not BaseModel:
        return hint
    found = "it has no annotation" if hint is None else f"not {_type_name(hint)}"
    faults.append(f"annotate {what} with a pydantic model ({found})")
    return None


def _schema_faults(model: type[BaseModel], mode: typing.Literal["validation", "serialization"]) -> Iterator[str]:
    """A model without a JSON Schema would break the list of steps and every check of a definition."""
    try:
        model.model_json_schema(mode=mode)
    except Exception as error:
        # pydantic's own errors, and whatever a schema hook of the model raises.
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        yield f"{model.__name__} has no JSON Schema: {first}"


def _is_number(value: object) -> typing.TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type_name(hint: Any) -> str:
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '…'} ({type(value).__name__})"
