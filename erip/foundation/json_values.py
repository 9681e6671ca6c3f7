"""What a JSON value is: decided here, for every door through which one comes in and for all that is stored.

Note [Values]
An accepted value reads back equal wherever it was stored: in a text, in PostgreSQL's jsonb, in Python. So a value is
- an object whose keys are all different, a list, a string, a number, true, false or null, at most 64 levels of them;
- a string of any Unicode characters but U+0000, which PostgreSQL cannot keep; half a surrogate pair is no character;
- a whole number of 64 bits, -2**63 to 2**64 - 1, if it is written without a fraction and without an exponent. A longer
  one would be rounded, so it is refused;
- any other number, as a double (IEEE 754): rounded to the nearest one, and refused if there is none (1e400, NaN). The
  minus of a negative zero and the decimal point of a whole number may be lost: they are not part of the value.

jsonb writes 1e22 as `10000000000000000000000`. That is still a double. `load` knows this; Python's json does not, and
makes an integer that neither CEL nor orjson accepts. Therefore everything that ERIP has stored is read by `load` alone.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from erip.foundation.faults import Fault, join

MAX_DEPTH = 64
#: of values that ERIP builds from others: a step's input that contains a run's. The code that writes and checks them
#: handles 200.
MAX_DEPTH_INSIDE = 192
#: of one value, at most
MAX_FAULTS = 50
INTEGERS = range(-(2**63), 2**64)

#: turns every digit into a 0: this finds nineteen digits in a row 20 times faster than a pattern does
_DIGITS = bytes(ord("0") if c in b"0123456789" else c for c in range(256))
_MANY = b"0" * 19
_NO_BRACKETS = bytes(c for c in range(256) if c not in b"[{")
_CONTAINERS = frozenset((dict, list))
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN = 30


class NotJson(ValueError):
    """The text is no JSON at all; the message says why."""


class NotAValue(ValueError):
    """It is JSON, and no value that can be kept; `faults` says where."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def storable(text: str) -> str:
    """The text as a value: U+0000 as its symbol, and half a surrogate pair written out (`\\ud800`)."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "backslashreplace").decode()


def read(text: bytes | str, *, at: str = "", deepest: int = MAX_DEPTH) -> Any:
    """The value in a text from outside. at: the path of it. Raises NotJson, NotAValue."""
    value, found = look(text, at=at, deepest=deepest)
    if found:
        raise NotAValue(found)
    return value


def look(text: bytes | str, *, at: str = "", deepest: int = MAX_DEPTH) -> tuple[Any, list[Fault]]:
    """(the value in a text from outside, what is wrong with it): for callers that add faults of their own. Raises
    NotJson."""
    try:
        body = text.encode() if isinstance(text, str) else text
        value = orjson.loads(body)
    except UnicodeEncodeError as error:
        raise NotJson(f"not JSON: half a surrogate pair at character {error.start}") from error
    except orjson.JSONDecodeError as error:
        raise NotJson(f"not JSON: {error}") from error
    # A good text is recognised without looking at each value; only a suspicious text is examined closely.
    suspicious = (b"\\" in body and b"\\u0000" in body) or _MANY in body.translate(_DIGITS)
    deep = len(body.translate(None, _NO_BRACKETS)) > deepest and _deeper_than(value, deepest)
    if not suspicious and not deep and _quotes(body) == _quotes(orjson.dumps(value)):
        return value, []
    return value, list(islice(_faults_of(body, value, at, deepest), MAX_FAULTS))


def faults(value: Any, *, at: str = "", deepest: int = MAX_DEPTH) -> list[Fault]:
    """What is wrong with a value that was made rather than read, such as one from a YAML definition or a step."""
    return list(islice(_unfit(value, at, deepest), MAX_FAULTS))


def is_sound(value: Any, text: bytes, *, deepest: int = MAX_DEPTH_INSIDE) -> bool:
    """Whether `value`, which orjson wrote as `text`, is a JSON value."""
    quickly = b"\\u0000" not in text and text.count(b"[") + text.count(b"{") <= deepest
    # orjson writes null for NaN and for infinities.
    if quickly and (b"null" not in text or orjson.loads(text) == value):
        return True
    return not faults(value, deepest=deepest)


def load(text: bytes | str) -> Any:
    """A stored value, read back. The text was written by PostgreSQL or by us."""
    return orjson.loads(text)


def dump(value: Any) -> bytes:
    """A value that ERIP made, as the shortest JSON. Raises NotAValue."""
    try:
        text = orjson.dumps(value)
    except (TypeError, ValueError) as error:  # orjson's own error is a TypeError
        raise NotAValue(faults(value, deepest=MAX_DEPTH_INSIDE) or [Fault("", f"no JSON: {error}")]) from error
    if not is_sound(value, text):
        raise NotAValue(faults(value, deepest=MAX_DEPTH_INSIDE))
    return text


# --- looking closely


def _quotes(text: bytes) -> int:
    """The quotes around the strings of a JSON text. A duplicate key shows as one string fewer after reading."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"')


def _deeper_than(value: Any, levels: int) -> bool:
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(levels):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
    return bool(level)


def _faults_of(body: bytes, value: Any, at: str, deepest: int) -> Iterator[Fault]:
    deep = False
    for fault in _unfit(value, at, deepest):
        deep = deep or _DEEP in fault.message
        yield fault
    if deep:
        return  # the reader below is recursive
    # Uses a reader that shows what the fast one hides: long numbers that it rounds, and all but the last of equal keys.
    for keys, found in _walk(json.loads(body, object_pairs_hook=_pairs, parse_int=_integer), deepest):
        if isinstance(found, _Long):
            yield Fault(_path(at, keys), long_number(found.shown))
        for key in getattr(found, "keys_twice", ()):
            yield Fault(_path(at, [*keys, key]), "is there twice")


_DEEP = "is nested deeper than"
Keys = list[str | int]


class _Long:
    """A whole number of more than 64 bits."""

    def __init__(self, digits: str) -> None:
        self.shown = digits if len(digits) <= _SHOWN else f"{digits[: _SHOWN - 3]}..."


class _Twice(dict[str, Any]):
    """An object in which keys are there twice."""

    keys_twice: list[str]


def _integer(digits: str) -> Any:
    # Not int(digits) at once: Python refuses to read very long numbers.
    return _Long(digits) if len(digits) > 20 or int(digits) not in INTEGERS else 0


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    twice = _Twice(pairs)
    counts = Counter(key for key, _ in pairs)
    twice.keys_twice = [key for key, count in counts.items() if count > 1]
    return twice


def _walk(value: Any, deepest: int) -> Iterator[tuple[Keys, Any]]:
    """Each value within `value`, in the order of the text, with the keys that lead to it (always the same list, which
    is changed in place).

    It does not look into deeper nesting. The memory it needs is proportional to the depth of `value`.
    """
    keys: Keys = []
    yield keys, value
    open_: list[Iterator[tuple[Any, Any]]] = [_items(value)] if deepest > 0 else []
    while open_:
        pair = next(open_[-1], None)
        if pair is None:
            open_.pop()
            if keys:
                keys.pop()
            continue
        keys.append(pair[0])
        yield keys, pair[1]
        if isinstance(pair[1], dict | list | tuple) and len(open_) < deepest:
            open_.append(_items(pair[1]))
        else:
            keys.pop()


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return iter(enumerate(value)) if isinstance(value, list | tuple) else iter(())


def _path(at: str, keys: Keys) -> str:
    for key in keys:
        at = join(at, key if isinstance(key, int) else str(key))
    return at


def _unfit(value: Any, at: str, deepest: int) -> Iterator[Fault]:
    for keys, found in _walk(value, deepest):
        kind = type(found)
        if kind is bool or found is None:
            continue
        if kind is str:
            if wrong := wrong_text(found):
                yield Fault(_path(at, keys), wrong)
        elif kind is int:
            if found not in INTEGERS:
                yield Fault(_path(at, keys), long_number(_shown(found)))
        elif kind is float:
            if not math.isfinite(found):
                yield Fault(_path(at, keys), "is not a finite number")
        elif isinstance(found, dict | list | tuple):
            if len(keys) >= deepest:
                yield Fault(_path(at, keys), f"{_DEEP} {deepest} levels")
            elif isinstance(found, dict):
                for key in found:
                    if not isinstance(key, str):
                        yield Fault(_path(at, keys), f"has a key that is no string: {str(key)[:_SHOWN]}")
                    elif wrong := wrong_text(key):
                        yield Fault(_path(at, keys), f"has a key that {wrong}")
        elif isinstance(found, str | int | float):
            continue  # an enum member, which is written as its value
        else:
            yield Fault(_path(at, keys), f"is {kind.__name__}, which JSON does not know")


def wrong_text(text: str) -> str | None:
    """Why a string cannot be kept, or None."""
    if "\x00" in text:
        return "contains the character U+0000, which cannot be stored"
    if not text.isascii() and _SURROGATE.search(text):
        return "contains half a surrogate pair, which is no character"
    return None


def long_number(shown: str) -> str:
    return f"the number {shown} has more than 64 bits; send it as a string"


def _shown(number: int) -> str:
    return str(number) if number.bit_length() < 90 else f"of {number.bit_length():,} digits in binary"
