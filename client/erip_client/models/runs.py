"""Runs and their steps. Statuses are texts, not an enum: a later server may have more of them."""

from datetime import datetime
from typing import Final

from .base import Document, Json

SUCCEEDED: Final = "SUCCEEDED"
#: statuses of a run that has ended
RUN_ENDS: Final = frozenset({SUCCEEDED, "FAILED", "CANCELLED", "TIMED_OUT"})
#: statuses of a step that changes no more
STEP_ENDS: Final = frozenset({SUCCEEDED, "FAILED", "CANCELLED", "SKIPPED"})


class _Ending(Document):
    status: str

    @property
    def ended(self) -> bool:
        """Whether the run has ended, well or not."""
        return self.status in RUN_ENDS

    @property
    def succeeded(self) -> bool:
        return self.status == SUCCEEDED


class RunStarted(_Ending):
    """A run that was accepted. existing: an earlier request with this Idempotency-Key started it."""

    id: str
    workflow: str
    version: int
    lane: str
    business_key: str | None
    created_at: datetime
    existing: bool


class RunRetried(RunStarted):
    retry_of: str | None = None


class BulkStarted(Document):
    """ids: in the order of the inputs."""

    count: int
    ids: list[str]


class RunListed(_Ending):
    """A run as lists show it. deadline_at: when it is given up; None: never."""

    id: str
    workflow: str
    version: int
    lane: str
    business_key: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    started_by: str
    error: Json
    retry_of: str | None = None
    retried_as: str | None = None


class ItemCounts(Document):
    total: int
    by_status: dict[str, int]


class _Attempted(Document):
    status: str
    attempt: int
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    input: Json
    output: Json
    error: Json

    @property
    def ended(self) -> bool:
        return self.status in STEP_ENDS


class StepItem(_Attempted):
    """An item of a step with `foreach`. item: its place in the list, from 0."""

    item: int


class Step(_Attempted):
    """A step of a run.

    kind: task, foreach, wait. uses: the registered step that workers run for it. waits_for: one sentence.
    """

    id: str
    item: int | None
    kind: str
    uses: str | None
    needs: list[str]
    essential: bool
    items: ItemCounts | None
    due_at: datetime | None
    waits_for: str | None


class Run(RunListed):
    """A run with its steps, in the order of the definition."""

    input: dict[str, Json]
    output: Json
    steps: list[Step]


class Waits(Document):
    """What a step waits for.

    waits_for: steps, worker, attempt, retry, time, signal, items or person. sentence: all of it. until: when it goes on
    by itself. ahead: of a queue, how many steps are served before it. limit: the limit that holds, in words.
    """

    step: str
    item: int | None
    status: str
    waits_for: str
    sentence: str
    since: datetime | None
    until: datetime | None
    lane: str
    ahead: int | None
    limit: str | None
    worker: str | None


class Explanation(Document):
    """Why a run is where it is. summary: its state and deadline, in words. waits: every step that has not ended."""

    id: str
    status: str
    lane: str
    summary: str
    deadline_at: datetime | None
    waits: list[Waits]


class RunningStep(Document):
    run: str
    workflow: str
    business_key: str | None
    step: str
    item: int | None
    started_at: datetime


class Worker(Document):
    """A worker that has not stopped. heard_at: its last heartbeat; alive: that was within the lease.

    lacks: steps that it leaves to other workers. running: how many steps it runs. steps: the 20 that have run longest.
    """

    name: str
    host: str
    pid: int
    alive: bool
    lanes: list[str]
    started_at: datetime
    heard_at: datetime
    lacks: list[str]
    running: int
    steps: list[RunningStep]


class UnknownStep(Document):
    """A step that waits for a person to say how it ended. worker: which ran it."""

    run: str
    workflow: str
    business_key: str | None
    run_status: str
    lane: str
    step: str
    item: int | None
    uses: str | None
    attempt: int
    worker: str | None
    started_at: datetime | None
    error: Json


class Signalled(Document):
    """status: `given` to the step that waited for it, or `kept` for the first one that will. id: the run's.

    run: if it was waited for, the run, and so what it did of the signal.
    """

    id: str
    status: str
    step: str | None
    run: Run | None


class RunEvent(Document):
    """Something that happened to a run."""

    at: datetime
    type: str
    step: str | None
    item: int | None
    attempt: int | None
    worker: str | None
    detail: Json


class StartedByEvent(Document):
    """Which event started a run. event: None where the log has dropped it. events: the places of all that did."""

    run_id: str
    trigger: str
    position: str
    logged_at: datetime
    event: dict[str, Json] | None
    events: list[str]
