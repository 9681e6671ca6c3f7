"""Placeholders: `${run}` in a path, a header or a body becomes a value, drawn or kept from an earlier answer.

A string that is nothing but a placeholder becomes the value itself, a number for a number; inside a longer string the
value becomes text. `${{ … }}`, an expression of a definition, is no placeholder.

Note [Values of a session]. A session is a request with what follows it. A name has one value in it, so a later request
can ask for what an earlier one wrote. A kept value is that of the session's own answers; a session that kept none under
this name takes one of the last POOL that others kept.
"""

import re
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import quote

#: values of one name that are remembered, and characters of one
POOL, LONGEST = 1_000, 512

_HOLE: Final = re.compile(r"\$\{(?!\{)([^}]*)\}")

Value = str | int | float | bool


class NothingKept(LookupError):
    """No answer has given a value for this name yet."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where the values of a name come from: a list, a range (whole numbers without decimals), or a new text each."""

    one_of: tuple[Any, ...] = ()
    weights: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    decimals: int = 0
    unique: str | None = None

    def draw(self, random: Random, number: int, call: str) -> Any:
        """number: of the session. call: tells this call of the command from others, whatever the seed."""
        if self.one_of:
            return random.choices(self.one_of, self.weights or None)[0]
        if self.unique is not None:
            return f"{self.unique}{call}-{number}"
        if self.decimals:
            return round(random.uniform(self.low, self.high), self.decimals)
        return random.randint(int(self.low), int(self.high))


class Values:
    """The values of all sessions."""

    def __init__(self, drawn: Mapping[str, Drawn], seed: int) -> None:
        self._drawn, self._seed = drawn, seed
        self._kept: dict[str, deque[Value]] = {}
        # A seed repeats the load. What must be new, such as an idempotency key, must be new in each call.
        self._call = secrets.token_hex(4)

    def session(self, number: int) -> "Session":
        # A generator of its own: what it draws does not depend on whose turn it is.
        return Session(self, number, Random(f"{self._seed}:{number}"))  # noqa: S311  # nosec B311 (a load, not a secret)

    def take(self, name: str, session: int, random: Random) -> Any:
        """Raises NothingKept."""
        if (drawn := self._drawn.get(name)) is not None:
            return drawn.draw(random, session, self._call)
        if pool := self._kept.get(name):
            return pool[random.randrange(len(pool))]
        raise NothingKept(name)

    def keep(self, name: str, value: Value) -> None:
        self._kept.setdefault(name, deque(maxlen=POOL)).append(value)


class Session:
    """Note [Values of a session]."""

    __slots__ = ("_number", "_random", "_taken", "_values")

    def __init__(self, values: Values, number: int, random: Random) -> None:
        self._values, self._number, self._random = values, number, random
        self._taken: dict[str, Any] = {}

    def value(self, name: str) -> Any:
        """Raises NothingKept."""
        if name not in self._taken:
            self._taken[name] = self._values.take(name, self._number, self._random)
        return self._taken[name]

    def keep(self, wanted: Mapping[str, str], answer: Any) -> list[str]:
        """Keep what the answer has at these places; returns the names for which it has nothing."""
        missing = []
        for name, place in wanted.items():
            found = [one for one in values_at(answer, place) if _fit(one)]
            for one in found:
                self._values.keep(name, one)
            if found:
                self._taken[name] = found[-1]
            else:
                missing.append(name)
        return missing


def values_at(document: Any, place: str) -> list[Any]:
    """What a JSON document has at `items.id`. Of a list, what each of its items has there."""
    found = [document]
    for key in place.split("."):
        found = [item for one in found for item in (one if isinstance(one, list) else [one])]
        found = [one[key] for one in found if isinstance(one, dict) and key in one]
    return [item for one in found for item in (one if isinstance(one, list) else [one])]


def _fit(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and 0 < len(value) <= LONGEST)


def names_in(text: str) -> list[str]:
    return _HOLE.findall(text)


def texts(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each string of a JSON value, keys included, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts(item, (*path, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from texts(item, (*path, key))


def keys(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each key of a JSON value, with its place."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from keys(item, (*path, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from keys(item, (*path, key))


def fill_line(text: str, session: Session, *, safe: str = "") -> str:
    """For a path or a header: values are percent-encoded, so none of them is more than one part. Raises NothingKept."""
    return _HOLE.sub(lambda hole: quote(as_text(session.value(hole[1])), safe=safe), text)


def fill_body(value: Any, session: Session) -> Any:
    """A copy with values in the place of placeholders; keys stay. Raises NothingKept."""
    if isinstance(value, str):
        if (whole := _HOLE.fullmatch(value)) is not None:
            return session.value(whole[1])
        return _HOLE.sub(lambda hole: as_text(session.value(hole[1])), value)
    if isinstance(value, list):
        return [fill_body(item, session) for item in value]
    if isinstance(value, dict):
        return {key: fill_body(item, session) for key, item in value.items()}
    return value


def as_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
