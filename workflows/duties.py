"""What other apps have the leader do: functions that are called in each of its rounds."""

from collections.abc import Callable
from typing import TypeVar

Duty = TypeVar("Duty", bound=Callable[[], object])

_duties: list[Callable[[], object]] = []


def leader_duty(duty: Duty) -> Duty:
    """Have the leader call this several times a second. It decides itself whether there is anything to do by now."""
    _duties.append(duty)
    return duty


def duties() -> tuple[Callable[[], object], ...]:
    return tuple(_duties)
