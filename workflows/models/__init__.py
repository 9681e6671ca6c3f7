"""The tables. Only `workflows.store` changes rows of runs and steps."""

from workflows.models.archive import ArchivedRun, ArchivedRunEvent, ArchivedStepRun, find_run
from workflows.models.definitions import WorkflowDefinition, WorkflowVersion
from workflows.models.events import RunEvent
from workflows.models.idempotency import IdempotencyKey
from workflows.models.pauses import RunPause
from workflows.models.runs import StepRun, WorkflowRun
from workflows.models.signals import RunSignal
from workflows.models.workers import Worker

__all__ = [
    "ArchivedRun",
    "ArchivedRunEvent",
    "ArchivedStepRun",
    "IdempotencyKey",
    "RunEvent",
    "RunPause",
    "RunSignal",
    "StepRun",
    "Worker",
    "WorkflowDefinition",
    "WorkflowRun",
    "WorkflowVersion",
    "find_run",
]
