"""The tables. Only `workflows.store` changes rows of runs and steps."""

from workflows.models.approvals import ApprovalTask
from workflows.models.archive import ArchivedRun, ArchivedRunEvent, ArchivedStepRun, find_run
from workflows.models.batches import BatchRun, RunBatch, RunRetry, retried_as, retry_of
from workflows.models.beats import StepBeat
from workflows.models.chunks import Chunk, SlowVersion
from workflows.models.definitions import WorkflowDefinition, WorkflowVersion
from workflows.models.events import RunEvent
from workflows.models.holds import Hold
from workflows.models.idempotency import IdempotencyKey
from workflows.models.leaders import Leader
from workflows.models.pauses import RunPause
from workflows.models.runs import StepRun, WorkflowRun
from workflows.models.signals import RunSignal
from workflows.models.workers import Worker

__all__ = [
    "ApprovalTask",
    "ArchivedRun",
    "ArchivedRunEvent",
    "ArchivedStepRun",
    "BatchRun",
    "Chunk",
    "Hold",
    "IdempotencyKey",
    "Leader",
    "RunBatch",
    "RunEvent",
    "RunPause",
    "RunRetry",
    "RunSignal",
    "SlowVersion",
    "StepBeat",
    "StepRun",
    "Worker",
    "WorkflowDefinition",
    "WorkflowRun",
    "WorkflowVersion",
    "find_run",
    "retried_as",
    "retry_of",
]
