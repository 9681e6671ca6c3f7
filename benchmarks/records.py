"""What was recorded of a run: plain values, read from the database or from the API."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

RUN_ENDS = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"})
STEP_ENDS = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED", "UNKNOWN"})


@dataclass(frozen=True, slots=True)
class StepRecord:
    step: str
    state: str
    attempt: int
    output: Any
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """From its claim to its recorded outcome; None where it did not run."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class RunRecord:
    id: str
    workflow: str
    state: str
    input: dict[str, Any]
    output: Any
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[StepRecord, ...]

    @property
    def settled(self) -> bool:
        """Whether no part of it is still running, not even a step beside the outcome (a notification)."""
        return self.state in RUN_ENDS and all(step.state in STEP_ENDS for step in self.steps)
