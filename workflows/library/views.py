"""GET /reports/<token>: a shared report, without a login. The link is the permission, so it must not leak."""

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.template.loader import get_template
from django.views.decorators.http import require_safe

from workflows.library.beacon import links
from workflows.library.beacon.render import style_hash, stylesheet
from workflows.library.models import ReportLink

_PROBLEMS = {
    404: ("No such report", "This link leads to no report. Check that it was copied whole."),
    410: (
        "This link is no longer valid",
        "It has expired or was revoked. Ask anyone who sent it for a new one.",
    ),
}


@require_safe
def shared_report(request: HttpRequest, token: str, form: str = "html") -> HttpResponse:
    now = datetime.now(UTC)
    try:
        found = links.read(token, now)
    except links.NoLink:
        return _problem(404)
    except links.Expired:
        return _problem(410)
    link = ReportLink.objects.select_related("report").filter(pk=found.link).first()
    if link is None:
        return _problem(404)
    # The row may give the link less time than the token says, never more.
    if link.revoked_at is not None or now >= link.expires_at:
        return _problem(410)
    if form == "markdown":
        return sealed(HttpResponse(link.report.markdown, content_type="text/markdown; charset=utf-8"))
    return sealed(HttpResponse(link.report.html))


def _problem(status: int) -> HttpResponse:
    title, message = _PROBLEMS[status]
    page = get_template("library/problem.html").render(
        {"title": title, "message": message, "status": status, "stylesheet": stylesheet()}
    )
    return sealed(HttpResponse(page, status=status))


def sealed(response: HttpResponse) -> HttpResponse:
    """Nothing runs, nothing loads, nothing frames it, no cache keeps it, and links away from it send no referrer."""
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src '{style_hash()}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store, private"
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
