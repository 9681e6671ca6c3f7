"""The on-call plan: how it is put, replaced for a while, and read."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from erip.foundation.faults import Fault
from monitoring import store
from monitoring.core.ladders import Roster
from monitoring.core.oncall import BadPlan, read_plan
from monitoring.core.rotations import Shift, next_on_call, on_call, shifts
from monitoring.errors import NoSuchCalendar, NoSuchOverride, NoSuchRotation, OnCallInvalid

#: overrides that last or are to come, and days that one may last or lie ahead
MOST_OVERRIDES, MOST_DAYS = 500, 366
#: days of a calendar before and after today
BEFORE, AFTER = timedelta(days=30), timedelta(days=180)


def put_plan(document: Mapping[str, Any], *, by: str) -> bool:
    """Keep the plan, in place of the one before. Returns whether there was none. Raises OnCallInvalid."""
    with transaction.atomic():
        # A channel that is dropped meanwhile waits for this, and is refused then.
        known = store.lock_channels()
        try:
            plan = read_plan(document, known)
        except BadPlan as error:
            raise OnCallInvalid(faults=error.faults) from error
        return store.put_plan(plan.model_dump(), by=by)


def add_override(
    *, rotation: str, person: str, starts: datetime, ends: datetime, reason: str, by: str, now: datetime
) -> dict[str, Any]:
    """Somebody takes over for a while. Raises OnCallInvalid with every fault."""
    check_override(rotation=rotation, person=person, starts=starts, ends=ends, now=now)
    return store.add_override(rotation=rotation, person=person, starts=starts, ends=ends, reason=reason, by=by)


def check_override(*, rotation: str, person: str, starts: datetime, ends: datetime, now: datetime) -> None:
    """Raises OnCallInvalid with every fault."""
    plan = read(now).plan
    longest = timedelta(days=MOST_DAYS)
    faults = []
    if rotation not in plan.rotations:
        faults.append(Fault("rotation", "there is no such rotation"))
    if person not in plan.people:
        faults.append(Fault("person", "is not among the `people` of the plan"))
    if ends <= starts:
        faults.append(Fault("ends_at", "must be after `starts_at`"))
    if not now < ends <= now + longest:
        faults.append(Fault("ends_at", f"must be ahead, by {MOST_DAYS} days at most"))
    if starts < now - longest:
        faults.append(Fault("starts_at", f"must not lie back by more than {MOST_DAYS} days"))
    if len(store.overrides(most=MOST_OVERRIDES)) >= MOST_OVERRIDES:
        faults.append(Fault("", f"there are {MOST_OVERRIDES} overrides already; end one first"))
    if faults:
        raise OnCallInvalid(faults=sorted(faults))


def end_override(number: int) -> None:
    """Raises NoSuchOverride."""
    if not store.end_override(number):
        raise NoSuchOverride


def read(since: datetime) -> Roster:
    """The plan, and the overrides that end after this moment."""
    return store.read_roster(since)[0]


def who(roster: Roster, at: datetime) -> list[dict[str, Any]]:
    """For each rotation who is on call, until when, and who is called next."""
    found = []
    for name in sorted(roster.plan.rotations):
        now = next(shifts(roster.plan, roster.overrides, name, at, at + timedelta(seconds=1)))
        found.append(
            {
                "rotation": name,
                "person": on_call(roster.plan, roster.overrides, name, at),
                "instead_of": now.instead_of,
                "until": now.ends,
                "next": next_on_call(roster.plan, roster.overrides, name, at),
            }
        )
    return found


def listed(roster: Roster, rotation: str, at: datetime) -> list[Shift]:
    """The shifts of a rotation around this moment. Raises NoSuchRotation."""
    if rotation not in roster.plan.rotations:
        raise NoSuchRotation
    return list(shifts(roster.plan, roster.overrides, rotation, at - BEFORE, at + AFTER))


def make_calendar(rotation: str, *, by: str) -> str:
    """A new secret address of the rotation's calendar; the one before leads nowhere then. Raises NoSuchRotation."""
    if rotation not in read(datetime.now(UTC)).plan.rotations:
        raise NoSuchRotation
    token = secrets.token_urlsafe(32)
    store.put_calendar(rotation, _digest(token), by=by)
    return f"{settings.ERIP_PUBLIC_URL.rstrip('/')}/on-call/{token}.ics"


def calendar_of(token: str, now: datetime) -> tuple[str, list[Shift]]:
    """The rotation whose calendar has this address, and its shifts. Raises NoSuchCalendar."""
    rotation = store.rotation_of_calendar(_digest(token))
    if rotation is None:
        raise NoSuchCalendar
    try:
        return rotation, listed(read(now - BEFORE), rotation, now)
    except NoSuchRotation as error:
        raise NoSuchCalendar from error


def _digest(token: str) -> str:
    # A random token of 32 bytes needs no salt; and who reads the table learns no address.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
