"""Errors of one kind as one line: what fails, since when, how often, and what somebody decided about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from console import snapshots
from console.charts.columns import columns
from console.pages import Page, changes, forget_rendered, page, with_query
from console.shared import SharedBy
from erip.access.principals import Principal
from monitoring import store
from monitoring.conf import conf
from monitoring.store.error_reading import GroupFilter, error_group, error_groups, error_hours

VIEW, CHANGE = "monitoring.view_errorgroup", "monitoring.change_errorgroup"
#: groups on one page; hours that are drawn; characters of a reason and of a search
LINES, HOURS, MOST_REASON, MOST_TEXT = 30, 24, 1_000, 200
STATES = ("open", "regression", "resolved", "ignored", "any")
Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the pages show it. row: its columns."""

    row: Mapping[str, Any]
    picture: SafeString
    icon: str


@dataclass(frozen=True, slots=True)
class Listed:
    groups: Sequence[Group]
    more: Place | None


_lists: SharedBy[Listed] = SharedBy(every=10.0)
_ones: SharedBy[Group | None] = SharedBy(every=5.0)


def forget() -> None:
    """The next look reads: something was changed here."""
    _lists.forget()
    _ones.forget()
    snapshots.alerts.forget()


@page("Errors", VIEW)
def errors(query: QueryDict, viewer: Principal) -> Page:
    chosen = query.get("state") or "open"
    state = chosen if chosen in STATES else "open"
    text = query.get("text", "").replace("\0", "").strip()[:MOST_TEXT]
    before = place_of(query.get("before", ""))
    look = _lists.look((state, text, before), lambda: _read(state, text, before))
    here = reverse("console:errors")
    more = look.value.more if look.value is not None else None
    context = {
        "look": look,
        "found": look.value,
        "state": state,
        "text": text,
        "before": before,
        "states": [(one, with_query(here, state=one, text=text), one == state) for one in STATES],
        "next": with_query(here, state=state, text=text, before=f"{more[0].isoformat()}|{more[1]}") if more else "",
        "first": with_query(here, state=state, text=text) if before else "",
    }
    return Page("console/errors.html", context, every=10, around="console/errors_page.html")


@page("Error", VIEW)
def error(query: QueryDict, viewer: Principal, number: int) -> Page:
    look = _ones.look(number, lambda: _one(number))
    if look.value is None:
        if look.fresh:
            raise Http404
        return Page("console/error.html", {"one": None}, every=10)
    return Page("console/error.html", {"one": look.value}, every=10, around="console/error_page.html")


def _read(state: str, text: str, before: Place | None) -> Listed:
    which = GroupFilter(
        state={"any": None, "regression": "open"}.get(state, state),
        regression=True if state == "regression" else None,
        text=text or None,
    )
    rows = error_groups(which, before=before, limit=LINES + 1)
    hours = error_hours([row["id"] for row in rows[:LINES]], now=timezone.now(), hours=HOURS) if rows else {}
    groups = [_group(row, hours[row["id"]]) for row in rows[:LINES]]
    last = rows[LINES - 1] if len(rows) > LINES else None
    return Listed(groups, (last["last_seen"], last["id"]) if last is not None else None)


def _one(number: int) -> Group | None:
    row = error_group(number)
    return _group(row, error_hours([number], now=timezone.now(), hours=HOURS)[number]) if row is not None else None


def _group(row: Mapping[str, Any], hours: Sequence[int]) -> Group:
    count, most = sum(hours), max(hours, default=0)
    label = f"{count} in the last {HOURS} hours, {most} in the worst of them"
    icon = {"open": "degraded", "resolved": "resolved"}.get(row["state"], "unknown")
    return Group(row, columns(hours, label=label), "down" if row["regression"] else icon)


def place_of(text: str) -> Place | None:
    """The end of the page before, as an address has it; None for what is none."""
    at, _, number = text.partition("|")
    if not (number.isascii() and number.isdecimal() and len(number) <= 18):
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, int(number)) if moment.tzinfo is not None and 1970 <= moment.year <= 9000 else None


# --- what is decided about a group ------------------------------------------------------------------------


@changes(CHANGE)
def resolve(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    release = request.POST.get("release", "").replace("\0", "").strip()[:100] or None
    return _decided(
        request,
        number,
        lambda reason: store.resolve_group(
            number, by=viewer.name, reason=reason, under=conf().release, release=release, definition=None
        ),
        "Resolved. If it is seen again in a release that the fix is in, it comes back as a regression.",
    )


@changes(CHANGE)
def ignore(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    said = "Ignored. It goes on being counted."
    return _decided(request, number, lambda reason: store.ignore_group(number, by=viewer.name, reason=reason), said)


@changes(CHANGE)
def reopen(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    said = "Open again."
    return _decided(request, number, lambda reason: store.reopen_group(number, by=viewer.name, reason=reason), said)


def _decided(request: HttpRequest, number: int, decide: Callable[[str], bool], said: str) -> HttpResponse:
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:MOST_REASON]
    if not reason:
        messages.error(request, "Nothing was changed: say why, for those who come after you.")
    elif decide(reason):
        messages.success(request, said)
    elif error_group(number) is None:
        raise Http404
    else:
        messages.error(request, "Nothing was changed: somebody has decided so already.")
    forget()
    forget_rendered()
    response = redirect("console:error", number)
    response.status_code = 303
    return response
