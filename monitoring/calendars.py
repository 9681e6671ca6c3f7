"""GET /on-call/<token>.ics: who is on call, for calendars. They send no key: the secret address is the permission."""

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe

from monitoring.errors import NoSuchCalendar
from monitoring.oncall import calendar_of


@require_safe
def calendar(request: HttpRequest, token: str) -> HttpResponse:
    now = datetime.now(UTC)
    try:
        rotation, found = calendar_of(token, now)
    except NoSuchCalendar as error:
        return _sealed(HttpResponse(f"{error.message}\n", status=404, content_type="text/plain; charset=utf-8"))
    # Loaded at the first look of a process: most platforms have no reader, and the library takes 2.6 MB.
    from monitoring.calendar_documents import document

    return _sealed(HttpResponse(document(rotation, found, now), content_type="text/calendar; charset=utf-8"))


def _sealed(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store, private"
    response["Content-Disposition"] = 'attachment; filename="on-call.ics"'
    response["Referrer-Policy"] = "no-referrer"
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


urlpatterns = [path("<str:token>.ics", calendar, name="on-call-calendar")]
