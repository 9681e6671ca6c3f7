"""Where a law counts days: a place, and its time zones."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from workflows.core.clocks.zones import zones_of


@dataclass(frozen=True, slots=True)
class Where:
    """place: "" is not known; zones: () is not known."""

    place: str = ""
    zones: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def place(name: str) -> Where:
    return Where(name, zones_of(name))


def places(names: Iterable[str]) -> tuple[Where, ...]:
    return tuple(map(place, dict.fromkeys(names)))
