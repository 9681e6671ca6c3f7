"""GET /on-call/<token>.ics: who is on call, for calendars. They send no key: the secret address is the permission."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe
from icalendar import Calendar, Event

from monitoring.core.rotations import Shift
from monitoring.errors import NoSuchCalendar
from monitoring.oncall import calendar_of


@require_safe
def calendar(request: HttpRequest, token: str) -> HttpResponse:
    now = datetime.now(UTC)
    try:
        rotation, found = calendar_of(token, now)
    except NoSuchCalendar as error:
        return _sealed(HttpResponse(f"{error.message}\n", status=404, content_type="text/plain; charset=utf-8"))
    return _sealed(HttpResponse(document(rotation, found, now), content_type="text/calendar; charset=utf-8"))


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


def _sealed(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store, private"
    response["Content-Disposition"] = 'attachment; filename="on-call.ics"'
    response["Referrer-Policy"] = "no-referrer"
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


urlpatterns = [path("<str:token>.ics", calendar, name="on-call-calendar")]
