"""The text of a definition, YAML or JSON, read into plain JSON values, with nothing surprising in between.

YAML is read from its events, in one pass and without recursion: no tags make objects, no alias makes ten lines into a
gigabyte, a key written twice is a fault, `on`, `no` and `yes` are strings (YAML 1.2), and so are dates. What remains is
exactly what JSON can say, so a definition means the same in both.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from erip.foundation import json_values
from erip.foundation.faults import Fault, join
from erip.foundation.json_values import MAX_DEPTH

MAX_BYTES = 256 * 1024
MAX_FAULTS = 50

Media = Literal["yaml", "json"]

_SURROGATE = re.compile("[\ud800-\udfff]")


class SourceInvalid(ValueError):
    """The text cannot be read; `faults` says where and why."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def read(
    source: str | bytes, media: Media, *, kind: str = "a definition", keys: str = "name and steps"
) -> dict[str, Any]:
    """The document that `source` holds; raises SourceInvalid. kind, keys: what messages call it, and say is in it."""
    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else bytes(source)
    if len(data) > MAX_BYTES:
        message = f"{kind} has at most {MAX_BYTES // 1024} KiB, this has {len(data):,} bytes"
        raise SourceInvalid([Fault("", message)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceInvalid([Fault("", f"not UTF-8 text (at byte {error.start})")]) from error
    if "\x00" in text:
        raise SourceInvalid([Fault("", "the text holds a null character")])
    if media not in ("yaml", "json"):
        raise SourceInvalid([Fault("", f"{kind} is yaml or json, not {media}")])
    document = _read_json(text) if media == "json" or _is_json(text) else _Yaml().read(text)
    if not isinstance(document, dict):
        raise SourceInvalid([Fault("", f"{kind} is an object with {keys}")])
    # Documents in YAML were not read by `json_values`, so they are checked here.
    if unfit := json_values.faults(document, deepest=MAX_DEPTH):
        raise SourceInvalid(unfit)
    return document


def _is_json(text: str) -> bool:
    """Whether a YAML text is JSON. YAML contains all of JSON except `\\ud83d\\ude00`: libyaml does not accept a
    character in two halves."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        json_values.look(text)
    except json_values.NotJson:
        return False
    return True


def content_hash(document: dict[str, Any]) -> str:
    """SHA-256 (hex) of the document as canonical JSON: the same for YAML and JSON, and for any order of keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- JSON


def _read_json(text: str) -> Any:
    try:
        return json_values.read(text)
    except json_values.NotAValue as error:
        raise SourceInvalid(error.faults) from error
    except json_values.NotJson as error:
        raise SourceInvalid([Fault("", _where(text) or str(error))]) from error


def _where(text: str) -> str | None:
    """What is wrong with the syntax, with the line and column of it."""
    try:
        json.loads(text, parse_constant=_no_constant, parse_int=str)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except RecursionError:
        return f"nested more than {MAX_DEPTH} deep"
    return None


def _no_constant(name: str) -> Any:
    raise SourceInvalid([Fault("", f"{name} is not a JSON number")])


def _integer(digits: str) -> int:
    # Python has an error of its own for thousands of digits; a number over 64 bits is refused later, with its path.
    return int(digits) if len(digits) < 40 else 2**200


# --- YAML


_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class _Open:
    """A list or object that is being read."""

    value: Any
    path: str
    key: str | None = None
    awaits_key: bool = field(default=True)


class _Yaml:
    """Builds the document from the parser's events."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.open: list[_Open] = []
        self.document: Any = None

    def read(self, text: str) -> Any:
        documents = 0
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise SourceInvalid([Fault("", f"a second document begins {_line(event)}; one is allowed")])
                elif isinstance(event, yaml.NodeEvent):
                    self._node(event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self.open.pop()
        except yaml.YAMLError as error:
            raise SourceInvalid([Fault("", f"not YAML: {_problem(error)}")]) from error
        if self.faults:
            raise SourceInvalid(self.faults)
        return self.document

    def _node(self, event: Any) -> None:
        parent = self.open[-1] if self.open else None
        if parent and isinstance(parent.value, dict) and parent.awaits_key:
            self._key(event, parent)
            return
        path = self._path(parent)
        if isinstance(event, yaml.AliasEvent):
            self._fault(path, f"aliases (*{event.anchor}) are not allowed ({_line(event)}); write the value out")
            self._put(parent, None)
        elif isinstance(event, yaml.ScalarEvent):
            self._put(parent, self._scalar(event, path))
        else:
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
                self._fault(path, f"the tag {event.tag} is not allowed ({_line(event)})")
            self._put(parent, value)
            self._push(value, path)

    def _push(self, value: Any, path: str) -> None:
        self.open.append(_Open(value, path))
        if len(self.open) > MAX_DEPTH:
            raise SourceInvalid([Fault("", f"nested more than {MAX_DEPTH} deep")])

    def _path(self, parent: _Open | None) -> str:
        if parent is None:
            return ""
        return join(parent.path, len(parent.value) if isinstance(parent.value, list) else str(parent.key))

    def _put(self, parent: _Open | None, value: Any) -> None:
        if parent is None:
            self.document = value
        elif isinstance(parent.value, list):
            parent.value.append(value)
        else:
            parent.value[parent.key] = value
            parent.awaits_key = True

    def _key(self, event: Any, parent: _Open) -> None:
        parent.awaits_key = False
        if not isinstance(event, yaml.ScalarEvent):
            self._fault(parent.path, f"keys must be strings ({_line(event)})")
            parent.key = ""
            if isinstance(event, yaml.CollectionStartEvent):
                # Read the key to its end and drop it; its value then takes its place.
                parent.awaits_key = False
                self._push([] if isinstance(event, yaml.SequenceStartEvent) else {}, parent.path)
            return
        key = self._scalar(event, parent.path)
        if not isinstance(key, str):
            self._fault(parent.path, f"keys must be strings: quote {event.value or 'the empty key'} ({_line(event)})")
            key = event.value
        elif key in parent.value:
            self._fault(join(parent.path, key), f"is there twice ({_line(event)})")
        parent.key = key

    def _scalar(self, event: Any, path: str) -> Any:
        text = _joined(str(event.value))
        tag = (event.tag or "").removeprefix("tag:yaml.org,2002:")
        if tag in ("", "!") and event.implicit[0]:
            return _plain(text)
        if tag in ("", "!", "str"):
            return text
        value = _plain(text)
        fits = {
            "int": type(value) is int,
            "float": type(value) in (int, float),
            "bool": type(value) is bool,
            "null": value is None,
        }
        if not fits.get(tag, False):
            self._fault(path, f"the tag {event.tag} is not allowed here ({_line(event)})")
        return float(value) if tag == "float" and type(value) is int else value

    def _fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(path, message))
        if len(self.faults) >= MAX_FAULTS:
            raise SourceInvalid(self.faults)


def _joined(text: str) -> str:
    """Replace each pair of surrogates by its character. A quoted scalar may be written as JSON writes it,
    `\\ud83d\\ude00`, of which the reader of YAML makes two halves. A half that stands alone stays, and is refused like
    any other."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _plain(text: str) -> Any:
    """An unquoted scalar as the core schema of YAML 1.2 reads it."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _DECIMAL.fullmatch(text):
        return _integer(text)
    if _BASED.fullmatch(text):
        return int(text, 0) if len(text) < 80 else 2**200
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return math.nan
    return text


def _line(event: Any) -> str:
    mark = event.start_mark
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    mark = getattr(error, "problem_mark", None)
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else str(problem)
