"""What became of a run in memory. Its text tells the run's story, which is what pytest shows of a failed assertion."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workflows.core.states import RunState, StepState


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened, named as in `GET /api/v1/runs/{id}/events`."""

    at: datetime
    #: seconds since the run's start
    after: float
    type: str
    step: str | None = None
    #: index in a fan-out
    item: int | None = None
    attempt: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        where = (self.step or "") + ("" if self.item is None else f"[{self.item}]")
        attempt = f"attempt {self.attempt}" if self.attempt and self.attempt > 1 else ""
        error = self.detail.get("error") or self.detail
        message = str(error.get("message", "")) if isinstance(error, Mapping) else ""
        parts = (f"+{spell(self.after):<10}", self.type, where, attempt, message)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step, or an item of one, when the run had ended."""

    state: StepState
    #: how often a worker began it
    attempts: int = 0
    #: how many of these failed
    failures: int = 0
    input: Any = None
    output: Any = None
    error: Mapping[str, Any] | None = None
    #: what it still waits for; None if it has ended
    waits_for: str | None = None
    #: of a step with `foreach`
    items: tuple["StepResult", ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A run, once nothing more could happen to it."""

    workflow: str
    #: the run's state; WAITING if it waits for something that does not come
    state: RunState
    output: Any
    error: Mapping[str, Any] | None
    #: every step of the definition, by id; one that never began is PENDING
    steps: Mapping[str, StepResult]
    #: in the order in which it happened
    history: tuple[Entry, ...]
    started_at: datetime
    #: None if the run has not ended
    ended_at: datetime | None
    #: what came from outside and was refused, such as a signal to a run that had ended: (what, why)
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def seconds(self) -> float | None:
        """From the start to the end, on the run's clock; None if it has not ended."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    def happened(self, type: str, step: str | None = None) -> list[Entry]:
        """The entries of the history of this type, such as "step.attempt_failed"; those of one step if it is given."""
        return [one for one in self.history if one.type == type and step in (None, one.step)]

    def expect(self, state: str) -> "Result":
        """The result itself if the run is in this state; else an AssertionError that tells the run's story."""
        __tracebackhide__ = True  # pytest then shows the line of the test
        if self.state != state:
            raise AssertionError(f"the run of {self.workflow} is {self.state}, not {state}\n{self}")
        return self

    def __str__(self) -> str:
        lines = [f"{self.workflow}: {self.state}"]
        if self.error:
            lines[0] += f" ({self.error.get('message', '')})"
        lines += [f"  {entry}" for entry in self.history]
        for id, step in self.steps.items():
            if step.waits_for:
                lines.append(f"  {id} {step.waits_for}")
        lines += [f"  refused: {what}: {why}" for what, why in self.refused]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Result {self}>"


def spell(seconds: float) -> str:
    """Seconds as people write them: 72h, 1m30s, 0.25s."""
    whole, text = round(seconds, 3), ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if size == 86_400 and whole < 4 * size:
            continue  # hours are easier to compare than days and hours
        count, whole = divmod(whole, size)
        if count:
            text += f"{count:.0f}{unit}"
    whole = round(whole, 3)
    return text + (f"{whole:g}s" if whole or not text else "")
