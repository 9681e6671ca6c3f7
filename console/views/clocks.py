"""Legal clocks: what is due next and why, and the forms by which people file, stop, amend and dismiss."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect

from console import snapshots
from console.pages import Page, changes, forget_rendered, in_shell, page
from console.viewers import reach
from erip.access.principals import Principal
from erip.access.spaces import LISTS
from erip.foundation.faults import Fault
from erip.foundation.moments import moment
from workflows.clocks import changing
from workflows.clocks.errors import ClocksError, UnknownClock
from workflows.clocks.models import OPEN, LegalClock
from workflows.clocks.pressing import due_soon
from workflows.clocks.showing import explanation, late, overdue

#: characters of what a form may hold, as the API bounds them
_LONGEST = {"reason": 500, "article": 300, "reference": 200, "document": 500, "at": 60, "extended_until": 60}


@page("Legal clocks", "clocks.view_legalclock", of=LISTS)
def clocks(query: QueryDict, viewer: Principal) -> Page:
    look = snapshots.open_clocks(reach(viewer, "clocks.view_legalclock"))
    return Page("console/clocks.html", {"look": look, "found": look.value}, every=10)


@page("Legal clock", "clocks.view_legalclock", of="clock")
def clock(query: QueryDict, viewer: Principal, number: int) -> Page:
    context = {**_shown(number), "given": {}, "faults": []}
    return Page("console/clock.html", context, every=10, around="console/clock_page.html")


@changes("clocks.change_legalclock", of="clock")
def file(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    def do(row: LegalClock, given: dict[str, str], at: datetime | None) -> str:
        changing.file(
            row.run_id, number, by=viewer.name, reference=given["reference"], document=given["document"], at=at
        )
        return "It is filed. What counts from it has started."

    return _changed(request, viewer, number, do, needed="reference")


@changes("clocks.change_legalclock", of="clock")
def stop(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    def do(row: LegalClock, given: dict[str, str], at: datetime | None) -> str:
        if request.POST.get("resume"):
            changing.resume(row.run_id, number, by=viewer.name, reason=given["reason"], at=at)
            return "It goes on."
        changing.stop(row.run_id, number, by=viewer.name, reason=given["reason"], article=given["article"], at=at)
        return "It stands still until somebody resumes it."

    return _changed(request, viewer, number, do, needed="" if request.POST.get("resume") else "reason")


@changes("clocks.change_legalclock", of="clock")
def extend(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    def do(row: LegalClock, given: dict[str, str], at: datetime | None) -> str:
        until = _moment("extended_until", given["extended_until"])
        changing.amend(row.run_id, number, by=viewer.name, reason=given["reason"], extended_until=until)
        return "The deadline is extended."

    return _changed(request, viewer, number, do, needed="reason")


@changes("clocks.change_legalclock", of="clock")
def dismiss(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    def do(row: LegalClock, given: dict[str, str], at: datetime | None) -> str:
        changing.dismiss(row.run_id, number, by=viewer.name, reason=given["reason"])
        return "It wakes nobody any more."

    return _changed(request, viewer, number, do, needed="reason")


class _Wrong(Exception):
    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(path, message)


def _changed(
    request: HttpRequest,
    viewer: Principal,
    number: int,
    do: Callable[[LegalClock, dict[str, str], datetime | None], str],
    *,
    needed: str,
) -> HttpResponse:
    """Do what a form asks for, or show it again with its faults."""
    given = {name: request.POST.get(name, "").strip() for name in _LONGEST}
    faults = [
        Fault(name, f"has more than {most} characters") for name, most in _LONGEST.items() if len(given[name]) > most
    ]
    faults += [Fault(name, "holds a character U+0000") for name in given if "\0" in given[name]]
    if needed and not given[needed]:
        faults.append(Fault(needed, "is needed"))
    row = LegalClock.objects.filter(pk=number).first()
    if row is None:
        raise Http404
    if not faults:
        try:
            messages.success(request, do(row, given, _moment("at", given["at"]) if given["at"] else None))
        except UnknownClock:
            raise Http404 from None
        except ClocksError as error:
            faults.extend(error.faults or [Fault("", str(error))])
        except _Wrong as error:
            faults.append(error.fault)
    snapshots.clocks.forget()
    snapshots.clocks_in.forget()
    snapshots.clock.forget()
    snapshots.waits.forget()
    forget_rendered()
    if faults:
        context = {**_shown(number), "given": given, "faults": faults, "part": "console/clock.html", "every": 0}
        context["of"] = "clock"
        return in_shell(request, viewer, "Legal clock", "console/clock_page.html", context, status=422)
    response = redirect("console:clock", number)
    response.status_code = 303
    return response


def _moment(path: str, text: str) -> datetime:
    """As RFC 3339, or as a browser's field writes it, which is UTC as all times here. Raises _Wrong."""
    for candidate in (text, f"{text}Z", f"{text}:00Z"):
        try:
            return moment(candidate)
        except ValueError:
            continue
    raise _Wrong(path, "is no moment like 2026-11-30T12:00 (UTC)")


def _shown(number: int) -> dict[str, Any]:
    """What the page shows. Raises Http404."""
    known: dict[str, Any] = snapshots.clock.look(number, lambda: _read(number)).value or {}
    if not known:
        raise Http404
    return known


def _read(number: int) -> dict[str, Any]:
    row = LegalClock.objects.filter(pk=number).first()
    if row is None:
        return {}
    now = datetime.now(UTC)
    return {
        "row": row,
        "duty": row.duty,
        "open": row.state in OPEN,
        "overdue": overdue(row, now),
        "soon": due_soon(row, now),
        "late": late(row),
        "why": explanation(row),
        "stops": [{**one, "since": _at(one["since"]), "until": _at(one["until"])} for one in row.stops],
        "filed": row.filed and {**row.filed, "at": _at(row.filed["at"])},
        "history": [{**one, "at": _at(one["at"])} for one in reversed(row.history)],
    }


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
