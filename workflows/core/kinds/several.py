"""`wait: {any: […]}` and `{all: […]}`: for the first, or for every one, of several signals and times.

Note [Several]
What has come so far is the output of the waiting step, and so is written with its row: `{"waits": [{signal, until,
fixed, came}, …], "timeout_at"}`. The row's `due_at` is the next moment of all, so that a ladder of times costs one row
and no timer. When the step ends, its row says so, and whatever had not come is withdrawn with it: the times with
`due_at`, the signals because no step waits for them any more.
A wait for all takes one signal of each name: a second one is for another step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from erip.foundation.faults import Fault
from workflows.core.schema import Schema
from workflows.core.templates import Template

SIGNAL, UNTIL, FIXED, CAME = "signal", "until", "fixed", "came"


@dataclass(frozen=True, slots=True)
class Part:
    """Exactly one of `duration`, `until` and `signal` is given."""

    duration: Template | None = None
    until: Template | None = None
    signal: str | None = None
    schema: Schema | None = None

    def faults(self, payload: Any) -> list[Fault]:
        return self.schema.faults(payload, at="payload") if self.schema else []


@dataclass(frozen=True, slots=True)
class Several:
    """The parts of a wait, and whether all of them must come."""

    parts: tuple[Part, ...]
    every: bool

    @property
    def signals(self) -> tuple[str, ...]:
        return tuple(part.signal for part in self.parts if part.signal is not None)

    def faults(self, signal: str, payload: Any) -> list[Fault]:
        return [fault for part in self.parts if part.signal == signal for fault in part.faults(payload)]

    def begun(self, moments: Sequence[datetime | None], now: datetime, timeout_at: datetime | None) -> "Progress":
        """moments: of each part, if it is a time."""
        waits: list[dict[str, Any]] = [
            {
                SIGNAL: part.signal,
                UNTIL: at.isoformat() if at is not None else None,
                FIXED: part.until is not None,
                CAME: {} if at is not None and at <= now else None,
            }
            for part, at in zip(self.parts, moments, strict=True)
        ]
        return Progress({"waits": waits, "timeout_at": timeout_at.isoformat() if timeout_at else None})

    def ended(self, progress: "Progress") -> bool:
        came = [wait[CAME] is not None for wait in progress.waits]
        return all(came) if self.every else any(came)

    def output(self, progress: "Progress", *, timed_out: bool) -> dict[str, Any]:
        """The output of the step once it has ended."""
        waits = progress.waits
        if self.every:
            results = [None if wait[CAME] is None else {SIGNAL: wait[SIGNAL], **wait[CAME]} for wait in waits]
            return {"results": results, "timed_out": timed_out}
        first = next((index for index, wait in enumerate(waits) if wait[CAME] is not None), None)
        nothing = {"first": first, SIGNAL: None, "payload": None, "by": None, "timed_out": timed_out}
        if first is None:
            return nothing
        return {**nothing, SIGNAL: waits[first][SIGNAL], **waits[first][CAME]}

    def missing(self, progress: "Progress") -> str:
        """What has not come, in words."""
        told = [
            f'the signal "{wait[SIGNAL]}"' if wait[SIGNAL] is not None else f"the moment {wait[UNTIL]}"
            for wait in progress.waits
            if wait[CAME] is None
        ]
        if not self.every:
            return f"the first of {', '.join(told)}" if len(told) > 1 else told[0]
        return ", ".join(told[:-1]) + f" and {told[-1]}" if len(told) > 1 else told[0]


@dataclass(frozen=True, slots=True)
class Progress:
    """What has come so far: see Note [Several]. Never changed: each step of it is a new one."""

    document: Mapping[str, Any]

    @property
    def waits(self) -> list[dict[str, Any]]:
        return list(self.document["waits"])

    @property
    def timeout_at(self) -> datetime | None:
        at = self.document["timeout_at"]
        return datetime.fromisoformat(at) if at is not None else None

    def due_at(self) -> datetime | None:
        """The next moment at which something comes, or the time limit."""
        moments = [datetime.fromisoformat(wait[UNTIL]) for wait in self.waits if wait[UNTIL] and wait[CAME] is None]
        if (timeout_at := self.timeout_at) is not None:
            moments.append(timeout_at)
        return min(moments, default=None)

    def wants(self, signal: str) -> bool:
        return any(wait[SIGNAL] == signal and wait[CAME] is None for wait in self.waits)

    def signalled(self, signal: str, payload: Any, by: str) -> "Progress":
        return self._with(
            [
                {**wait, CAME: {"payload": payload, "by": by}}
                if wait[SIGNAL] == signal and wait[CAME] is None
                else wait
                for wait in self.waits
            ]
        )

    def at(self, now: datetime) -> "Progress":
        """With the times that have come by then."""
        return self._with(
            [
                {**wait, CAME: {}}
                if wait[UNTIL] and wait[CAME] is None and datetime.fromisoformat(wait[UNTIL]) <= now
                else wait
                for wait in self.waits
            ]
        )

    def moved(self, seconds: float) -> "Progress":
        """With all times that count from a beginning so much later; moments of the calendar stay."""
        by = timedelta(seconds=seconds)
        waits = [
            {**wait, UNTIL: (datetime.fromisoformat(wait[UNTIL]) + by).isoformat()}
            if wait[UNTIL] and wait[CAME] is None and not wait[FIXED]
            else wait
            for wait in self.waits
        ]
        timeout_at = self.timeout_at
        return Progress({"waits": waits, "timeout_at": (timeout_at + by).isoformat() if timeout_at else None})

    def _with(self, waits: list[dict[str, Any]]) -> "Progress":
        return Progress({**self.document, "waits": waits})
