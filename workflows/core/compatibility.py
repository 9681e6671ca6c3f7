"""Whether a JSON Schema accepts all that another one accepts: what must hold between two versions of a type.

Note [Compatible schemas]
Events of the former version are still on their way when the next is registered, and their sources are changed later or
never. So the next version must accept whatever the former accepted. We show this from the structure of the schema,
keyword by keyword; what cannot be shown is a fault too, and its message says so. A new property is a fault in an object
that was open: before, that object accepted the property with any value. Close objects (`additionalProperties: false`),
so that they can grow. A schema that needs more is another type, with a name of its own.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import orjson

from erip.foundation.faults import Fault, join
from workflows.core.schema import Schema, SchemaInvalid
from workflows.core.schema_cost import pointed_to

#: keywords that refuse nothing
_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "title", "description", "default", "examples"}
    | {"deprecated", "readOnly", "writeOnly"}
    # what is sealed, and what the register of processing says of it (`core/sensitive`)
    | {"sensitive", "subject", "purpose", "basis"}
)
#: keywords that have a meaning only together: all of them are unchanged, or none is there
_TOGETHER = (("contains", "minContains", "maxContains"), ("if", "then", "else"))
#: keywords that depend on everything beside them
_ON_ALL = ("unevaluatedProperties", "unevaluatedItems")
#: keywords that are compared one by one. All others are compared by their text, and leaving one out accepts more.
_LOOKED_AT = frozenset(
    {"$ref", "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems"}
    | {"items", "prefixItems", "properties", "patternProperties", "additionalProperties", "required"}
    | {"allOf", "anyOf"}
)
_TYPES = frozenset({"null", "boolean", "object", "array", "number", "string"})
_ANY: dict[str, Any] = {}
_MAX_DEPTH = 60
#: pairs of schemas that are compared, at most
_MAX_STEPS = 20_000
MAX_FAULTS = 100


class _TooMuch(Exception):
    pass


def incompatibilities(old: Any, new: Any, *, at: str = "schema") -> list[Fault]:
    """What `new` refuses although `old` accepts it, or may accept it: each with its place in `new`. Both are valid
    schemas."""
    dialects = [schema.get("$schema") if isinstance(schema, dict) else None for schema in (old, new)]
    if dialects[0] != dialects[1]:
        return [Fault(join(at, "$schema"), "is another dialect, in which keywords may mean something else")]
    found: dict[Fault, None] = {}
    try:
        for fault in _Comparison(old, new).compare(old, new, at, 0):
            found[fault] = None
            if len(found) == MAX_FAULTS:
                break
    except _TooMuch:
        found[Fault(at, "is too large, or goes too much in circles, to be compared")] = None
    return list(found)


class _Comparison:
    def __init__(self, old_root: Any, new_root: Any) -> None:
        self.old_root = old_root
        self.new_root = new_root
        self.steps = 0
        dialect = old_root.get("$schema", "") if isinstance(old_root, dict) else ""
        #: up to draft 7, keywords beside a `$ref` are ignored
        self.beside_counts = "draft-0" not in str(dialect)
        #: pairs that are being compared further up: recursive schemas
        self.open: set[tuple[int, int]] = set()

    def compare(self, old: Any, new: Any, at: str, depth: int) -> Iterator[Fault]:
        self.steps += 1
        if depth > _MAX_DEPTH or self.steps > _MAX_STEPS:
            raise _TooMuch
        old, old_rest = self._resolved(old, self.old_root)
        new, new_rest = self._resolved(new, self.new_root)
        if new is None or old is None:
            yield Fault(at, "refers to what cannot be compared")
            return
        if new is True or new == {} or old is False:
            return
        if new is False:
            yield Fault(at, "accepts nothing any more")
            return
        old = _ANY if old is True else old
        pair = (id(old), id(new))
        if pair in self.open:
            return
        self.open.add(pair)
        try:
            for rest in new_rest:  # keywords beside a `$ref` hold too
                yield from self.compare(old, rest, at, depth + 1)
            if old_rest and self.beside_counts:
                old = {**{key: value for rest in old_rest for key, value in rest.items()}, **old}
            yield from self._compare(old, new, at, depth + 1)
        finally:
            self.open.discard(pair)

    def _resolved(self, schema: Any, root: Any) -> tuple[Any, list[dict[str, Any]]]:
        """(what a chain of references leads to, what stood beside them)."""
        beside: list[dict[str, Any]] = []
        for _ in range(20):
            if not isinstance(schema, dict) or "$ref" not in schema:
                return schema, beside
            rest = {key: value for key, value in schema.items() if key != "$ref" and key not in _ANNOTATIONS}
            if rest:
                beside.append(rest)
            schema = pointed_to(root, schema["$ref"])
        return None, beside

    def _compare(self, old: dict[str, Any], new: dict[str, Any], at: str, depth: int) -> Iterator[Fault]:
        values = _values(old)
        if values is not None:
            yield from self._finite(values, new, at)
            return
        types = _types(old)
        yield from _narrower_types(old, types, new, at)
        if "enum" in new or "const" in new:
            yield Fault(join(at, "enum" if "enum" in new else "const"), "accepts these values only, it was any value")
        if "number" in types or "integer" in types:
            yield from _numbers(old, types, new, at)
        for kind, keywords in (("string", "Length"), ("array", "Items"), ("object", "Properties")):
            if kind in types:
                yield from _bounds(old, new, keywords, at)
        if "array" in types:
            yield from self._arrays(old, new, at, depth)
        if "object" in types:
            yield from self._objects(old, new, at, depth)
        yield from self._combined(old, new, at, depth)
        for key in new:
            if key not in _LOOKED_AT and key not in _ANNOTATIONS:
                yield from self._alike(old, new, key, at)
        for group in _TOGETHER:
            if any(key in new for key in group) and any(old.get(key) != new.get(key) for key in group):
                yield Fault(join(at, group[0]), "was changed: it may refuse what was accepted")
        for key in _ON_ALL:
            if key in new and _bare(old) != _bare(new):
                yield Fault(join(at, key), "depends on all that stands beside it, which was changed")

    def _finite(self, values: list[Any], new: dict[str, Any], at: str) -> Iterator[Fault]:
        """Only a few values were accepted, so each is tried."""
        try:
            root = self.new_root if isinstance(self.new_root, dict) else {}
            definitions = {key: root[key] for key in ("$schema", "$defs", "definitions") if key in root}
            schema = Schema.compile({**definitions, **new})
        except SchemaInvalid:
            yield Fault(at, "refers to what cannot be compared: keep what is referred to in $defs")
            return
        for value in values:
            self.steps += 1
            if self.steps > _MAX_STEPS:
                raise _TooMuch
            if not schema.accepts(value):
                yield Fault(at, f"accepts {orjson.dumps(value).decode()[:80]} no more")

    def _arrays(self, old: dict[str, Any], new: dict[str, Any], at: str, depth: int) -> Iterator[Fault]:
        if new.get("uniqueItems") and not old.get("uniqueItems"):
            yield Fault(join(at, "uniqueItems"), "accepts no item twice any more")
        old_first, new_first = old.get("prefixItems", []), new.get("prefixItems", [])
        old_rest, new_rest = old.get("items", True), new.get("items", True)
        if isinstance(old_rest, list) or isinstance(new_rest, list):
            yield from self._alike(old, new, "items", at)
            return
        for index in range(max(len(old_first), len(new_first))):
            before = old_first[index] if index < len(old_first) else old_rest
            after, place = (
                (new_first[index], join(join(at, "prefixItems"), index))
                if index < len(new_first)
                else (new_rest, join(at, "items"))
            )
            yield from self.compare(before, after, place, depth)
        yield from self.compare(old_rest, new_rest, join(at, "items"), depth)

    def _objects(self, old: dict[str, Any], new: dict[str, Any], at: str, depth: int) -> Iterator[Fault]:
        for key in new.get("required", []):
            if key not in old.get("required", []):
                yield Fault(join(join(at, "properties"), key), "is required now, and was not")
        old_patterns: dict[str, Any] = old.get("patternProperties", {})
        if old_patterns != new.get("patternProperties", {}):
            yield Fault(join(at, "patternProperties"), "was changed: what it accepts cannot be compared")
        elif "patternProperties" in new:
            yield from self._alike(old, new, "patternProperties", at)
        before, after = old.get("properties", {}), new.get("properties", {})
        old_rest, new_rest = old.get("additionalProperties", True), new.get("additionalProperties", True)
        for key in [*before, *(key for key in after if key not in before)]:
            place = join(join(at, "properties"), key)
            if key not in after:
                if new_rest is False and before[key] is not False:
                    yield Fault(place, "is not accepted any more")
                else:
                    yield from self.compare(before[key], new_rest, place, depth)
            elif key in before:
                yield from self.compare(before[key], after[key], place, depth)
            elif patterns := [schema for pattern, schema in old_patterns.items() if _may_match(pattern, key)]:
                for schema in patterns:
                    yield from self.compare(schema, after[key], place, depth)
            elif old_rest is True or old_rest == {}:
                if after[key] is not True and not (isinstance(after[key], dict) and after[key].keys() <= _ANNOTATIONS):
                    message = "is new, and was accepted here whatever it was: the object was open"
                    yield Fault(place, f"{message} (additionalProperties)")
            else:
                yield from self.compare(old_rest, after[key], place, depth)
        if new_rest is False and old_rest is not False:
            yield Fault(join(at, "additionalProperties"), "accepts no other keys any more")
        else:
            yield from self.compare(old_rest, new_rest, join(at, "additionalProperties"), depth)

    def _combined(self, old: dict[str, Any], new: dict[str, Any], at: str, depth: int) -> Iterator[Fault]:
        same = self._same_definitions()
        for index, branch in enumerate(new.get("allOf", [])):
            if branch in old.get("allOf", []) and (same or not _refers(branch)):
                continue
            yield from self.compare(old, branch, join(join(at, "allOf"), index), depth)
        branches = new.get("anyOf")
        if branches is None:
            return
        for index, before in enumerate(old.get("anyOf", [{k: v for k, v in old.items() if k != "anyOf"}])):
            tried = [list(self.compare(before, branch, at, depth)) for branch in branches]
            if all(tried):
                what = f"what choice {index} accepted" if "anyOf" in old else "all that was accepted"
                yield Fault(join(at, "anyOf"), f"has no one choice that accepts {what}")

    def _alike(self, old: dict[str, Any], new: dict[str, Any], key: str, at: str) -> Iterator[Fault]:
        """For keywords that are compared by their text alone."""
        if key in old and old[key] == new[key] and (self._same_definitions() or not _refers(new[key])):
            return
        was = "was changed" if key in old else "is new"
        yield Fault(join(at, key), f"{was}: it may refuse what was accepted")

    def _same_definitions(self) -> bool:
        roots = (self.old_root, self.new_root)
        old, new = ([root.get(key) for key in ("$defs", "definitions")] for root in roots if isinstance(root, dict))
        return old == new


def _narrower_types(old: dict[str, Any], types: frozenset[str], new: dict[str, Any], at: str) -> Iterator[Fault]:
    accepted = _types(new)
    for kind in sorted(types):
        if kind not in accepted and not (kind == "integer" and "number" in accepted):
            also = " that is not whole" if kind == "number" and "integer" in accepted else ""
            yield Fault(join(at, "type"), f"accepts no {kind}{also} any more")


def _numbers(old: dict[str, Any], types: frozenset[str], new: dict[str, Any], at: str) -> Iterator[Fault]:
    for keywords, sign in ((("minimum", "exclusiveMinimum"), 1), (("maximum", "exclusiveMaximum"), -1)):
        if any(isinstance(schema.get(keywords[1]), bool) for schema in (old, new)):  # Draft 4
            if [old.get(key) for key in keywords] != [new.get(key) for key in keywords]:
                yield Fault(join(at, keywords[0]), "was changed: it may refuse what was accepted")
            continue
        before, after = _bound(old, keywords, sign), _bound(new, keywords, sign)
        if after is not None and (before is None or after > before):
            key = keywords[0] if keywords[0] in new else keywords[1]
            less = "less" if sign > 0 else "more"
            yield Fault(join(at, key), f"accepts nothing {less} than {new[key]}, and did")
    step, former = new.get("multipleOf"), old.get("multipleOf", 1 if types == {"integer"} else None)
    if step is not None and (former is None or (Fraction(str(former)) / Fraction(str(step))) % 1):
        yield Fault(join(at, "multipleOf"), f"accepts multiples of {step} only")


def _bound(schema: dict[str, Any], keywords: tuple[str, str], sign: int) -> tuple[float, bool] | None:
    """(the bound, whether the bound itself is refused). A larger one is tighter. None: there is no bound."""
    found = [
        (sign * schema[key], exclusive) for key, exclusive in zip(keywords, (False, True), strict=True) if key in schema
    ]
    return max(found) if found else None


def _bounds(old: dict[str, Any], new: dict[str, Any], what: str, at: str) -> Iterator[Fault]:
    least, most = f"min{what}", f"max{what}"
    if new.get(least, 0) > old.get(least, 0):
        yield Fault(join(at, least), f"is {new[least]}, and was {old.get(least, 0)}")
    if most in new and new[most] < old.get(most, float("inf")):
        yield Fault(join(at, most), f"is {new[most]}, and was {old.get(most, 'without limit')}")


def _types(schema: dict[str, Any]) -> frozenset[str]:
    given = schema.get("type")
    if given is None:
        return _TYPES
    return frozenset([given] if isinstance(given, str) else given)


def _values(schema: dict[str, Any]) -> list[Any] | None:
    """The only values that a schema can accept, if it lists them."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    if values is None and schema.get("type") in ("boolean", "null"):
        return [True, False] if schema["type"] == "boolean" else [None]
    return values


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in _ANNOTATIONS}


def _may_match(pattern: str, key: str) -> bool:
    try:
        # We avoid Python's `re`, in which a pattern can run for ever.
        return Schema.compile({"pattern": pattern}).accepts(key)
    except SchemaInvalid:
        return True


def _refers(value: Any) -> bool:
    return b'"$ref"' in orjson.dumps(value) or b'"$dynamicRef"' in orjson.dumps(value)
