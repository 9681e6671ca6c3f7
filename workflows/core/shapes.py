"""What a JSON Schema rules out about a path into a value, before there is a value.

Note [Ruled out]
A shape is a set of alternatives, of which a value fits one or more; each alternative is a list of schemas that hold
together, free of `$ref`, `allOf`, `anyOf` and `oneOf`. A path is ruled out if every alternative rules it out. Keywords
that we do not look at (`not`, `if`, `dependentSchemas`, patterns of keys) can only rule out more, so leaving them out
never refuses what may be right. The same goes for a schema that is too large to be followed: nothing is then known.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.core.schema_cost import pointed_to

#: schemas that hold together
_Together = tuple[dict[str, Any], ...]

#: alternatives of one shape, and references followed in a row
_MAX_ALTERNATIVES, _MAX_DEPTH = 64, 20
#: schemas looked at for one definition: a definition may hold thousands of paths into a schema of its own
MAX_STEPS = 100_000
#: names that a message lists
_MAX_LISTED = 12

_SPOKEN = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}


class Budget:
    """How many schemas may still be looked at. Once it is spent, nothing more is known."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps


@dataclass(frozen=True)
class Shape:
    """What is known of a value."""

    root: Any
    alternatives: tuple[_Together, ...]
    budget: Budget = field(compare=False)
    _known: dict[str | int, "Shape"] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, schema: Any, budget: Budget) -> "Shape":
        """The shape of the values that a JSON Schema accepts."""
        return cls(schema, _expand(schema, schema, budget, 0), budget)

    def at(self, key: str | int) -> "Shape":
        """The shape of what is below `key`; without alternatives if there can be no such key."""
        if key not in self._known:
            self._known[key] = self._at(key)
        return self._known[key]

    def _at(self, key: str | int) -> "Shape":
        found = [
            one
            for together in self.alternatives
            if (schemas := _below(together, key)) is not None
            for one in _expand({"allOf": schemas}, self.root, self.budget, 0)
        ]
        if len(found) > _MAX_ALTERNATIVES:
            found = [()]
        return Shape(self.root, tuple(found), self.budget)

    def each(self) -> "Shape":
        """The shape of each item of a list."""
        found: list[_Together] = []
        for together in self.alternatives:
            if not _can_be(together, "array"):
                continue
            first = max((len(one.get("prefixItems") or ()) for one in together), default=0)
            for index in range(min(first + 1, _MAX_ALTERNATIVES + 1)):
                schemas = _below(together, index)
                if schemas is not None:
                    found.extend(_expand({"allOf": schemas}, self.root, self.budget, 0))
        if len(found) > _MAX_ALTERNATIVES:
            found = [()]
        return Shape(self.root, tuple(found), self.budget)

    @property
    def possible(self) -> bool:
        """Whether any value fits."""
        return bool(self.alternatives)

    def keys(self) -> list[str]:
        """The keys that an object of this shape is known to have, or may have."""
        return list(dict.fromkeys(key for together in self.alternatives for one in together for key in _names(one)))

    def missing(self, keys: Iterable[str]) -> list[str]:
        """The keys that an object with these keys lacks, whichever alternative it is meant to fit."""
        objects = [together for together in self.alternatives if _can_be(together, "object")]
        if not objects:
            return []
        needed = [{key for one in together for key in _required(one)} for together in objects]
        return sorted(set.intersection(*needed) - set(keys))

    def refusal(self, value: Any) -> str | None:
        """Why a constant cannot fit, judged by its type and by lists of values alone; None if it may."""
        kinds = _kinds_of(value)
        fitting = [together for together in self.alternatives if any(_can_be(together, kind) for kind in kinds)]
        if not fitting:
            known = sorted({kind for together in self.alternatives for kind in _types(together)})
            return f"is {_spoken(kinds[0])}, not {' or '.join(map(_spoken, known))}" if known else None
        if isinstance(value, dict | list):
            return None
        listed = [_listed(together) for together in fitting]
        if any(values is None or any(_same(value, one) for one in values) for values in listed):
            return None
        every = list(dict.fromkeys(repr(one) for values in listed if values for one in values))
        return f"is {value!r}, not one of {', '.join(every[:_MAX_LISTED])}"


def ruled_out(shape: Shape, path: Sequence[str | int]) -> tuple[int, Shape] | None:
    """(index of the first key of `path` that cannot be there, the shape that lacks it); None if all may be there."""
    for index, key in enumerate(path):
        below = shape.at(key)
        if not below.possible:
            # A shape without alternatives itself is one that no value fits: nothing can be said about it.
            return (index, shape) if shape.possible else None
        shape = below
    return None


def has_instead(key: str | int, shape: Shape) -> str:
    """What there is in place of `key`, for the end of a message."""
    known = shape.keys()
    close = difflib.get_close_matches(str(key), known[:500], n=1)
    if close:
        return f' (did you mean "{close[0]}"?)'
    if known:
        return f": it has {', '.join(known[:_MAX_LISTED])}{' and more' if len(known) > _MAX_LISTED else ''}"
    kinds = sorted({kind for together in shape.alternatives for kind in _types(together)})
    return f": it is {' or '.join(map(_spoken, kinds))}" if kinds else ""


def literal(value: Any, open_at: Sequence[Sequence[str | int]] = ()) -> Any:
    """The JSON Schema of exactly the structure of `value`. open_at: places below which anything may stand."""
    if () in [tuple(place) for place in open_at]:
        return {}
    if isinstance(value, dict):
        return {
            "type": "object",
            "properties": {key: literal(item, _inside(open_at, key)) for key, item in value.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        items = [literal(item, _inside(open_at, index)) for index, item in enumerate(value)]
        return {"type": "array", "prefixItems": items, "items": False}
    return {"type": _kinds_of(value)[0]}


def _inside(places: Sequence[Sequence[str | int]], key: str | int) -> list[Sequence[str | int]]:
    return [place[1:] for place in places if place and place[0] == key]


def _expand(schema: Any, root: Any, budget: Budget, depth: int) -> tuple[_Together, ...]:
    budget.left -= 1
    if schema is False:
        return ()
    if not isinstance(schema, dict) or depth > _MAX_DEPTH or budget.left < 0:
        return ((),)
    bare = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
    if "$ref" in schema and isinstance(root, dict) and "draft-0" in str(root.get("$schema", "")):
        bare = {}  # up to draft 7, keywords beside a `$ref` are ignored
        schema = {"$ref": schema["$ref"]}
    found: tuple[_Together, ...] = ((bare,),) if bare else ((),)
    for choice in _choices(schema, root):
        parts = [one for branch in choice for one in _expand(branch, root, budget, depth + 1)]
        if len(parts) * len(found) > _MAX_ALTERNATIVES:
            continue
        found = tuple((*together, *one) for together in found for one in parts)
    return found


def _choices(schema: dict[str, Any], root: Any) -> Iterator[Sequence[Any]]:
    """Each list of schemas of which at least one must hold."""
    if isinstance(reference := schema.get("$ref"), str):
        target = pointed_to(root, reference)
        if target is not None:
            yield [target]
    if isinstance(every := schema.get("allOf"), list):
        for one in every:
            yield [one]
    for key in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(key), list):
            yield branches


def _below(together: _Together, key: str | int) -> list[Any] | None:
    """The schemas of what is below `key`; None if there can be no such key."""
    if not _can_be(together, "object" if isinstance(key, str) else "array"):
        return None
    found: list[Any] = []
    for one in together:
        schema = _property(one, key) if isinstance(key, str) else _item(one, key)
        if schema is False:
            return None
        if schema is not None:
            found.append(schema)
    return found


def _property(schema: dict[str, Any], key: str) -> Any:
    properties = schema.get("properties")
    if isinstance(properties, dict) and key in properties:
        return properties[key]
    return None if "patternProperties" in schema else schema.get("additionalProperties")


def _item(schema: dict[str, Any], index: int) -> Any:
    if isinstance(most := schema.get("maxItems"), int) and index >= most:
        return False
    first, rest = schema.get("prefixItems"), schema.get("items")
    if isinstance(rest, list):  # up to draft 2019-09
        first, rest = rest, schema.get("additionalItems")
    if isinstance(first, list) and index < len(first):
        return first[index]
    return rest


def _names(schema: dict[str, Any]) -> Iterable[str]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else ()


def _required(schema: dict[str, Any]) -> Iterable[str]:
    required = schema.get("required")
    return [key for key in required if isinstance(key, str)] if isinstance(required, list) else ()


def _types(together: _Together) -> set[str]:
    """The types that a value may have; empty: any."""
    found: set[str] | None = None
    for one in together:
        kinds = one.get("type")
        if kinds is None:
            continue
        given = {kinds} if isinstance(kinds, str) else set(kinds) if isinstance(kinds, list) else set()
        found = given if found is None else found & given
    return found or set()


def _can_be(together: _Together, kind: str) -> bool:
    return all(
        kinds is None or kind == kinds or (isinstance(kinds, list) and kind in kinds)
        for kinds in (one.get("type") for one in together)
    )


def _listed(together: _Together) -> list[Any] | None:
    """The only values that fit, if they are listed."""
    for one in together:
        if "const" in one:
            return [one["const"]]
        if isinstance(one.get("enum"), list):
            return list(one["enum"])
    return None


def _kinds_of(value: Any) -> tuple[str, ...]:
    """The types that a JSON value has: 1 is an integer and a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (_JSON_TYPES.get(type(value), "object"),)
    return ("integer", "number") if value == int(value) else ("number",)


def _same(value: Any, other: Any) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _spoken(kind: str) -> str:
    return _SPOKEN.get(kind, kind)
