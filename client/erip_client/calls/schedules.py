"""Schedules: keep them, look ahead, pause, start now, fill in what was missed."""

from collections.abc import Mapping
from datetime import datetime

from erip_client.models import (
    Backfilled,
    Coming,
    Listing,
    Page,
    Schedule,
    ScheduleDetail,
    ScheduledStart,
    ScheduleStored,
)
from erip_client.models.base import Json

from .base import Call, given, moment, to_json

_ONE = "/api/v1/schedules/{name}"


def list_schedules(*, cursor: str | None = None, limit: int | None = None) -> Call[Page[Schedule]]:
    """A page of schedules, by name."""
    return Call(
        operation="listSchedules",
        method="GET",
        template="/api/v1/schedules",
        query=given(cursor=cursor, limit=limit),
        answers={200: Page[Schedule]},
    )


def get_schedule(name: str) -> Call[ScheduleDetail]:
    """A schedule, and what it said before."""
    return Call(
        operation="getSchedule", method="GET", template=_ONE, path={"name": name}, answers={200: ScheduleDetail}
    )


def put_schedule(name: str, schedule: Mapping[str, Json], *, description: str = "") -> Call[ScheduleStored]:
    """Keep a schedule; a change is its next version."""
    return Call(
        operation="putSchedule",
        method="PUT",
        template=_ONE,
        path={"name": name},
        content=to_json({"schedule": schedule, "description": description}),
        answers={200: ScheduleStored, 201: ScheduleStored},
    )


def delete_schedule(name: str) -> Call[None]:
    """Delete a schedule; what it started goes on."""
    return Call(operation="deleteSchedule", method="DELETE", template=_ONE, path={"name": name}, answers={204: None})


def preview_unstored_schedule(schedule: Mapping[str, Json], *, count: int = 10) -> Call[Listing[Coming]]:
    """Check a schedule that is not stored, and see its next moments."""
    return Call(
        operation="previewUnstoredSchedule",
        method="POST",
        template="/api/v1/schedule-previews",
        content=to_json({"schedule": schedule, "count": count}),
        answers={200: Listing[Coming]},
        safe=True,
    )


def preview_schedule(
    name: str, *, count: int | None = None, after: datetime | str | None = None
) -> Call[Listing[Coming]]:
    """The next moments of a schedule."""
    return Call(
        operation="previewSchedule",
        method="GET",
        template=f"{_ONE}/preview",
        path={"name": name},
        query=given(count=count, after=moment(after)),
        answers={200: Listing[Coming]},
    )


def list_scheduled_starts(
    name: str, *, outcome: str | None = None, cursor: int | str | None = None, limit: int | None = None
) -> Call[Page[ScheduledStart]]:
    """A page of what became of a schedule's moments."""
    return Call(
        operation="listScheduledStarts",
        method="GET",
        template=f"{_ONE}/starts",
        path={"name": name},
        query=given(outcome=outcome, cursor=cursor, limit=limit),
        answers={200: Page[ScheduledStart]},
    )


def pause_schedule(name: str, *, reason: str = "", idempotency_key: str | None = None) -> Call[Schedule]:
    """Have it start nothing until it is resumed."""
    return Call(
        operation="pauseSchedule",
        method="POST",
        template=f"{_ONE}/pause",
        path={"name": name},
        content=to_json({"reason": reason}),
        answers={200: Schedule},
        keyed=True,
        key=idempotency_key,
    )


def resume_schedule(name: str, *, idempotency_key: str | None = None) -> Call[Schedule]:
    """Have it go on."""
    return Call(
        operation="resumeSchedule",
        method="POST",
        template=f"{_ONE}/resume",
        path={"name": name},
        answers={200: Schedule},
        keyed=True,
        key=idempotency_key,
    )


def trigger_schedule(name: str, *, idempotency_key: str | None = None) -> Call[ScheduledStart]:
    """Start a run of it now."""
    return Call(
        operation="triggerSchedule",
        method="POST",
        template=f"{_ONE}/trigger",
        path={"name": name},
        answers={202: ScheduledStart},
        keyed=True,
        key=idempotency_key,
    )


def backfill_schedule(
    name: str,
    begin: datetime | str,
    end: datetime | str,
    *,
    dry_run: bool = True,
    idempotency_key: str | None = None,
) -> Call[Backfilled]:
    """Start the runs of the moments from `begin` to before `end` that started none; dry_run: only say which."""
    return Call(
        operation="backfillSchedule",
        method="POST",
        template=f"{_ONE}/backfill",
        path={"name": name},
        content=to_json({"from": moment(begin), "to": moment(end), "dry_run": dry_run}),
        answers={200: Backfilled, 202: Backfilled},
        keyed=True,
        key=idempotency_key,
    )
