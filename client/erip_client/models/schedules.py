"""Schedules, their moments, and what became of each."""

from datetime import datetime

from .base import Document, Json


class ScheduleStored(Document):
    name: str
    version: int
    changed: bool


class ScheduleVersion(Document):
    version: int
    schedule: Json
    description: str
    deleted: bool
    author: str
    created_at: datetime


class Schedule(Document):
    """problem: why it could not start a run now; None: it could."""

    name: str
    version: int
    schedule: Json
    description: str
    author: str
    created_at: datetime
    next_at: datetime | None
    next_start_at: datetime | None
    paused_at: datetime | None
    paused_by: str
    paused_reason: str
    problem: str | None


class ScheduleDetail(Schedule):
    versions: list[ScheduleVersion]


class Coming(Document):
    """A moment to come: at (UTC), local (on the clock of the schedule's zone), starts_at (with jitter)."""

    at: datetime
    local: datetime
    starts_at: datetime
    planned: datetime


class ScheduledStart(Document):
    """What became of a moment. until: the row stands for all moments up to this one."""

    id: int
    at: datetime
    until: datetime | None
    cause: str
    outcome: str
    reason: str
    run_id: str | None
    by: str
    decided_at: datetime


class BackfillMoment(Document):
    at: datetime
    starts: bool
    known: str | None


class Backfilled(Document):
    """starts: how many runs are started, or would be."""

    dry_run: bool
    starts: int
    items: list[BackfillMoment]
