"""How each control stands, given what its checks say."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from monitoring.controls.catalog import Control, frameworks, mechanisms
from monitoring.controls.results import Status
from monitoring.store.controls import Noted


class Standing(StrEnum):
    """The worst of a control's checks; the first that applies counts."""

    #: a check fails
    FAILS = "fails"
    #: a check could not be looked at
    UNKNOWN = "unknown"
    #: a mechanism is not set up in this installation
    ABSENT = "absent"
    #: all checks hold
    HOLDS = "holds"
    #: there is a mechanism, and no check that would show it
    DESCRIBED = "described"
    #: the platform does nothing about it
    NOT_COVERED = "not_covered"


@dataclass(frozen=True, slots=True)
class Stands:
    """A control, how it stands, and what its checks said."""

    control: Control
    standing: Standing
    checks: tuple[Noted, ...]


def standing_of(control: Control, said: Mapping[str, Noted]) -> Stands:
    """How a control stands. said: by check; one that is not in it was never looked at."""
    if not control.by:
        return Stands(control, Standing.NOT_COVERED, ())
    names = checks_of([control])
    found = tuple(said[name] for name in names if name in said)
    if not names:
        return Stands(control, Standing.DESCRIBED, ())
    statuses = {one.status for one in found} | ({Status.UNKNOWN} if len(found) < len(names) else set())
    for status in (Status.FAILS, Status.UNKNOWN, Status.ABSENT):
        if status in statuses:
            return Stands(control, Standing(str(status)), found)
    return Stands(control, Standing.HOLDS, found)


def all_of(framework: str, said: Mapping[str, Noted]) -> list[Stands]:
    """All controls of a framework, in its order. Raises KeyError."""
    return [standing_of(control, said) for control in frameworks()[framework].controls]


def checks_of(controls: Iterable[Control]) -> list[str]:
    """The checks that these controls rest on, by name."""
    return sorted({name for control in controls for one in control.by for name in mechanisms()[one].checks})


def watched(names: Collection[str]) -> set[str]:
    """The checks that any control of these frameworks rests on. Unknown names are passed over."""
    found = [frameworks()[name] for name in names if name in frameworks()]
    return set(checks_of(control for framework in found for control in framework.controls))
