"""What a check says, and the checks that there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Status(StrEnum):
    """See Note [Controls] in this package."""

    HOLDS = "holds"
    FAILS = "fails"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """sentence: for a person, without secrets. facts: what was seen, as JSON."""

    status: Status
    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def holds(sentence: str, **facts: Any) -> Result:
    return Result(Status.HOLDS, sentence, facts)


def fails(sentence: str, **facts: Any) -> Result:
    return Result(Status.FAILS, sentence, facts)


def absent(sentence: str, **facts: Any) -> Result:
    return Result(Status.ABSENT, sentence, facts)


def unknown(sentence: str, **facts: Any) -> Result:
    return Result(Status.UNKNOWN, sentence, facts)


Check = Callable[[], Result]
_checks: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a check. It reads and changes nothing, and takes less than a second. What it raises is `unknown`."""

    def register(look: Check) -> Check:
        _checks[name] = look
        return look

    return register


def checks() -> dict[str, Check]:
    """All of them, by name."""
    return dict(sorted(_checks.items()))


def look(name: str) -> Result:
    """Ask one check. Never raises: what could not be looked at is unknown."""
    try:
        return _checks[name]()
    except Exception as error:
        log.warning("control_check_failed", check=name, error=error)
        return unknown(f"It could not be looked at: {type(error).__name__}.")
