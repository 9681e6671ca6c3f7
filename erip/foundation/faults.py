"""One thing that is wrong with a document, and where.

Note [Short paths]
The sender of a document chooses its keys: a key of 4,000 characters, in the path of each of 250,000 faults, is a
gigabyte. So a key is shortened where it becomes part of a path, a path has a length that it does not exceed, it is made
only for what is really wrong, and faults are counted while they are collected, not afterwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

#: characters of a key, and of a path
MAX_KEY, MAX_PATH = 80, 400
#: faults in one answer
MAX_FAULTS = 100


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A fault in a definition, an input or a request body.

    path: where it is, written as a reader would (`steps.assess.needs[0]`, `input.cves[0]`); "" is the whole document.
    message: what is wrong and, where it can be said, what to do instead.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def join(path: str, key: str | int) -> str:
    """`path` one level down: join("steps", "a") is `steps.a`, join("needs", 0) is `needs[0]`.

    Long keys are shortened, and what would make the path too long is left out.
    """
    if isinstance(key, int):
        return bounded(f"{path}[{key}]")
    if len(key) > MAX_KEY:
        key = f"{key[: MAX_KEY - 1]}…"
    if not _plain(key):
        return bounded(f"{path}[{key!r}]")
    return bounded(f"{path}.{key}" if path else key)


def _plain(key: str) -> bool:
    return key.replace("-", "_").replace("$", "_").isidentifier()


def bounded(path: str) -> str:
    """The beginning, where one starts to look, and the end, which is what is wrong."""
    if len(path) <= MAX_PATH:
        return path
    return f"{path[: MAX_PATH // 2]}…{path[-(MAX_PATH // 2 - 1) :]}"


def first(faults: Iterable[Any], most: int = MAX_FAULTS) -> list[Fault]:
    """The first ones up to a limit, and how many more there are if that is known; a lazy sequence is not read to its
    end."""
    if isinstance(faults, list):
        if len(faults) <= most:
            return faults
        return [*faults[:most], Fault("", f"and {len(faults) - most:,} more")]
    found = list(islice(faults, most + 1))
    return found if len(found) <= most else [*found[:most], Fault("", "and more")]
