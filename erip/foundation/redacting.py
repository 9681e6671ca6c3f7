"""Strikes values that must not be seen out of texts and JSON.

Note [Struck out]
A value is found as it is, and as it commonly gets into other texts: escaped as in JSON, Python, XML and URLs, in
hexadecimal, and in base64 at each of the three alignments that it may have inside a longer text (`user:password`). A
value of several lines is also found line by line. What a program does to a value beyond that (encrypting it, packing
it, cutting it up, encoding it twice) is not recognised. A value of fewer than SHORTEST characters cannot be struck out
without striking out half of what is innocent: whoever takes secrets refuses it.

`remember` keeps the values of this process, at most REMEMBERED of them, so that log lines of any thread are searched
for them, long after the work that they were read for. A process that remembers none pays nothing.
"""

import base64
import html
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

from cachetools import LRUCache

MARK: Final = "***"
#: characters
SHORTEST: Final = 8
#: a line of a value of several lines that is shorter is not searched for by itself
SHORTEST_LINE: Final = 16
REMEMBERED: Final = 64


class Struck:
    """Values, in every form that they are searched for."""

    __slots__ = ("_forms",)

    def __init__(self, values: Iterable[str]) -> None:
        found = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        # The longest first, or what one form leaves of another would stay.
        self._forms = sorted(found, key=len, reverse=True)

    def occurs(self, text: str) -> bool:
        return any(form in text for form in self._forms)

    def text(self, text: str) -> str:
        """The text, with MARK in place of each value."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MARK)
        return text

    def json(self, value: Any) -> Any:
        """A copy of a JSON value, its keys and numbers searched as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self.occurs(str(value)):
            return MARK
        return value


def _forms(value: str) -> Iterator[str]:
    lines = value.splitlines()
    for text in {value, value.strip(), *(line for line in lines if len(lines) > 1 and len(line) >= SHORTEST_LINE)}:
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield repr(text)[1:-1]
        yield html.escape(text)
        data = text.encode("utf-8", "surrogatepass")
        yield from (quote(data, safe=""), quote(data), quote_plus(data))
        yield from (quote(data, safe="").lower(), data.hex(), data.hex().upper())
        for alignment in range(3):
            encoded = _in_base64(data, alignment)
            yield encoded
            yield encoded.replace("+", "-").replace("/", "_")


def _in_base64(data: bytes, alignment: int) -> str:
    """The characters that stand for `data` alone, when `alignment` bytes (modulo 3) come before it and anything may
    come after it."""
    text = base64.b64encode(bytes(alignment) + data).decode().rstrip("=")
    last = 1 if (len(data) + alignment) % 3 else 0
    return text[(0, 2, 3)[alignment] : len(text) - last]


_remembered: LRUCache[str, None] = LRUCache(maxsize=REMEMBERED)
_all: Struck | None = None
_lock = threading.Lock()


def remember(values: Iterable[str]) -> Struck:
    """Strike these out of everything that this process logs from now on. Returns those alone."""
    global _all
    own = list(dict.fromkeys(values))
    with _lock:
        new = [value for value in own if value not in _remembered]
        for value in own:
            _remembered[value] = None
        if new:
            _all = Struck(list(_remembered))
    return Struck(own)


def strike(text: str) -> str:
    """The text, without any value that this process remembers."""
    return text if _all is None else _all.text(text)
