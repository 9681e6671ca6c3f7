"""What checking a value against a JSON Schema may cost, judged before it is checked.

Note [Why schemas are guarded]
A check runs to its end in one call that holds the interpreter's lock, and the schema's author decides how long it
takes: 40 definitions that each refer to the next one twice make 2**40 checks, in 3 KB, whether they stand in `allOf`,
`anyOf`, `oneOf`, `if`, `not`, `dependentSchemas`, or behind `$dynamicRef`. In `items` or `properties` they do so for a
value that is nested 40 deep. `unevaluatedProperties` looks at everything beside it three times. (Measured: 2**20 checks
take 0.1 s, and each further definition doubles that.)

So the checks are counted, not run: `cost_of` counts, for a value at each depth, all ways that lead there through the
schema. A schema that would check a single value MOST_CHECKS times is refused when it is published. What grows with
depth, as it may in a schema that refers to itself, is counted for the value at hand (`Cost.steps`), and refused if it
would take longer than BUDGET. A step takes about 0.1 µs, so a check takes 0.5 s at the very most, and microseconds with
an ordinary schema.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from erip.foundation.faults import Fault, join
from workflows.core.cost import pattern_cost

#: checks of one value, without what is in it
MOST_CHECKS = 5_000
#: characters of a pattern once its counted repetitions are written out
MOST_PATTERN = 1_000
#: places in a schema that a check can reach, and in-place references in a row
MOST_PLACES, LONGEST_CHAIN = 20_000, 100
#: steps of one check, and of one that names each fault: a fault takes 30 µs, and 90 with each branch of an `anyOf`
BUDGET, BUDGET_WITH_FAULTS, BUDGET_WITH_CHOICES = 5_000_000, 30_000, 10_000
#: sizes of patterns times characters that they are matched against: in the worst case 40 ns each
TEXT_BUDGET = 30_000_000

_CONTAINERS = frozenset((dict, list))
#: a count that is as good as infinite
_ENDLESS = 10**12
_DEEPEST = 202
#: additions that judging one schema may take
_MOST_WORK = 500_000
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_MAPS = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_OF_KEYS = ("unevaluatedProperties", "propertyNames")
_OF_ITEMS = ("items", "contains", "unevaluatedItems", "additionalItems")
_LOOKED_INTO = frozenset(
    {*_LISTS, *_SINGLE, *_MAPS, *_REFERENCES, *_OF_KEYS, *_OF_ITEMS, "properties", "patternProperties"}
)

#: these apply to every key, to every item, and to keys that the schema itself does not name
_KEYS, _ITEMS, _REST = "keys", "items", "rest"
#: (the part of the value that it applies to: a key, an index or one of these in a tuple; the place in the schema)
Edge = tuple[Any, int]


@dataclass(frozen=True, slots=True)
class Cost:
    """steps: for one value at each depth; deeper values cost as much as the last. texts: sizes of patterns,
    likewise."""

    steps: tuple[int, ...]
    texts: tuple[int, ...]

    def of(self, value: Any, *, enough: int) -> tuple[int, int, int]:
        """(steps, sizes of patterns times characters, levels) of checking `value`; counting stops at `enough`."""
        steps = texts = depth = 0
        level: list[Any] = [value]
        while level:
            at = min(depth, len(self.steps) - 1)
            steps += self.steps[at] * len(level)
            if self.texts[at]:
                texts += self.texts[at] * sum(len(item) for item in level if type(item) is str)
            if of_keys := self.texts[min(depth + 1, len(self.texts) - 1)]:
                texts += of_keys * sum(len(key) for item in level if type(item) is dict for key in item)
            if steps > enough or texts > TEXT_BUDGET or depth > _DEEPEST:
                break
            level = [
                inner
                for outer in level
                if type(outer) in _CONTAINERS
                for inner in (outer.values() if type(outer) is dict else outer)
            ]
            depth += 1
        return steps, texts, depth

    def is_small_for(self, size: int) -> bool:
        """Whether any value whose JSON has this many bytes is checked quickly."""
        return size // 2 * self.most <= BUDGET and size * max(self.texts) <= TEXT_BUDGET

    @property
    def most(self) -> int:
        return max(self.steps)


def cost_of(document: Any, *, at: str = "") -> tuple[Cost, list[Fault]]:
    """(what a check against this schema costs, why it is refused). The document is known to be nested shallowly."""
    reading = _Reading(document, at)
    try:
        return reading.cost(), reading.faults
    except _TooCostly as error:
        return Cost((_ENDLESS,), (_ENDLESS,)), [*reading.faults, Fault(at, str(error))]


class _TooCostly(Exception):
    pass


@dataclass(slots=True)
class _Place:
    """A subschema, with everything that applies to the same value."""

    #: checks of the value itself, and sizes of the patterns that it is matched against
    steps: int = 1
    texts: int = 0
    #: checks of what is in the value: how often each place is reached
    below: dict[Edge, int] = field(default_factory=dict)
    #: further steps for each value within it, and sizes of patterns for each of its keys
    each: int = 0
    of_keys: int = 0


class _Reading:
    def __init__(self, document: Any, at: str) -> None:
        self.document = document
        self.at = at
        self.faults: list[Fault] = []
        self.work = 0
        self.places: dict[int, _Place] = {}
        self.open: set[int] = set()
        self.schemas: dict[int, Any] = {}
        self.anchors: dict[str, list[Any]] = {}
        #: by place: the nearest schema with an $id, to which references are relative
        self.bases: dict[int, Any] = {}
        self._survey(document)

    def cost(self) -> Cost:
        root = self._place(self.document)
        # New places are found during this loop: a value within a value may reach places not seen before.
        todo = [root]
        seen = {id(self.document)}
        while todo:
            for _, target in list(todo.pop().below):
                if target not in seen:
                    seen.add(target)
                    todo.append(self._place(self.schemas[target]))
                    if len(seen) > MOST_PLACES:
                        raise _TooCostly(f"has more than {MOST_PLACES:,} places that a value can come to")
        if root.steps > MOST_CHECKS or any(self.places[target].steps > MOST_CHECKS for target in seen):
            message = f"checks one value more than {MOST_CHECKS:,} times: references lead to others again and again"
            raise _TooCostly(message)
        return self._by_depth(seen)

    def _worked(self, much: int) -> None:
        self.work += much
        if self.work > _MOST_WORK:
            raise _TooCostly("is too large, or refers to too much, for what it costs to be known")

    # --- what is there

    def _survey(self, document: Any) -> None:
        todo: list[tuple[Any, Any, str]] = [(document, document, self.at)]
        while todo:
            value, base, path = todo.pop()
            if isinstance(value, list):
                todo.extend((item, base, join(path, index)) for index, item in enumerate(value))
                continue
            if not isinstance(value, dict):
                continue
            if isinstance(value.get("$id"), str) and not value["$id"].startswith("#"):
                base = value
            self.bases[id(value)] = base
            for name in ("$anchor", "$dynamicAnchor", "$id", "id"):
                if isinstance(anchor := value.get(name), str):
                    self.anchors.setdefault(anchor.removeprefix("#"), []).append(value)
            if isinstance(pattern := value.get("pattern"), str):
                self._check_pattern(pattern, join(path, "pattern"))
            if isinstance(of_keys := value.get("patternProperties"), dict):
                for key in of_keys:
                    self._check_pattern(key, join(join(path, "patternProperties"), key))
            todo.extend(
                (item, base, join(path, key))
                for key, item in value.items()
                if key not in ("const", "enum", "default", "examples")
            )

    def _check_pattern(self, pattern: str, path: str) -> None:
        size = pattern_cost(pattern)[1]
        if size > MOST_PATTERN:
            message = f"the pattern is too large ({size:,} characters once written out; {MOST_PATTERN:,} are allowed)"
            self.faults.append(Fault(path, f"{message}: use minLength and maxLength"))

    def _targets(self, schema: dict[str, Any], reference: Any, keyword: str) -> list[Any]:
        """What a reference may lead to. If that is nothing, the compiler reports it."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return []
        if reference == "#":
            return [self.bases[id(schema)], self.document] if keyword != "$ref" else [self.bases[id(schema)]]
        if reference.startswith("#/"):
            found = pointed_to(self.bases[id(schema)], reference)
            return [found if found is not None else pointed_to(self.document, reference)]
        return self.anchors.get(reference[1:], [])

    # --- one value

    def _place(self, schema: Any) -> _Place:
        """What applies to a value that is checked by this schema."""
        key = id(schema)
        if (known := self.places.get(key)) is not None:
            return known
        self.schemas[key] = schema
        place = _Place()
        if isinstance(schema, dict):
            if key in self.open:
                raise _TooCostly("refers to itself without going into the value: a circle of references")
            if len(self.open) >= LONGEST_CHAIN:
                raise _TooCostly(f"has more than {LONGEST_CHAIN} references and combinations in a row")
            self.open.add(key)
            self._read(schema, place)
            self.open.discard(key)
        self.places[key] = place
        return place

    def _read(self, schema: dict[str, Any], place: _Place) -> None:
        place.steps += _own_steps(schema)
        place.texts += _own_texts(schema)
        self._read_below(schema, place)
        # To find what is unevaluated, the validator looks once more at everything beside it, and again for each key.
        unevaluated = "unevaluatedProperties" in schema or "unevaluatedItems" in schema
        times = 3 if unevaluated else 1
        for inner in self._in_place(schema):
            other = self._place(inner)
            place.steps = min(place.steps + times * other.steps, _ENDLESS)
            place.texts = min(place.texts + times * other.texts, _ENDLESS)
            place.each = min(place.each + times * other.each, _ENDLESS)
            place.of_keys = min(place.of_keys + times * other.of_keys, _ENDLESS)
            self._worked(len(other.below))
            for edge, count in other.below.items():
                place.below[edge] = min(place.below.get(edge, 0) + times * count, _ENDLESS)
        if unevaluated:
            place.each = min(place.each + place.steps, _ENDLESS)
        if schema.get("uniqueItems") is True:
            place.each += 12
        if place.steps >= _ENDLESS:
            raise _TooCostly("doubles its checks with each reference: it would never come to an end")

    def _in_place(self, schema: dict[str, Any]) -> Iterator[Any]:
        for keyword in _LISTS:
            if isinstance(inner := schema.get(keyword), list):
                yield from inner
        for keyword in _SINGLE:
            if keyword in schema:
                yield schema[keyword]
        for keyword in _MAPS:
            if isinstance(inner := schema.get(keyword), dict):
                yield from (value for value in inner.values() if not isinstance(value, list))
        for keyword in _REFERENCES:
            if keyword in schema:
                yield from (target for target in self._targets(schema, schema[keyword], keyword) if target is not None)

    def _read_below(self, schema: dict[str, Any], place: _Place) -> None:
        names: frozenset[str] = frozenset()
        if isinstance(properties := schema.get("properties"), dict):
            names = frozenset(properties)
            for name, inner in properties.items():
                self._edge(place, name, inner)
        if isinstance(of_keys := schema.get("patternProperties"), dict):
            for pattern, inner in of_keys.items():
                self._edge(place, (_KEYS,), inner)
                place.each += 1
                place.of_keys += _pattern_weight(pattern)
        if "additionalProperties" in schema:
            self._edge(place, (_REST, names), schema["additionalProperties"])
        if isinstance(first := schema.get("prefixItems"), list):
            for index, inner in enumerate(first):
                self._edge(place, index, inner)
        for keyword in (*_OF_KEYS, *_OF_ITEMS):
            inner = schema.get(keyword)
            if isinstance(inner, list):  # `items`, up to 2019-09
                for index, item in enumerate(inner):
                    self._edge(place, index, item)
            elif inner is not None:
                self._edge(place, (_KEYS,) if keyword in _OF_KEYS else (_ITEMS,), inner)

    def _edge(self, place: _Place, label: Any, inner: Any) -> None:
        if inner is True or inner is False or inner == {}:
            place.each = max(place.each, 1)
            return
        self.schemas[id(inner)] = inner
        edge = (label, id(inner))
        place.below[edge] = place.below.get(edge, 0) + 1

    # --- what is in a value

    def _by_depth(self, targets: set[int]) -> Cost:
        """Upper bounds for the steps and texts of one value at each depth, through all ways that lead there."""
        places = {target: self.places[target] for target in targets}
        root = id(self.document)
        rows = {target: _Row(place) for target, place in places.items()}
        work = 1 + sum(len(place.below) for place in places.values())
        steps = {target: place.steps for target, place in places.items()}
        texts = {target: place.texts for target, place in places.items()}
        all_steps, all_texts = [steps[root]], [texts[root]]
        for depth in range(_DEEPEST):
            each = depth == 0
            steps_below = {target: row.most(steps) + each * places[target].each for target, row in rows.items()}
            texts_below = {target: row.most(texts) + each * places[target].of_keys for target, row in rows.items()}
            if (steps_below, texts_below) == (steps, texts):
                break
            steps, texts = steps_below, texts_below
            all_steps.append(max(1, steps[root]))
            all_texts.append(texts[root])
            self.work += work
            if all_steps[-1] >= _ENDLESS:
                break
            if self.work > _MOST_WORK:
                all_steps.append(_ENDLESS)
                break
        return Cost(tuple(all_steps), tuple(all_texts) + (all_texts[-1],) * (len(all_steps) - len(all_texts)))


class _Row:
    """The edges of a place, by the part of the value that they apply to."""

    def __init__(self, place: _Place) -> None:
        self.keys: list[tuple[int, int]] = []
        self.items: list[tuple[int, int]] = []
        self.names: dict[str, list[tuple[int, int]]] = {}
        self.indexes: dict[int, list[tuple[int, int]]] = {}
        self.rest: list[tuple[frozenset[str], int, int]] = []
        for (label, target), count in place.below.items():
            if label == (_KEYS,):
                self.keys.append((target, count))
            elif label == (_ITEMS,):
                self.items.append((target, count))
            elif isinstance(label, tuple):
                self.rest.append((label[1], target, count))
            elif isinstance(label, int):
                self.indexes.setdefault(label, []).append((target, count))
            else:
                self.names.setdefault(label, []).append((target, count))

    def most(self, of: dict[int, int]) -> int:
        """The count for the key or the item to which most applies."""
        best_key = rest = sum(of[target] * count for _, target, count in self.rest)
        for name, edges in self.names.items():
            found = _sum(edges, of)
            if rest:
                found += sum(of[target] * count for names, target, count in self.rest if name not in names)
            best_key = max(best_key, found)
        best_item = max((_sum(edges, of) for edges in self.indexes.values()), default=0)
        return min(max(best_key + _sum(self.keys, of), best_item + _sum(self.items, of)), _ENDLESS)


def _sum(edges: list[tuple[int, int]], of: dict[int, int]) -> int:
    return sum(of[target] * count for target, count in edges)


def _own_steps(schema: dict[str, Any]) -> int:
    steps = sum(1 for key in schema if key not in _LOOKED_INTO)
    if "format" in schema:
        steps += 20  # some are checked by Python
    if isinstance(required := schema.get("required"), list):
        steps += len(required) // 4
    for values in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
        if isinstance(values, list):
            # Texts are looked up; objects, lists and numbers are compared one by one, at about 1 µs for each.
            plain = all(isinstance(value, str) for value in values)
            steps += 1 + len(values) // 50 if plain else 12 * sum(_size(value) for value in values)
    return steps


def _own_texts(schema: dict[str, Any]) -> int:
    texts = int("minLength" in schema or "maxLength" in schema) + 4 * int("format" in schema)
    return texts + (_pattern_weight(schema["pattern"]) if isinstance(schema.get("pattern"), str) else 0)


def _pattern_weight(pattern: str) -> int:
    """Any small pattern becomes a small table; a large one may have to be followed step by step."""
    size = pattern_cost(pattern)[1]
    return 1 if size <= 12 else size


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_size(inner) for inner in value.values())
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def pointed_to(root: Any, reference: str) -> Any:
    """What `#/$defs/a` leads to; None if it leads nowhere."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    value = root
    for part in unquote(reference[2:]).split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and len(key) < 10 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
