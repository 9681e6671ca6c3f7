"""`sensitive: true` in JSON Schemas: which parts of a value are sealed, and which expressions may read them.

Note [Sensitive data]
A part of an input or output whose schema says `sensitive: true` is sealed before the value reaches PostgreSQL: in its
place stands `{"$sealed": "…"}`, encrypted with a key of the person whom the run is about, or of the run's workflow. So
rows, events, the archive, backups, the API, the admin and the log hold nothing else, and what destroys the key erases
all of them. The input's property with `subject: true` names the person; it is sealed as well.

The machine never opens anything. An expression may hand on a sealed part as it is, and may not look into it; the worker
opens what a step's `with` hands on, right before the body is called, at places that are known when the definition is
published (`Opening`). What stands elsewhere is not opened, whatever it looks like.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from erip.foundation.faults import join
from workflows.core.schema_cost import pointed_to

SEALED: Final = "$sealed"
#: schemas looked at of one document
_MOST: Final = 20_000

Path = Sequence[str | int]


@dataclass(eq=False, slots=True)
class Part:
    """What is known of a value: whether it is sealed as a whole, and what is sealed below it. It may contain itself."""

    whole: bool = False
    #: it names the person whom the run is about
    subject: bool = False
    keys: dict[str, "Part"] = field(default_factory=dict)
    #: under keys that are not named, and in lists
    others: "list[Part]" = field(default_factory=list)
    items: "list[Part]" = field(default_factory=list)
    #: what holds for the same value
    same: "list[Part]" = field(default_factory=list)


#: what holds for one value
Parts = tuple[Part, ...]
NOTHING: Final[Parts] = ()


def parts_of(schema: Any) -> Parts:
    """What of a value of this schema is sealed; () if nothing is."""
    if not isinstance(schema, dict) or not _says_sensitive(schema):
        return NOTHING
    return (_Reader(schema).part(schema),)


def _says_sensitive(schema: Any) -> bool:
    text = orjson.dumps(schema)
    return b'"sensitive":true' in text or b'"subject":true' in text


class _Reader:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.known: dict[int, Part] = {}

    def part(self, schema: Any) -> Part:
        if not isinstance(schema, dict):
            return Part()
        if (found := self.known.get(id(schema))) is not None:
            return found
        if len(self.known) > _MOST:
            return Part(whole=True)  # nobody can say: rather too much is sealed
        part = self.known[id(schema)] = Part()
        part.subject = schema.get("subject") is True
        part.whole = part.subject or schema.get("sensitive") is True
        for key, below in _objects(schema.get("properties")):
            part.keys[key] = self.part(below)
        others = [schema.get("additionalProperties"), schema.get("unevaluatedProperties")]
        others += [below for _, below in _objects(schema.get("patternProperties"))]
        part.others = [self.part(one) for one in others if isinstance(one, dict)]
        items = [schema.get("items"), schema.get("additionalItems"), schema.get("contains")]
        items += [*_list(schema.get("prefixItems")), *_list(schema.get("items"))]
        part.items = [self.part(one) for one in items if isinstance(one, dict)]
        same = [schema.get("then"), schema.get("else"), *(b for _, b in _objects(schema.get("dependentSchemas")))]
        for key in ("allOf", "anyOf", "oneOf"):
            same += _list(schema.get(key))
        if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#"):
            same.append(pointed_to(self.root, reference))
        part.same = [self.part(one) for one in same if isinstance(one, dict)]
        return part


def _objects(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _all(parts: Parts) -> list[Part]:
    """With all that holds for the same value, each once."""
    found: dict[int, Part] = {}
    left = list(parts)
    while left:
        one = left.pop()
        if id(one) not in found:
            found[id(one)] = one
            left += one.same
    return list(found.values())


def below(parts: Parts, key: str | int) -> Parts:
    """What is known of what is below `key`."""
    found: list[Part] = []
    for part in _all(parts):
        if isinstance(key, int):
            found += part.items
        elif key in part.keys:
            found.append(part.keys[key])
        else:
            found += part.others
    return tuple(found)


def is_sealed(parts: Parts) -> bool:
    return any(part.whole for part in _all(parts))


def holds_sealed(parts: Parts) -> bool:
    """Whether it is sealed, or something in it may be."""
    seen: set[int] = set()
    left = list(parts)
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.whole:
            return True
        left += [*one.same, *one.items, *one.others, *one.keys.values()]
    return False


def hides(parts: Parts, location: Path) -> bool:
    """Whether what is there, or something in it, is sealed: no message may quote it."""
    for key in location:
        if is_sealed(parts):
            return True
        parts = below(parts, key)
    return holds_sealed(parts)


def unmarked(old: Parts, new: Parts) -> list[str]:
    """Paths of what `old` says is sealed and `new` does not: `name`, `tags[]`, `deep.*`. "" is the value itself."""
    found: dict[str, None] = {}
    seen: set[tuple[frozenset[int], frozenset[int]]] = set()
    left = [("", old, new)]
    while left:
        at, before, after = left.pop()
        pair = (frozenset(map(id, before)), frozenset(map(id, after)))
        if pair in seen or is_sealed(after):
            continue
        if is_sealed(before) or len(seen) > _MOST:  # the latter: nobody can say
            found[at] = None
            continue
        seen.add(pair)
        named = {key for part in (*_all(before), *_all(after)) for key in part.keys}
        places: list[tuple[str, str | int]] = [(join(at, key), key) for key in sorted(named)]
        places += [(f"{at}.*" if at else "*", _unnamed(named)), (f"{at}[]", 0)]
        left += [(place, below(before, key), below(after, key)) for place, key in places if below(before, key)]
    return sorted(found)


def _unnamed(named: Collection[str]) -> str:
    """A key that is none of these."""
    key = "*"
    while key in named:
        key += "*"
    return key


def astray(parts: Parts, value: Any) -> list[tuple[Path, str]]:
    """Where a value has something in place of what would hold sealed parts, in which no part can be told from another:
    a text in place of an object, for example. Each with what would hold them: "object", "array", or both."""
    found: list[tuple[Path, str]] = []
    known: dict[tuple[int, ...], bool] = {}
    left: list[tuple[tuple[str | int, ...], Parts, Any]] = [((), parts, value)]
    while left:
        at, here, one = left.pop()
        if not here or one is None:
            continue
        ids = tuple(map(id, here))
        if ids not in known:
            known[ids] = holds_sealed(here) and not is_sealed(here)
        if not known[ids]:
            continue
        if isinstance(one, dict):
            left += [((*at, key), below(here, key), item) for key, item in one.items()]
        elif isinstance(one, list):
            left += [((*at, index), below(here, index), item) for index, item in enumerate(one)]
        else:
            every = _all(here)
            in_objects = any(holds_sealed((*part.keys.values(), *part.others)) for part in every)
            in_arrays = any(holds_sealed(tuple(part.items)) for part in every)
            found.append((at, " or ".join(["object"] * in_objects + ["array"] * in_arrays)))
    return found


def change(parts: Parts, value: Any, do: Callable[[Any], Any]) -> Any:
    """A copy of the value with `do` of each sealed part in its place; the value itself if there is none."""
    if not parts:
        return value
    if is_sealed(parts):
        return do(value)
    if isinstance(value, dict):
        return {key: change(below(parts, key), item, do) for key, item in value.items()}
    if isinstance(value, list):
        return [change(below(parts, index), item, do) for index, item in enumerate(value)]
    return value


def subjects(parts: Parts, value: Any) -> list[str]:
    """The persons whom the value is about, as it names them."""
    if not parts:
        return []
    if any(part.subject for part in _all(parts)):
        named = isinstance(value, str | int) and not isinstance(value, bool)
        return [str(value)] if named else []
    found: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            found += subjects(below(parts, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += subjects(below(parts, index), item)
    return list(dict.fromkeys(found))


def is_one(value: Any) -> bool:
    """Whether it has the form of something sealed."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(SEALED), str)


def find(value: Any) -> Iterator[str]:
    """The texts of everything in a value that has the form of something sealed."""
    left = [value]
    while left:
        one = left.pop()
        if is_one(one):
            yield one[SEALED]
        elif isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list):
            left += one


def opened(value: Any, do: Callable[[str], Any]) -> Any:
    """A copy, with `do` of the text of everything in it that has the form of something sealed."""
    if is_one(value):
        return do(value[SEALED])
    if isinstance(value, dict):
        return {key: opened(item, do) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item, do) for item in value]
    return value


def mentions(value: Any) -> bool:
    """Whether a key in it would be taken for something sealed."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if SEALED in one:
                return True
            left += one.values()
        elif isinstance(one, list):
            left += one
    return False


@dataclass(frozen=True, slots=True)
class Opening:
    """A place in a step's input that may hold something sealed. location: keys and indexes from the input's root."""

    location: tuple[str | int, ...]
    parts: Parts


def open_at(value: Any, openings: Sequence[Opening], do: Callable[[str], Any]) -> Any:
    """A copy of a step's input, opened at these places and nowhere else."""
    for opening in openings:
        value = _at(value, opening.location, opening.parts, do)
    return value


def _at(value: Any, location: Path, parts: Parts, do: Callable[[str], Any]) -> Any:
    if not location:
        return change(parts, value, lambda one: do(one[SEALED]) if is_one(one) else one)
    if not isinstance(value, dict | list):
        return value
    copy: Any = value.copy()
    copy[location[0]] = _at(copy[location[0]], location[1:], parts, do)
    return copy


# --- who has the keys

#: gives what seals parts of a run's data, by its workflow and its id
Sealer = Callable[[str, str], Callable[[Any], Any]]
#: gives what opens these texts of a workflow
Opener = Callable[[str, Sequence[str]], Callable[[str], Any]]

_sealer: list[Sealer] = []
_opener: list[Opener] = []


def sealed_by(sealer: Sealer) -> Sealer:
    """Decorator: workers ask this function."""
    _sealer[:] = [sealer]
    return sealer


def opened_by(opener: Opener) -> Opener:
    """Decorator: workers ask this function."""
    _opener[:] = [opener]
    return opener


def seal(parts: Parts, value: Any, workflow: str, run_id: str) -> Any:
    """A copy of a step's output, with its sensitive parts sealed. Where nobody has keys, as in a test without a
    database, it stays as it is."""
    return change(parts, value, _sealer[0](workflow, run_id)) if _sealer and not _plain.get() else value


def open_for_body(value: Any, openings: Sequence[Opening], workflow: str) -> tuple[Any, list[Any]]:
    """(a copy of a step's input, opened at these places; what was opened)."""
    texts: list[str] = []

    def note(text: str) -> Any:
        texts.append(text)
        return None

    open_at(value, openings, note)
    if not texts or not _opener:
        return value, []
    open_ = _opener[0](workflow, texts)
    found: list[Any] = []

    def opened_(text: str) -> Any:
        found.append(open_(text))
        return found[-1]

    return open_at(value, openings, opened_), found


_plain: ContextVar[bool] = ContextVar("erip_sensitive_plain", default=False)


@contextmanager
def plain() -> Iterator[None]:
    """For tests: within the block nothing is sealed."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def texts_in(value: Any) -> Iterator[str]:
    """The texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
