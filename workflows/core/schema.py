"""JSON Schema, compiled once. A `$ref` never opens a file or a connection.

The library's own retriever would read `file:///etc/passwd` if a definition's author asked for it. Ours refuses
everything, so only references within the schema (`#/$defs/…`) work. Patterns are run by an engine that is linear in the
text, so that no input can make a pattern run for long.
"""

import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import orjson

from erip.foundation.faults import Fault, first, join
from workflows.core.formats import FORMATS
from workflows.core.schema_cost import BUDGET, BUDGET_WITH_CHOICES, BUDGET_WITH_FAULTS, TEXT_BUDGET, Cost, cost_of
from workflows.core.sensitive import NOTHING, Parts, hides

#: faults reported for one document; a list of 10,000 wrong items need not be reported 10,000 times
MAX_FAULTS = 50
MAX_DEPTH = 200
#: unknown keys of one document for which a near one is looked up
MAX_NEAR = 10

_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


class SchemaInvalid(ValueError):
    """The schema is not one, or refers to what is not in it; `faults` says where."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a value breaks a schema."""

    #: keys and indexes from the value's root; for a missing or unknown key they include that key
    location: tuple[str | int, ...]
    #: the keyword that is broken, such as `required`
    keyword: str
    #: keywords and keys from the schema's root
    schema_path: tuple[str | int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled JSON Schema (2020-12 unless its `$schema` says otherwise)."""

    document: Any
    cost: Cost = field(repr=False, compare=False)
    _validator: Any = field(repr=False, compare=False)
    _has_choices: bool = field(repr=False, compare=False)

    @classmethod
    def compile(cls, document: Any, *, at: str = "") -> "Schema":
        """Compile; raises SchemaInvalid, its faults with paths under `at`."""
        if not isinstance(document, dict | bool):  # a string would be read as the text of a schema
            raise SchemaInvalid([Fault(at, "not a JSON Schema: an object is needed")])
        remote = list(_remote_references(document, at))
        if remote:
            raise SchemaInvalid(remote)
        cost, costly = cost_of(document, at=at)
        if costly:
            raise SchemaInvalid(first(costly, MAX_FAULTS))
        try:
            validator = jsonschema_rs.validator_for(
                document, retriever=_refuse, pattern_options=_PATTERNS, validate_formats=True, formats=FORMATS
            )
        except jsonschema_rs.ValidationError as error:
            path = place(at, error.instance_path)
            raise SchemaInvalid([Fault(path, f"not a JSON Schema: {_tidy(error.message)}")]) from error
        except (ValueError, TypeError) as error:  # nested too deeply, integers out of range, a reference to nowhere
            raise SchemaInvalid([Fault(at, f"not a JSON Schema: {_tidy(str(error))}")]) from error
        return cls(document, cost, validator, _has_choices(document))

    def accepts(self, data: Any, *, size: int | None = None) -> bool:
        """Whether nothing is wrong with `data`, which is plain JSON that is known not to be nested deeply.

        A value whose check would take too long is not accepted (Note [Why schemas are guarded] in `schema_cost`).
        size: bytes of the text that it is part of, if known.
        """
        if size is None or not self.cost.is_small_for(size):
            steps, texts, _ = self.cost.of(data, enough=BUDGET)
            if steps > BUDGET or texts > TEXT_BUDGET:
                return False
        return bool(self._validator.is_valid(data))

    def faults(self, data: Any, *, at: str, sealed: Parts = NOTHING) -> list[Fault]:
        """Everything wrong with `data` (at most 50 faults), in the order of their paths. sealed: what of it is
        sensitive, which no message quotes."""
        found = [_without_value(one, sealed) for one in self.violations(data)]
        unknown = [one for one in found if one.keyword in ("additionalProperties", "unevaluatedProperties")]
        near = {id(one): _near(self.document, one) for one in unknown[:MAX_NEAR]}
        return [Fault(place(at, one.location), one.message + near.get(id(one), "")) for one in found]

    def violations(self, data: Any, *, limit: int = MAX_FAULTS) -> list[Violation]:
        """What is wrong with `data`, at most `limit` things, in the order of their paths."""
        steps, texts, depth = self.cost.of(data, enough=BUDGET)
        if depth > MAX_DEPTH + 1:
            return [Violation((), "depth", (), f"nested more than {MAX_DEPTH} deep")]
        if steps > BUDGET or texts > TEXT_BUDGET:
            return [Violation((), "cost", (), _TOO_COSTLY)]
        try:
            if self._validator.is_valid(data):
                return []
            most = BUDGET_WITH_CHOICES if self._has_choices else BUDGET_WITH_FAULTS
            if steps > most and limit < sys.maxsize:
                return self._first_violation(data, limit)
            # The library makes all errors at once, however many we ask for.
            found: list[Violation] = []
            for error in self._validator.iter_errors(data):
                found.extend(_violations(error, limit))
                if len(found) >= limit:
                    break
        except (ValueError, TypeError) as error:
            return [Violation((), "type", (), f"not plain JSON: {_tidy(str(error))}")]
        del found[limit:]
        return sorted(found, key=lambda violation: [(str(type(key)), key) for key in violation.location])

    def _first_violation(self, data: Any, limit: int) -> list[Violation]:
        """For large data: naming a thousand faults would take longer than finding one."""
        if self._has_choices:
            # Even one fault then consists of the faults of every choice.
            return [Violation((), "more", (), _NOT_NAMED)]
        try:
            self._validator.validate(data)
        except jsonschema_rs.ValidationError as error:
            return [*_violations(error, limit), Violation((), "more", (), _MORE)]
        return []


#: broken keywords whose messages have no value in them
_QUOTES_NOTHING = frozenset({"required", "additionalProperties", "unevaluatedProperties", "depth", "cost", "more"})
_TOO_COSTLY = "is too much, or nested too deeply, for this schema: checking it would take too long"
_MORE = "there may be more faults: of so much data the first is named"
_NOT_NAMED = "does not fit the schema; it is too much for its faults to be named, so check a part of it"


def place(at: str, location: Sequence[str | int]) -> str:
    """The path `location` under `at`: place("input", ["cves", 0]) is `input.cves[0]`."""
    for key in location:
        at = join(at, key)
    return at


def _has_choices(document: Any) -> bool:
    """Whether an error may hold those of each branch of a choice."""
    text = orjson.dumps(document)
    return b'"anyOf"' in text or b'"oneOf"' in text


def _without_value(one: Violation, sealed: Parts) -> Violation:
    if not sealed or one.keyword in _QUOTES_NOTHING or not hides(sealed, one.location):
        return one
    message = f"does not fit `{one.keyword}` of the schema; what it is, is not said: it is sensitive"
    return replace(one, message=message)


def _refuse(uri: str) -> Any:
    raise ValueError(f"schemas are not loaded from elsewhere: {uri}")


def _remote_references(schema: Any, at: str) -> Iterator[Fault]:
    """References to other documents, each with its place. The compiler would name only the first, without its place."""
    todo: list[tuple[Any, str, int]] = [(schema, at, 0)]
    while todo:
        value, path, depth = todo.pop()
        if depth > MAX_DEPTH:
            yield Fault(at, f"nested more than {MAX_DEPTH} deep")
            return
        if isinstance(value, list):
            todo.extend((item, join(path, i), depth + 1) for i, item in enumerate(value))
        elif isinstance(value, dict):
            for key, item in value.items():
                if key in ("const", "enum", "default", "examples"):
                    continue
                if key in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(item, str):
                    if not item.startswith("#"):
                        yield Fault(join(path, key), f"{item!r}: only references within the schema (#/…) work")
                else:
                    todo.append((item, join(path, key), depth + 1))


def _violations(error: Any, limit: int) -> Iterator[Violation]:
    kind, location = error.kind, tuple(error.instance_path)
    keyword, schema_path = str(kind.name), tuple(error.schema_path)
    if keyword == "required":
        yield Violation((*location, str(kind.property)), keyword, schema_path, "is required")
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        for key in islice(kind.unexpected, limit):
            yield Violation((*location, str(key)), keyword, schema_path, "unknown key")
    else:
        yield Violation(location, keyword, schema_path, _tidy(error.message))


def _near(document: Any, unknown: Violation) -> str:
    """` (did you mean "…"?)` for a key that the schema does not know, or nothing if no known key is near."""
    schema = document
    for key in unknown.schema_path[:-1]:
        if isinstance(schema, dict) and key == "$ref":
            schema = _pointed_to(document, schema["$ref"])
        elif isinstance(schema, list) and isinstance(key, int):
            schema = schema[key]
        else:
            schema = schema.get(str(key)) if isinstance(schema, dict) else None
    known = schema.get("properties") if isinstance(schema, dict) else None
    key = str(unknown.location[-1])
    if not isinstance(known, dict) or len(key) > 100:
        return ""
    close = difflib.get_close_matches(key, list(known)[:500], n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _pointed_to(document: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return document if reference == "#" else None
    for part in reference[2:].split("/"):
        part = unquote(part).replace("~1", "/").replace("~0", "~")
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _tidy(message: str) -> str:
    message = message.split("\n")[0].strip()
    return message if len(message) <= 300 else message[:299] + "…"
