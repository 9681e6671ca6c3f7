"""Flower, Celery's monitor, for people who have signed in here and may look at it. It is read, and nothing else: GET
and HEAD reach it, and the pages that it has (`erip.ops.stack.monitor`) change nothing.

Who may is asked as on every page of the console. It shows the work of all spaces, so the permission in some of them
opens nothing.
"""

from typing import Final

import structlog
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods

from console.core.flower import is_data, is_file, place_of, policy_of
from console.flower import FlowerAway, ask, is_set
from console.pages import away, forbidden, guarded, in_shell, refused_to_nobody
from console.viewers import reach, viewers
from erip.foundation.db.failures import is_passing

log = structlog.get_logger(__name__)

PERMISSION: Final = "monitoring.view_flower"


@require_http_methods(["GET", "HEAD"])
@gzip_page
def flower(request: HttpRequest, rest: str = "") -> HttpResponse:
    """rest: what stands after `/flower/`."""
    query = request.META.get("QUERY_STRING", "")
    try:
        viewer = viewers.of(request)
    except Error as error:
        if not is_passing(error):
            raise
        return away(request, "Flower")
    if viewer is None:
        return refused_to_nobody(request, live=is_data(rest, query))
    if reach(viewer, PERMISSION) is not None:
        return guarded(forbidden(request, "Flower", (PERMISSION,)))
    place = place_of(rest, query)
    if place is None:
        raise Http404
    why = "" if is_set() else "not set"
    if not why:
        try:
            found = ask(place, request.headers)
        except FlowerAway as error:
            why = str(error)
            log.warning("flower_away", why=why)
    if why:
        response = in_shell(request, viewer, "Flower", "console/flower_away.html", {"is_set": is_set()}, status=503)
        response.headers["Retry-After"] = "5"
        return guarded(response)
    response = guarded(HttpResponse(found.body, status=found.status, headers=dict(found.headers)))
    response._csp_replace = policy_of(request.get_host())  # type: ignore[attr-defined]
    if is_file(rest):
        response.headers["Cache-Control"] = "private, max-age=3600"
    return response


flower.permissions = (PERMISSION,)  # type: ignore[attr-defined]
