"""What happens to a run from outside, and when: signals, cancellations, decisions of people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from workflows.core.durations import parse_duration
from workflows.core.machine import NO_ITEM, Happening, RunCancelled, RunSignalled, Signal, StepAnswered, StepResolved

#: "2h" after the start, seconds after the start, or a moment
When = str | float | datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens to a run."""

    when: When
    #: for the history
    what: str
    happening: Callable[[], Happening]
    signal: Signal | None = None

    def at(self, start: datetime) -> datetime:
        """When it happens to a run that starts at `start`. Raises NotADuration."""
        if isinstance(self.when, datetime):
            return self.when
        return start + timedelta(seconds=parse_duration(self.when))


def signal(name: str, payload: Any = None, *, after: When = 0, by: str = "test") -> Moment:
    """A signal that is sent to the run. payload: any JSON value."""
    sent = Signal(f"{name}@{after}", name, payload, by)
    return Moment(after, f"signal {name}", lambda: RunSignalled(sent), sent)


def cancel(*, after: When = 0, by: str = "test", reason: str = "") -> Moment:
    """Somebody cancels the run."""
    return Moment(after, "cancel", lambda: RunCancelled(by, reason))


def answer(
    step: str, *, approved: bool, after: When = 0, by: Sequence[str] = ("user:test",), form: Any = None
) -> Moment:
    """People decide what an approval step asks them. by: those who voted; form: as each of them filled it in."""
    choice = "approve" if approved else "refuse"
    votes = [
        {"by": one, "on_behalf_of": None, "choice": choice, "roles": [], "comment": "", "form": form} for one in by
    ]
    return Moment(after, f"answer {step}", lambda: StepAnswered(step, approved, votes))


def resolve(
    step: str,
    outcome: str,
    output: Any = None,
    *,
    after: When,
    item: int | None = None,
    by: str = "test",
    note: str = "",
) -> Moment:
    """Somebody says how an UNKNOWN step ended: "succeeded" (with its output), "failed" or "retry"."""
    if outcome not in ("succeeded", "failed", "retry"):
        raise ValueError('outcome must be "succeeded", "failed" or "retry"')
    key = NO_ITEM if item is None else item
    return Moment(after, f"resolve {step}", lambda: StepResolved(step, outcome, output, by, note, key))
