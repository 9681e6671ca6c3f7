"""Who is told of runs and of the attempts of their steps, as spans of a trace. Usually nobody.

An app that sends traces puts its tracer here when a process starts. Without one, an attempt costs one look at a name.
Nothing of it changes what becomes of a run: a tracer never raises.
"""

from datetime import datetime
from typing import Any, Protocol


class Tracer(Protocol):
    """For any thread."""

    def begin(self, run_id: str) -> Any:
        """What an attempt of a step of this run carries with it; None: nothing of this run is wanted."""

    def attempt(self, carried: Any, fields: dict[str, Any], *, error: str, seconds: float) -> None:
        """An attempt has ended just now. fields: what it was. error: the code of its failure; "": it succeeded."""

    def run(self, run_id: str, workflow: str, outcome: str, accepted: datetime, ended: datetime) -> None:
        """The end of a run is recorded."""


#: this process's
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Tell this one from now on; None: nobody."""
    global _tracer
    _tracer = tracer


def tracer() -> Tracer | None:
    return _tracer


def begin(run_id: str) -> Any:
    """What an attempt carries; None: nobody is to be told of it."""
    return _tracer.begin(run_id) if _tracer is not None else None
