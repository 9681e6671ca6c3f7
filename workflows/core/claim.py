"""A claim: a worker owns one attempt of a step, or of an item, until it reports on it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workflows.core.machine import Snapshot


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that this worker owns until it reports on `attempt`."""

    run_id: str
    step: str
    item: int
    attempt: int
    input: Any
    version_id: int
    workflow: str
    business_key: str | None
    lane: str
    deadline_at: datetime | None
    run_created_at: datetime
    #: the run right after this claim, if the claimant knows it
    snapshot: Snapshot | None = None
