"""The on-call plan of this site, its overrides, and the secret addresses of its calendars."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from monitoring.core.ladders import Roster
from monitoring.core.oncall import BadPlan, Override, Plan, read_plan
from monitoring.models import OnCallCalendar, OnCallOverride, OnCallPlan
from monitoring.store.channels import Channel


def read_roster(now: datetime) -> tuple[Roster, Mapping[str, Channel]]:
    """Who can be called, and over what, in one statement. A plan that this release cannot read calls nobody."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT document::text FROM monitoring_oncallplan WHERE id = 1),
                (SELECT json_agg(o)::text FROM (SELECT id, rotation, person, extract(epoch FROM starts_at)::float8,
                    extract(epoch FROM ends_at)::float8 FROM monitoring_oncalloverride WHERE ends_at > %s) o
                    (id, rotation, person, starts, ends)),
                (SELECT json_agg(c)::text FROM monitoring_alertchannel c)
            """,
            [now],
        )
        plan, overrides, channels = cursor.fetchone()
    known = {row["name"]: Channel(**row) for row in json.loads(channels or "[]")}
    listed = [
        Override(row["id"], row["rotation"], row["person"], _moment(row["starts"]), _moment(row["ends"]))
        for row in json.loads(overrides or "[]")
    ]
    return Roster(_plan(plan), listed, frozenset(known)), known


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _plan(text: str | None) -> Plan:
    try:
        return read_plan(json.loads(text)) if text is not None else Plan()
    except BadPlan:
        return Plan()


def on_call_plan() -> dict[str, Any] | None:
    """The plan as it was put: `document`, `changed_at`, `changed_by`; None: there is none."""
    row = OnCallPlan.objects.filter(id=1).values().first()
    return {**row} if row is not None else None


def put_plan(document: Mapping[str, Any], *, by: str) -> bool:
    """Returns whether there was none."""
    values: dict[str, Any] = {"document": dict(document), "changed_at": Now(), "changed_by": by}
    return OnCallPlan.objects.update_or_create(id=1, defaults=values)[1]


def overrides(*, most: int = 500) -> list[dict[str, Any]]:
    """Those that have not ended, the earliest first."""
    return [
        {**row} for row in OnCallOverride.objects.filter(ends_at__gt=Now()).order_by("starts_at", "id").values()[:most]
    ]


def add_override(
    *, rotation: str, person: str, starts: datetime, ends: datetime, reason: str, by: str
) -> dict[str, Any]:
    made = OnCallOverride.objects.create(
        rotation=rotation, person=person, starts_at=starts, ends_at=ends, reason=reason, created_by=by, created_at=Now()
    )
    return {**OnCallOverride.objects.filter(id=made.id).values().get()}


def end_override(number: int) -> bool:
    """False if there is none that lasts or is to come."""
    with connection.cursor() as cursor:
        # One that has not begun leaves no trace of a time; one that has begun keeps what was.
        cursor.execute(
            "UPDATE monitoring_oncalloverride SET ends_at = greatest(starts_at, clock_timestamp())"
            " WHERE id = %s AND ends_at > clock_timestamp()",
            [number],
        )
        return bool(cursor.rowcount)


def put_calendar(rotation: str, digest: str, *, by: str) -> None:
    """Keep the address of a rotation's calendar, as a hash; the one before leads nowhere from now on."""
    values: dict[str, Any] = {"digest": digest, "created_at": Now(), "created_by": by}
    OnCallCalendar.objects.update_or_create(rotation=rotation, defaults=values)


def rotation_of_calendar(digest: str) -> str | None:
    return OnCallCalendar.objects.filter(digest=digest).values_list("rotation", flat=True).first()
