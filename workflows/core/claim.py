"""A claim: a worker owns one attempt of a step, or of an item, until it reports on it."""

from datetime import datetime
from typing import Any

from erip.foundation.values import value
from workflows.core.machine import NO_ITEM, Snapshot


@value
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

    def log_fields(self) -> dict[str, object]:
        """What the log lines of the step's body say besides."""
        fields: dict[str, object] = {"run_id": self.run_id, "step": self.step, "attempt": self.attempt}
        return fields if self.item == NO_ITEM else {**fields, "item": self.item}

    def following(self, step: str, attempt: int, input: Any) -> "Claim":
        """The claim of the step that the same worker takes next in the same run. It is made for almost every step, and
        `dataclasses.replace` takes three times as long."""
        return Claim(
            self.run_id,
            step,
            self.item,
            attempt,
            input,
            self.version_id,
            self.workflow,
            self.business_key,
            self.lane,
            self.deadline_at,
            self.run_created_at,
        )
