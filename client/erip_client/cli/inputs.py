"""What a command sends: from a file, from standard input, or from `--set key=value`. Every fault at once."""

import copy
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from erip_client.errors import Fault

#: bytes of a file, at most: more than the API takes
MOST: Final = 20 * 1024 * 1024
_NAME = re.compile(r"""^["']?name["']?[ \t]*:[ \t]*["']?([a-z][a-z0-9-]{0,62})["']?[ \t\r]*(?:#.*)?$""", re.MULTILINE)


class BadInput(Exception):
    """What was given cannot be sent; one line for each fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = list(faults)


def read_bytes(name: str) -> bytes:
    """A file's content; `-` is standard input. Raises BadInput."""
    shown = "standard input" if name == "-" else name
    try:
        if name == "-":
            content = sys.stdin.buffer.read(MOST + 1)
        else:
            with Path(name).open("rb") as opened:
                content = opened.read(MOST + 1)
    except OSError as error:
        raise BadInput([Fault(shown, error.strerror or str(error))]) from None
    if len(content) > MOST:
        raise BadInput([Fault(shown, f"has more than {MOST // 2**20} MiB")])
    return content


def read_json(name: str) -> Any:
    """The JSON of a file; `-` is standard input. Raises BadInput."""
    shown = "standard input" if name == "-" else name
    try:
        return json.loads(read_bytes(name).decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise BadInput([Fault(shown, "is not a text in UTF-8")]) from None
    except json.JSONDecodeError as error:
        raise BadInput([Fault(f"{shown}:{error.lineno}:{error.colno}", f"is not JSON: {error.msg}")]) from None
    except RecursionError:
        raise BadInput([Fault(shown, "is nested too deeply")]) from None
    except _NotJson as error:
        raise BadInput([Fault(shown, str(error))]) from None


def read_object(name: str | None, sets: Sequence[str], base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The object in a file, or else `base`, with what `--set` adds or replaces. Raises BadInput with every fault."""
    found: Any = copy.deepcopy(dict(base or {})) if name is None else read_json(name)
    if not isinstance(found, dict):
        raise BadInput([Fault("standard input" if name == "-" else str(name), "must hold a JSON object")])
    faults: list[Fault] = []
    seen: set[str] = set()
    for assignment in sets:
        path, equals, text = assignment.partition("=")
        keys = path.split(".")
        if not equals or not all(keys):
            faults.append(Fault(f"--set {assignment}", "must be key=value, or key.inner=value"))
        elif path in seen:
            faults.append(Fault(f"--set {path}", "is there twice"))
        else:
            try:
                fault = _put(found, keys, _value(text))
            except _NotJson as error:
                fault = str(error)
            faults += [Fault(f"--set {path}", fault)] if fault else []
        seen.add(path)
    if faults:
        raise BadInput(faults)
    return found


def name_of_definition(file: str, content: bytes) -> str:
    """What a definition calls itself. The server compares it with the address. Raises BadInput."""
    text = content.decode("utf-8", "replace")
    try:
        found = json.loads(text)
        name = found.get("name") if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        matched = _NAME.search(text)
        name = matched[1] if matched else None
    if not isinstance(name, str) or not name:
        raise BadInput([Fault(file, "has no line `name: …`; say --name")])
    return name


def _put(found: dict[str, Any], keys: Sequence[str], value: Any) -> str | None:
    """Sets the value at its place. Returns a fault."""
    place = found
    for depth, key in enumerate(keys[:-1], 1):
        inner = place.setdefault(key, {})
        if not isinstance(inner, dict):
            return f"{'.'.join(keys[:depth])} is no object, so nothing can be set inside it"
        place = inner
    place[keys[-1]] = value
    return None


def _value(text: str) -> Any:
    """JSON if it is any, and otherwise the text: 7, true, null, ["a"], "7", acme. Raises _NotJson for a key twice."""
    if text in ("NaN", "Infinity", "-Infinity"):
        return text
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


class _NotJson(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotJson(f"has the key {twice!r} twice in one object")
    return made


def _refuse(constant: str) -> Any:
    raise _NotJson(f"{constant} is no number of JSON")
