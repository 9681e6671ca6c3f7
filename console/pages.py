"""The door of every page: who may come in, what browsers may do with it, and how an open page stays up to date.

Note [Live pages]
A page works without scripts. Where scripts run, the page asks every few seconds for its parts (`?part=live`), with the
ETag of those it shows; mostly the answer is 304. Parts are the same for all viewers with the same rights: they hold no
name and no token, and are rendered once for all (Note [One look for all] in `console.shared`). Where a part says what
waits for its viewer, it is rendered once for all for whom the same waits. Forms stand outside of the parts; buttons
inside them name their form.
"""

import functools
import hashlib
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cachetools import TTLCache
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import resolve, reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods

from console.emergencies import banner
from console.viewers import asked_anew, reach, viewers
from erip.access.principals import Principal
from erip.access.spaces import LISTS, need
from erip.foundation.db.failures import is_passing
from erip.foundation.errors import EripError
from erip.foundation.hooks import Link, console_page

#: seconds for which rendered parts are given to further viewers, and how many are kept
RENDERED_FOR, MOST_RENDERED = 2.0, 256
#: bytes of a query that a page reads
MOST_QUERY = 4_000
THEME = "erip_theme"
THEMES = ("auto", "light", "dark")

_POLICY = {
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'none'"],
}
_lock = threading.Lock()
_rendered: TTLCache[Any, tuple[bytes, str]] = TTLCache(MOST_RENDERED, RENDERED_FOR)


@dataclass(slots=True)
class Page:
    """What a page's function returns.

    template: of the live part. context: what both templates are given. every: seconds until a browser asks again;
    0: never. around: the template of what stands around the live part, with forms; it has to include the part.
    """

    template: str
    context: dict[str, Any] = field(default_factory=dict)
    every: int = 10
    around: str = "console/page.html"
    status: int = 200


View = Callable[..., Page]


def page(
    title: str, *permissions: str, of: str = "", own: Callable[[Principal], Hashable] | None = None
) -> Callable[[View], Callable[..., HttpResponse]]:
    """Make a page for those with one of these permissions; nobody else comes in. It is given what its address asks for
    and its viewer, never the request: whatever it shows must follow from these.

    of: what it is about, for viewers who have the permission in some spaces only (Note [Spaces] in
    `erip.access.spaces`): a kind of object, by the `number` of its address, or LISTS: it asks `reach`. Without it they
    do not come in.
    own: all that its live part shows of the viewer themselves; None: nothing."""

    def made(view: View) -> Callable[..., HttpResponse]:
        @functools.wraps(view)
        @require_http_methods(["GET", "HEAD"])
        @gzip_page
        def shown(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            try:
                viewer = viewers.of(request)
            except Error as error:
                if not is_passing(error):
                    raise
                return away(request, title)
            live = request.GET.get("part") == "live"
            if viewer is None:
                return refused_to_nobody(request, live=live)
            if not _let_in(reach(viewer, *permissions), of, kwargs):
                return guarded(forbidden(request, title, permissions))
            query = request.GET.copy()
            query.pop("part", None)
            if len(query.urlencode()) > MOST_QUERY:
                query = QueryDict()
            if live:
                return guarded(_parts(request, view, query, viewer, kwargs, of, own))
            found = view(query, viewer, **kwargs)
            context = {**found.context, "part": found.template, "query": query, "every": found.every, "of": of}
            return guarded(in_shell(request, viewer, title, found.around, context, status=found.status))

        shown.permissions = permissions  # type: ignore[attr-defined]
        shown.about = of  # type: ignore[attr-defined]
        return shown

    return made


def changes(*permissions: str, of: str = "") -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Make the target of a form, for those with all of these permissions: it is given the request and its viewer. of:
    as of `page`."""

    def made(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @functools.wraps(view)
        @require_http_methods(["POST"])
        def done(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            try:
                viewer = asked_anew(request)
                if viewer is None:
                    return refused_to_nobody(request, live=False)
                if not all(_let_in(reach(viewer, one), of, kwargs) for one in permissions):
                    return guarded(forbidden(request, "This", permissions))
                return guarded(view(request, viewer, **kwargs))
            except Error as error:
                if not is_passing(error):
                    raise
                return away(request, "Not known to be done")

        done.permissions = permissions  # type: ignore[attr-defined]
        done.about = of  # type: ignore[attr-defined]
        return done

    return made


def _let_in(spaces: frozenset[str] | None, of: str, parameters: Mapping[str, Any]) -> bool:
    """Whether who has the permission in these spaces comes in. Raises Http404 if what it is about is elsewhere, or
    nowhere: they are not to learn which."""
    if spaces is None:
        return True
    if not spaces or not of:
        return False
    if of != LISTS:
        try:
            need(of, str(parameters["number"]), spaces)
        except EripError as error:
            raise Http404 from error
    return True


def in_shell(
    request: HttpRequest, viewer: Principal, title: str, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """A template with the frame of every page around it."""
    frame = shell(request, viewer)
    whole = {"title": title, "viewer": viewer, "here": request.path, "banner": banner(), **context, **frame}
    return render(request, template, whole, status=status)


def _parts(
    request: HttpRequest,
    view: View,
    query: QueryDict,
    viewer: Principal,
    kwargs: dict[str, Any],
    of: str,
    own: Callable[[Principal], Hashable] | None,
) -> HttpResponse:
    mine = own(viewer) if own is not None else None
    rights = None if viewer.superuser else (viewer.permissions, frozenset(viewer.within.items()))
    key = (request.path, query.urlencode(), rights, mine)
    with _lock:
        known = _rendered.get(key)
    if known is None:
        found = view(query, viewer, **kwargs)
        context = {**found.context, "viewer": viewer, "query": query, "here": request.path, "of": of}
        body = (banner() + render_to_string(found.template, context)).encode()
        known = body, f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
        # What waits for the viewer may have been read anew meanwhile: then this is not what the key says.
        if own is None or own(viewer) == mine:
            with _lock:
                _rendered[key] = known
    body, etag = known
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(body, content_type="text/html; charset=utf-8")
    response.headers["ETag"] = etag
    return response


def forget_rendered() -> None:
    """Something was changed here: the next viewer sees it."""
    with _lock:
        _rendered.clear()


def guarded(response: HttpResponse) -> HttpResponse:
    """Scripts and styles of our own alone, and no copy with anybody else."""
    response._csp_replace = _POLICY  # type: ignore[attr-defined]
    response.headers["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Cookie"])
    return response


def refused_to_nobody(request: HttpRequest, *, live: bool) -> HttpResponse:
    if live:
        # A script cannot follow to a form: it says so on the page.
        return guarded(HttpResponse("Sign in again.", status=401, content_type="text/plain; charset=utf-8"))
    back = request.get_full_path() if request.method in ("GET", "HEAD") else reverse("console:home")
    return guarded(redirect_to_login(back, reverse("admin:login")))


def away(request: HttpRequest, title: str) -> HttpResponse:
    """The database is away, and this process does not know who asks."""
    # The log asks the request who it was.
    request.user = AnonymousUser()
    context = {"title": title, "changing": request.method == "POST", **shell(request)}
    response = guarded(render(request, "console/away.html", context, status=503))
    response.headers["Retry-After"] = "5"
    return response


def forbidden(request: HttpRequest, title: str, permissions: tuple[str, ...]) -> HttpResponse:
    context = {**shell(request), "title": title, "needed": permissions}
    return render(request, "console/forbidden.html", context, status=403)


@dataclass(frozen=True, slots=True)
class Entry:
    title: str
    url: str
    here: bool


def shell(request: HttpRequest, viewer: Principal | None = None) -> dict[str, Any]:
    """What the frame of every page needs: the menu of what this viewer may see, and the theme."""
    theme = request.COOKIES.get(THEME, "")
    sections: dict[str, list[Entry]] = {}
    if viewer is not None:
        for section in sorted(console_page.all(), key=lambda one: one.place):
            for link in section.links:
                url = reverse(link.url)
                if _open(link, url, viewer):
                    here = request.path == url or (request.path.startswith(url) and link.url != "console:home")
                    sections.setdefault(section.title, []).append(Entry(link.title, url, here))
    return {
        "sections": sections,
        "theme": theme if theme in THEMES else "auto",
        "themes": THEMES,
        "who": viewer.name.removeprefix("user:") if viewer is not None else "",
    }


def _open(link: Link, url: str, viewer: Principal) -> bool:
    if not link.permission:
        return True
    spaces = reach(viewer, *link.permission.split(" "))
    return spaces is None or (bool(spaces) and bool(getattr(resolve(url).func, "about", "")))


@require_http_methods(["POST"])
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Light, dark, or as the system is. Kept in the browser, for whoever uses it."""
    back = request.POST.get("back", "")
    if not url_has_allowed_host_and_scheme(back, None):
        back = reverse("console:home")
    response = HttpResponse(status=303, headers={"Location": back})
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(
            THEME, chosen, max_age=365 * 86_400, path="/console/", samesite="Lax", secure=request.is_secure()
        )
    return guarded(response)


def with_query(path: str, **parts: Any) -> str:
    kept = {name: value for name, value in parts.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path
