"""Emergency access, said aloud by PULSE's messages: Note [Break-glass] in `erip.access.break_glass_models`.

A leader looks each second. When access is granted, every channel that hears pages and everybody who is on call gets a
page; when it is over, a ticket asks for the review. A message is put in the transaction that notes that it was: a
leader that is killed in between has said nothing, and the next one does.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from erip.access.break_glass import take_unsaid
from erip.access.break_glass_models import BreakGlass
from erip.foundation.hooks import periodic_duty
from monitoring import oncall, store
from monitoring.conf import conf
from monitoring.core.ladders import Roster
from monitoring.core.rotations import on_call
from monitoring.reaching import heard_by

EVERY: Final = 1.0
#: of one look
LIMIT: Final = 20
_IDS: Final = uuid.UUID("c1b4a4d8-58f4-5a8b-8b9e-3f3f0e6f7a21")


@periodic_duty(EVERY)
def announce_emergencies() -> bool:
    """Returns whether there may be more."""
    return conf().enabled and announce()


def announce() -> bool:
    """Say what has begun and what is over. Returns whether there may be more."""
    with transaction.atomic():
        found = take_unsaid(LIMIT)
        if not found:
            return False
        now = datetime.now(UTC)
        roster = oncall.read(now)
        for row, begins in found:
            put(row, roster, now, begins=begins)
    return True


def put(row: BreakGlass, roster: Roster, now: datetime, *, begins: bool) -> None:
    """Put the message for everybody who has to hear it."""
    targets = heard_by(store.channels().values(), page=begins)
    if begins:
        targets += everybody_on_call(roster, now)
    message = uuid.uuid5(_IDS, f"{row.pk}|{'begins' if begins else 'over'}")
    body = body_of(row, now, begins=begins)
    store.put_pages([(message, target, body) for target in dict.fromkeys(targets)])


def everybody_on_call(roster: Roster, now: datetime) -> list[str]:
    """The channels of whoever is on call in any rotation at this moment."""
    plan = roster.plan
    people = [on_call(plan, roster.overrides, name, now) for name in plan.rotations]
    named = [channel for person in people for channel in plan.people.get(person, ())]
    return [f"channel:{name}" for name in named if name in roster.channels]


def body_of(row: BreakGlass, now: datetime, *, begins: bool) -> dict[str, Any]:
    """The message, in the form of the other alerts."""
    who, severity = f"user:{row.holder.get_username()}", "page" if begins else "ticket"
    may = ", ".join(row.permissions)
    title = (
        f"Emergency access: {who} may {may} until {_written(row.ends_at)}"
        if begins
        else f"Emergency access of {who} is over: review what was done under it"
    )
    summary = f"Granted by {row.granted_by} for {row.minutes} minutes: {row.reason}"
    return {
        "type": "erip.alert",
        "state": "firing",
        "severity": severity,
        "cause": "emergency access",
        "title": title,
        "at": _written(now),
        "impact": {},
        "causes": [],
        "escalation": None,
        "closes": [],
        "alerts": [_alert(row, severity, summary, since=row.granted_at if begins else row.ended_at or row.ends_at)],
    }


def _alert(row: BreakGlass, severity: str, summary: str, *, since: datetime | None) -> Mapping[str, Any]:
    return {
        "rule": "break-glass" if severity == "page" else "break-glass-review",
        "labels": {"number": str(row.pk), "person": row.holder.get_username()},
        "number": row.pk,
        "group": None,
        "state": "firing",
        "severity": severity,
        "summary": summary,
        "value": float(row.minutes),
        "since": _written(since),
        "runbook": None,
    }


def _written(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
