"""What can be known at publish time about the input that a step's `with` will render to.

A `with` without expressions is checked completely. Otherwise a placeholder takes the place of each expression, and of
the violations only those count that hold whatever the expressions give: unknown and missing keys, and wrong constants.
"""

from collections.abc import Iterator
from typing import Any

from erip.foundation.faults import Fault, join
from workflows.core.schema import Schema, Violation, place
from workflows.core.shapes import Shape, has_instead
from workflows.core.templates import Location, Template

#: keywords that check an object by its keys, or a list by its length, whatever is in them
_BY_SHAPE = frozenset(
    {"required", "additionalProperties", "minItems", "maxItems", "minProperties", "maxProperties"}
    | {"dependentRequired", "type", "additionalItems"}
)
#: below these a violation may depend on what a placeholder will be
_CONDITIONAL = frozenset({"anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "contains"})

UNKNOWN_KEY = "unknown key"


def check(template: Template | None, schema: Schema, *, at: str, shape: Shape | None = None) -> list[Fault]:
    """The faults of a step's `with` against the step's input schema; None stands for {}.

    shape: that of the schema, for a closer look at what stands beside expressions inside of choices.
    """
    value: Any = {} if template is None else template.value
    dynamic = [] if template is None else [location for location, _ in template.expressions]
    if () in dynamic:
        return []
    if template is not None and template.constant:
        value = template.render({})
    closer = {} if shape is None else dict(_walk(value, frozenset(dynamic), shape, at, ()))
    faults: dict[str, Fault] = {}
    for violation in schema.violations(_with_placeholders(value, dynamic)):
        path = place(at, violation.location)
        if not _certain(violation, dynamic):
            continue
        if violation.keyword in ("anyOf", "oneOf") and any(
            other.startswith((f"{path}.", f"{path}[")) for other in closer
        ):
            continue  # what is wrong further down says more
        known = closer.get(path)
        faults[path] = known if known and known.message.startswith(UNKNOWN_KEY) else Fault(path, violation.message)
    return [*faults.values(), *(fault for path, fault in closer.items() if path not in faults)]


def _walk(
    value: Any, dynamic: frozenset[Location], shape: Shape, at: str, where: Location
) -> Iterator[tuple[str, Fault]]:
    """What cannot fit, whichever of its choices the schema takes."""
    if where in dynamic:
        return
    if (refusal := shape.refusal(value)) is not None:
        yield at, Fault(at, refusal)
    elif isinstance(value, dict):
        for key in shape.missing(value):
            yield join(at, key), Fault(join(at, key), "is required")
        for key, item in value.items():
            below, path = shape.at(key), join(at, key)
            if below.possible:
                yield from _walk(item, dynamic, below, path, (*where, key))
            else:
                yield path, Fault(path, f"{UNKNOWN_KEY}{has_instead(key, shape)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            below = shape.at(index)
            if below.possible:
                yield from _walk(item, dynamic, below, join(at, index), (*where, index))


def unknown_keys(template: Template | None, shape: Shape) -> list[str]:
    """The keys of a step's `with`, at any depth, that its input schema rules out, whatever the expressions give."""
    if template is None:
        return []
    dynamic = frozenset(location for location, _ in template.expressions)
    found = _walk(template.value, dynamic, shape, "with", ())
    return [path for path, fault in found if fault.message.startswith(UNKNOWN_KEY)]


def _certain(violation: Violation, dynamic: list[Location]) -> bool:
    where = violation.location
    if violation.keyword in ("required", "additionalProperties"):
        where = where[:-1]
    if any(where[: len(location)] == location for location in dynamic):
        # The key itself may be unknown even if its value is an expression: its parent reports that, above.
        return False
    if any(location[: len(where)] == where for location in dynamic):
        return violation.keyword in _BY_SHAPE and _CONDITIONAL.isdisjoint(violation.schema_path)
    return _CONDITIONAL.isdisjoint(violation.schema_path[:-1]) or not dynamic


def _with_placeholders(value: Any, dynamic: list[Location]) -> Any:
    """A copy of `value` with null where an expression stands."""
    if not dynamic:
        return value
    if () in dynamic:
        return None
    below: dict[str | int, list[Location]] = {}
    for location in dynamic:
        below.setdefault(location[0], []).append(location[1:])
    if isinstance(value, dict):
        return {key: _with_placeholders(item, below.get(key, [])) for key, item in value.items()}
    return [_with_placeholders(item, below.get(index, [])) for index, item in enumerate(value)]
