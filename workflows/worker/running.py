"""What a worker process runs at this moment, and how that is told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.core.claim import Claim
from workflows.core.graph import Work
from workflows.core.machine import Happening, StepSucceeded
from workflows.store.timings import STEPS
from workflows.worker import traces

if TYPE_CHECKING:
    from workflows.worker.chunks import ChunkAtWork

#: (run id, step, item, attempt)
Key = tuple[str, str, int, int]


@dataclass(eq=False)
class Running:
    """A body that runs. Who takes it out of the worker's `Running`s reports on it."""

    claim: Claim
    work: Work
    began: float
    #: the executor's batch that its claim belongs to
    batch: Any
    #: what it logs
    lines: traces.Lines
    #: the chunk that its run belongs to
    chunk: "ChunkAtWork | None" = None


def key_of(claim: Claim) -> Key:
    return claim.run_id, claim.step, claim.item, claim.attempt


def timed(work: Work, lines: traces.Lines, happening: Happening, seconds: float) -> None:
    """Count an attempt that has ended."""
    succeeded = isinstance(happening, StepSucceeded)
    STEPS.observe((work.uses, "succeeded" if succeeded else "failed"), seconds)
    if lines.span is not None:
        traces.tell(lines, work.uses, happening, seconds)
