"""Approvals: what waits for people, what they are shown, and their votes."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from console import snapshots
from console.core import vote_form
from console.pages import Page, changes, forget_rendered, in_shell, page, with_query
from console.viewers import reach
from erip.access.principals import Principal
from erip.access.spaces import LISTS
from erip.foundation import json_values
from erip.foundation.db import walls
from erip.foundation.faults import Fault
from people import asking, inbox, voting
from people.errors import PeopleError, UnknownApproval


@page("Approvals", "workflows.view_approvaltask", of=LISTS)
def approvals(query: QueryDict, viewer: Principal) -> Page:
    after, mine_after = _number(query, "after"), _number(query, "mine")
    spaces = reach(viewer, "workflows.view_approvaltask")
    look = snapshots.open_approvals(after, spaces)
    found = look.value
    mine = snapshots.my_approvals.look(
        (viewer.name, after, mine_after, spaces),
        lambda: walls.read(spaces, lambda: _mine(viewer.name, mine_after, found if not after else None, spaces)),
    ).value
    context = {
        "look": look,
        "found": found[: snapshots.MOST_APPROVALS] if found is not None else None,
        "next": _next(query, "after", [one.task.pk for one in found or ()]),
        "mine": mine[: snapshots.MOST_APPROVALS] if mine is not None else None,
        "next_mine": _next(query, "mine", [one.task.pk for one, _ in mine or ()]),
        "first": reverse("console:approvals") if after or mine_after else "",
    }
    return Page("console/approvals.html", context, every=5, around="console/approvals_page.html")


def _mine(
    me: str, after: int, found: Sequence[inbox.Asked] | None, spaces: frozenset[str] | None
) -> list[tuple[inbox.Asked, list[str]]]:
    """What waits for somebody, and as whom they may vote. found: the oldest open ones; if these are all, nothing else
    is asked of the database but who stands in for whom."""
    if found is None or after or len(found) > snapshots.MOST_APPROVALS:
        found = inbox.asked(me=me, after=after, limit=snapshots.MOST_APPROVALS + 1, spaces=spaces)
    return inbox.mine(me, found)


def _number(query: QueryDict, name: str) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _next(query: QueryDict, name: str, shown: Sequence[int]) -> str:
    """Where the next page of a list is; "": there is none."""
    if len(shown) <= snapshots.MOST_APPROVALS:
        return ""
    kept = {each: _number(query, each) or None for each in ("after", "mine")}
    return with_query(reverse("console:approvals"), **{**kept, name: shown[snapshots.MOST_APPROVALS - 1]})


@page("Approval", "workflows.view_approvaltask", of="approval")
def approval(query: QueryDict, viewer: Principal, number: int) -> Page:
    context = {**_shown(number, viewer), "given": {}, "faults": []}
    return Page("console/approval.html", context, every=5, around="console/approval_page.html")


@changes("people.add_vote", of="approval")
def vote(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    try:
        known: dict[str, Any] = snapshots.approval.look(number, lambda: _read(number)).value or {}
    except UnknownApproval:
        raise Http404 from None
    fields = known.get("fields", [])
    names = ("choice", "content_hash", "on_behalf_of", "comment", "form", *(one.key for one in fields))
    given = {name: request.POST.get(name, "") for name in names}
    form, faults = given_form(given, fields)
    try:
        if not faults:
            ballot = voting.Ballot(
                viewer.name,
                given["choice"],
                given["content_hash"],
                "console",
                given["on_behalf_of"],
                given["comment"].strip(),
                form,
            )
            done = voting.vote(number, ballot)
    except UnknownApproval:
        raise Http404 from None
    except PeopleError as error:
        faults.extend(error.faults or [Fault("", str(error))])
    if faults:
        snapshots.approval.forget()
        context = {
            **_shown(number, viewer),
            "given": given,
            "faults": faults,
            "part": "console/approval.html",
            "every": 0,
            "of": "approval",
        }
        return in_shell(request, viewer, "Approval", "console/approval_page.html", context, status=422)
    said = {"approved": "It is approved. The run goes on.", "refused": "It is refused."}
    messages.success(request, said.get(done.outcome, "Your vote counts. Others are still asked."))
    return _back(number)


@changes("people.add_vote", of="approval")
def ask(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    text = request.POST.get("text", "").replace("\0", "").strip()[: voting.COMMENT_MAX]
    try:
        if text:
            asking.ask(number, by=viewer.name, text=text)
            messages.success(request, "Everybody who is asked sees it.")
    except UnknownApproval:
        raise Http404 from None
    except PeopleError as error:
        messages.error(request, str(error))
    return _back(number)


@changes("people.add_vote", of="approval")
def claim(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    try:
        asking.claim(number, by="" if request.POST.get("release") else viewer.name)
    except UnknownApproval:
        raise Http404 from None
    except PeopleError as error:
        messages.error(request, str(error))
    return _back(number)


def _shown(number: int, viewer: Principal) -> dict[str, Any]:
    """What the page shows, and as whom the viewer may vote. Raises Http404."""
    try:
        known: dict[str, Any] = snapshots.approval.look(number, lambda: _read(number)).value or {}
    except UnknownApproval:
        raise Http404 from None
    if not known:
        # The database is away, and nothing was read before.
        raise Http404
    may = snapshots.approval.look((number, viewer.name), lambda: inbox.votes_of(known["one"], viewer.name)).value
    return {**known, "may_vote": may or []}


def given_form(given: Mapping[str, str], fields: Sequence[vote_form.Field]) -> tuple[Any, list[Fault]]:
    """The form that a vote fills in, as it was typed, and what is wrong with the texts of the vote."""
    filled, faults = vote_form.read(fields, given)
    form: Any = filled or None
    if given["form"].strip():
        try:
            form, found = json_values.look(given["form"], at="form")
            faults += found
        except json_values.NotJson as error:
            faults.append(Fault("form", f"is {error}"))
    if "\0" in "".join(given.values()):
        faults.append(Fault("", "a character U+0000 cannot be stored"))
    return form, faults


def _read(number: int) -> dict[str, Any]:
    return shown_of(inbox.one(number))


def shown_of(one: inbox.Asked) -> dict[str, Any]:
    """What the page of an approval shows of it."""
    content = dict(one.task.content)
    form = inbox.form_of(one.task) if one.missing is not None else None
    return {
        "one": one,
        "description": content.get("description", ""),
        "evidence": facts(content["evidence"]) if "evidence" in content else [],
        "runs": [(id, what["uses"], _runs(what)) for id, what in content.get("runs", {}).items()],
        "votes": [(each, facts(each.form) if each.form else []) for each in one.votes],
        "form": _json(form) if form is not None else "",
        "fields": vote_form.fields(form),
        "questions": list(one.task.questions.all()),
    }


def facts(value: Any) -> list[tuple[str, str, bool]]:
    """What people are shown of a document: (name, text, whether the text is JSON), a line for each member. Nothing is
    left out and nothing is rounded: it is what they answer for."""
    if not isinstance(value, dict):
        return [("", *_said(value))]
    return [(name, *_said(one)) for name, one in value.items()]


def _said(value: Any) -> tuple[str, bool]:
    if isinstance(value, str) and value.strip():
        return value, False
    simple = not isinstance(value, str | dict | list)
    # An empty text, a list and an object look like what they are.
    return _json(value), not simple


def _runs(what: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    failed = what.get("failed")
    return [("cannot be computed, and does not run", str(failed), False)] if failed else facts(what["with"])


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _back(number: int) -> HttpResponse:
    snapshots.approvals.forget()
    snapshots.approval.forget()
    snapshots.my_approvals.forget()
    snapshots.waits.forget()
    forget_rendered()
    response = redirect("console:approval", number)
    response.status_code = 303
    return response
