"""An output that a person gives in place of a step's body: checked against the model of what the body returns."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from erip.foundation import json_values
from erip.foundation.faults import MAX_FAULTS, Fault, bounded, join

#: A larger output is refused: a step's output is kept in PostgreSQL and read by the steps after it.
MAX_OUTPUT_BYTES = 1024 * 1024


def conform(model: type[BaseModel], output: Any, *, at: str = "output") -> tuple[Any, list[Fault]]:
    """(what is recorded, every fault with its path under `at`). What is recorded is what the body would have given.

    A field that the model does not have is a fault: whoever gave it would believe that it was recorded.
    """
    try:
        # Both, because outputs are recorded under the names of fields, and people copy recorded outputs.
        made = model.model_validate({} if output is None else output, by_alias=True, by_name=True)
        recorded = made.model_dump(mode="json")
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        faults = [Fault(_path(at, fault["loc"]), str(fault["msg"])) for fault in found]
        named = {name for key, field in model.model_fields.items() for name in (key, field.alias or key)}
        paths = {fault.path for fault in faults}
        if model.model_config.get("extra") != "allow":
            faults += [one for one in _unknown(output, [dict.fromkeys(named)], at) if one.path not in paths]
        return None, faults[:MAX_FAULTS]
    except Exception as error:
        # A validator of the model is anybody's code.
        return None, [Fault(at, f"its model cannot check it: {type(error).__name__}")]
    faults = list(_unknown(output, [recorded, made.model_dump(mode="json", by_alias=True)], at))[:MAX_FAULTS]
    try:
        size = len(json_values.dump(recorded))
    except json_values.NotAValue as error:
        return None, [*faults, Fault(at, f"cannot be recorded: {error}")]
    if size > MAX_OUTPUT_BYTES:
        faults.append(Fault(at, f"has {size:,} bytes; at most {MAX_OUTPUT_BYTES:,} are recorded"))
    return recorded, faults


def _unknown(given: Any, known: list[Any], path: str) -> Iterator[Fault]:
    """Keys that were given and that no dump has."""
    if isinstance(given, dict):
        dumps = [dump for dump in known if isinstance(dump, dict)]
        names = sorted({name for dump in dumps for name in dump})
        for key, value in given.items():
            below = [dump[key] for dump in dumps if key in dump]
            if below:
                yield from _unknown(value, below, join(path, key))
            elif dumps:
                yield Fault(join(path, key), f"is no field of it; it has {', '.join(names[:20]) or 'none'}")
    elif isinstance(given, list):
        lists = [dump for dump in known if isinstance(dump, list)]
        for index, value in enumerate(given):
            below = [dump[index] for dump in lists if index < len(dump)]
            if below:
                yield from _unknown(value, below, join(path, index))


def _path(at: str, place: tuple[int | str, ...]) -> str:
    for part in place:
        at = join(at, part)
    return bounded(at)
