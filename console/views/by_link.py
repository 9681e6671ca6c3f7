"""A vote by a link in a message: GET shows, and never votes; POST votes, once it is confirmed.

Whoever holds the link is its person (Note [Links to vote] in `people.links`), so nobody signs in here. The token stands
in the query, which no log holds, and is told to no other page.
"""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from console import snapshots
from console.core import vote_form
from console.pages import away, forget_rendered, guarded, shell
from console.views.approvals import given_form, shown_of
from erip.access.principals import Principal
from erip.audit.operation import describe
from erip.foundation.db.failures import is_passing
from erip.foundation.faults import Fault
from people import inbox, links
from people.errors import LinkInvalid, PeopleError, UnknownApproval

_TITLE = "Vote by a link"


def _closed(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The address of the page is a secret: it is kept by nobody, and told to nobody."""

    @functools.wraps(view)
    def shown(request: HttpRequest) -> HttpResponse:
        # Who is signed in in this browser has nothing to do with it.
        request.user = AnonymousUser()
        try:
            response = guarded(view(request))
        except Error as error:
            if not is_passing(error):
                raise
            response = away(request, _TITLE)
        response.headers["Cache-Control"] = "no-store"
        # Not no-referrer: the form would come with `Origin: null`, which the check for other sites refuses.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return shown


@require_http_methods(["GET", "HEAD", "POST"])
@_closed
def by_link(request: HttpRequest) -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    token = given.get("t", "")
    try:
        held = links.held(token)
    except (LinkInvalid, UnknownApproval) as error:
        why = str(error) if isinstance(error, LinkInvalid) else str(LinkInvalid())
        return _page(request, "console/by_link_invalid.html", {"why": why}, status=410)
    if request.method != "POST":
        return _shown(request, held, token)
    return _voted(request, held, token)


def _voted(request: HttpRequest, held: links.Held, token: str) -> HttpResponse:
    # For the audit log: the link is what the person signs with.
    request.user = Principal(held.me)  # type: ignore[assignment]
    number = held.asked.task.pk
    describe(object=f"approvals/{number}", by_link=True)
    fields = vote_form.fields(inbox.form_of(held.asked.task))
    names = ("choice", "comment", "form", "confirm", *(one.key for one in fields))
    text = {name: request.POST.get(name, "") for name in names}
    form, faults = given_form(text, fields)
    if text["confirm"] != "yes":
        faults.append(Fault("confirm", "is missing: confirm that it is you who votes"))
    try:
        if not faults:
            done = links.vote(held, choice=text["choice"], comment=text["comment"].strip(), form=form)
    except PeopleError as error:
        faults.extend(error.faults or [Fault("", str(error))])
    if faults:
        return _shown(request, held, token, given=text, faults=faults, status=422)
    for each in (snapshots.approvals, snapshots.approval, snapshots.my_approvals, snapshots.waits):
        each.forget()
    forget_rendered()
    said = {"approved": "It is approved. The run goes on.", "refused": "It is refused."}
    context = {"said": said.get(done.outcome, "Your vote counts. Others are still asked."), "one": held.asked}
    return _page(request, "console/by_link_done.html", context)


def _shown(
    request: HttpRequest, held: links.Held, token: str, *, given: Any = None, faults: Any = (), status: int = 200
) -> HttpResponse:
    context = {
        **shown_of(held.asked),
        "me": held.me,
        "token": token,
        "ends_at": held.ends_at,
        "given": given or {},
        "faults": faults,
    }
    return _page(request, "console/by_link.html", context, status=status)


def _page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    whole = {"title": _TITLE, "here": request.path, **context, **shell(request)}
    return render(request, template, whole, status=status)
