"""Operations on many runs at once."""

from datetime import datetime
from typing import Final, TypedDict

from .base import Document, Json

DONE: Final = "done"


class RunFilter(TypedDict, total=False):
    """Which runs are meant: those for which everything that is given holds. At least one thing must be given."""

    workflow: str
    status: str
    lane: str
    business_key: str
    business_key_prefix: str
    business_key_contains: str
    error_code: str
    failed_step: str
    created_after: datetime | str
    created_before: datetime | str
    ended_after: datetime | str
    ended_before: datetime | str
    retried: bool
    ids: list[str]


class BatchPreview(Document):
    """What an operation would be done to now. Nothing was done."""

    operation: str
    dry_run: bool
    count: int
    by_workflow: dict[str, int]
    by_status: dict[str, int]


class BatchListed(Document):
    """status: working, waiting (it goes on by itself; `waits_for` says when) or done. count: runs."""

    id: str
    operation: str
    status: str
    count: int
    filter: dict[str, Json]
    reason: str
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    waits_for: str | None

    @property
    def done(self) -> bool:
        return self.status == DONE


class Batch(BatchListed):
    """outcomes: how many runs have each outcome; `pending`: none yet."""

    outcomes: dict[str, int]


class BatchRun(Document):
    """What became of a run. result: of a retry, the new run."""

    run: str
    outcome: str
    result: str | None
    detail: str | None
    at: datetime | None
