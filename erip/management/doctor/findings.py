"""What a check found. A check is a function that yields findings; one that cannot look yields UNKNOWN, which is neither
well nor wrong, and one that fails itself does not keep the others from looking.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import structlog

from erip.foundation.db.failures import said

log = structlog.get_logger(__name__)


class State(StrEnum):
    WELL = "well"
    #: it works, and something will hurt later or elsewhere
    WARNING = "warning"
    #: something does not work, or data is in danger
    PROBLEM = "problem"
    #: it could not be looked at
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """about: what was looked at. says: what was seen. do: what to do; empty if nothing is to be done."""

    about: str
    state: State
    says: str
    do: str = ""


Check = Callable[[], Iterator[Finding]]


def well(about: str, says: str) -> Finding:
    return Finding(about, State.WELL, says)


def warning(about: str, says: str, do: str) -> Finding:
    return Finding(about, State.WARNING, says, do)


def problem(about: str, says: str, do: str) -> Finding:
    return Finding(about, State.PROBLEM, says, do)


def unknown(about: str, says: str, do: str = "") -> Finding:
    return Finding(about, State.UNKNOWN, says, do)


def look(about: str, check: Check) -> list[Finding]:
    """What the check found, and how it ended if it could not go on."""
    found: list[Finding] = []
    began = time.monotonic()
    try:
        found.extend(check())
    except Exception as error:  # whatever is broken is what the doctor was called for
        log.debug("doctor_could_not_look", about=about, error=type(error).__name__)
        found.append(
            unknown(about, f"could not be looked at after {time.monotonic() - began:.1f} s: {said(error)}"[:400])
        )
    return found


def exit_status(found: list[Finding]) -> int:
    """0: nothing is wrong. 1: there are problems. 2: there are none, but something could not be looked at."""
    states = {one.state for one in found}
    return 1 if State.PROBLEM in states else 2 if State.UNKNOWN in states else 0
