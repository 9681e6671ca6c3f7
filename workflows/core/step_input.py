"""What can be known at publish time about the input that a step's `with` will render to.

A `with` without expressions is checked completely. Otherwise a placeholder takes the place of each expression, and of
the violations only those count that hold whatever the expressions give: unknown and missing keys, and wrong constants.
"""

from typing import Any

from erip.foundation.faults import Fault
from workflows.core.schema import Schema, Violation, place
from workflows.core.templates import Location, Template

#: keywords that check an object by its keys, or a list by its length, whatever is in them
_BY_SHAPE = frozenset(
    {"required", "additionalProperties", "minItems", "maxItems", "minProperties", "maxProperties"}
    | {"dependentRequired", "type", "additionalItems"}
)
#: below these a violation may depend on what a placeholder will be
_CONDITIONAL = frozenset({"anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "contains"})


def check(template: Template | None, schema: Schema, *, at: str) -> list[Fault]:
    """The faults of a step's `with` against the step's input schema; None stands for {}."""
    value: Any = {} if template is None else template.value
    dynamic = [] if template is None else [location for location, _ in template.expressions]
    if () in dynamic:
        return []
    if template is not None and template.constant:
        value = template.render({})
    faults = []
    for violation in schema.violations(_with_placeholders(value, dynamic)):
        if _certain(violation, dynamic):
            faults.append(Fault(place(at, violation.location), violation.message))
    return faults


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
