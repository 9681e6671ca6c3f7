"""Who is on call, as a document that calendars read."""

from collections.abc import Sequence
from datetime import datetime

from icalendar import Calendar, Event

from monitoring.core.rotations import Shift


def document(rotation: str, found: Sequence[Shift], now: datetime) -> bytes:
    """The calendar (RFC 5545): an event for each shift, in UTC, so that no reader needs the rotation's zone."""
    made = Calendar()
    made.add("prodid", "-//ERIP//on call//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", f"On call: {rotation}")
    made.add("x-published-ttl", "PT1H")
    for shift in found:
        event = Event()
        # By its beginning: a shift that somebody else takes over stays the same event.
        event.add("uid", f"{rotation}-{shift.starts:%Y%m%dT%H%M%SZ}@erip")
        event.add("dtstamp", now)
        event.add("dtstart", shift.starts)
        event.add("dtend", shift.ends)
        instead = f" (instead of {shift.instead_of})" if shift.instead_of else ""
        event.add("summary", f"{rotation}: {shift.person}{instead}")
        event.add("transp", "TRANSPARENT")
        made.add_component(event)
    return bytes(made.to_ical())
