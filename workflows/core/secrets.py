"""Secrets in the inputs of steps: where they stand, and how they are put in.

Note [Secrets]
`${{ secrets.name }}` may stand in the `with` of a step that workers run. Rendering leaves such a text as it is written:
what is stored of a step, and all that is read from there, holds the secret's name. The worker puts the value in right
before it calls the body, into a copy that nothing keeps. The places are those of the definition (`Filling`), and a text
with a secret holds no other expression. So a run's data can never name a secret, whatever texts they hold.

What the attempt leaves behind (output, error, traceback, log lines, progress) is searched for the values, and they are
struck out (`erip.foundation.redacting`). A definition without secrets pays for none of this: its steps have no
fillings.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Named:
    """Stands for a secret in a text."""

    name: str


@dataclass(frozen=True, slots=True)
class Filling:
    """A text that gets secrets. location: keys and indexes from the input's root."""

    location: tuple[str | int, ...]
    parts: tuple[str | Named, ...]

    def text(self, values: Mapping[str, str]) -> str:
        return "".join(values[part.name] if isinstance(part, Named) else part for part in self.parts)


def names_of(fillings: Collection[Filling]) -> list[str]:
    """The secrets that are needed, each once."""
    found = (part.name for filling in fillings for part in filling.parts if isinstance(part, Named))
    return list(dict.fromkeys(found))


def fill(input: Any, fillings: Collection[Filling], values: Mapping[str, str]) -> Any:
    """A copy of a rendered input, with the secrets. Raises LookupError if `values` lacks one, or the input does not
    have the form of its template."""
    for filling in fillings:
        input = _with(input, filling.location, filling.text(values))
    return input


def _with(value: Any, location: Sequence[str | int], text: str) -> Any:
    if not location:
        return text
    key = location[0]
    copy = value.copy()
    copy[key] = _with(value[key], location[1:], text)
    return copy


#: gives the values of these secrets for a step of this workflow; raises StepError
Resolve = Callable[[str, Collection[str]], Mapping[str, str]]

_resolve: list[Resolve] = []
_given: ContextVar[Mapping[str, str] | None] = ContextVar("erip_secrets_given", default=None)


def resolved_by(resolve: Resolve) -> Resolve:
    """Decorator: workers ask this function."""
    _resolve[:] = [resolve]
    return resolve


@contextmanager
def given(values: Mapping[str, str]) -> Iterator[None]:
    """For tests: within the block these are the secrets, and nobody else is asked."""
    token = _given.set(values)
    try:
        yield
    finally:
        _given.reset(token)


def resolve(workflow: str, names: Collection[str]) -> Mapping[str, str]:
    """The values of these secrets, for a step of this workflow. Raises LookupError with the names of those that are not
    given, and what the resolver raises."""
    values = _given.get()
    if values is None:
        if not _resolve:
            raise LookupError("this process has no secrets")
        return _resolve[0](workflow, names)
    missing = [name for name in names if name not in values]
    if missing:
        raise LookupError(f"the test gives no secret {', '.join(missing)}")
    return values
