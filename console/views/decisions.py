"""Decision tables: what they say and leave open, and a grid in which people change them."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect

from console import snapshots
from console.core import changes as diff
from console.core import grid as grids
from console.core import trying
from console.core.grid import Grid
from console.pages import Page, changes, forget_rendered, in_shell, page
from erip.access.principals import Principal
from erip.foundation import json_values
from erip.foundation.faults import Fault
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.table import Aggregation, FactsInvalid, Policy, Table
from workflows.decisions import reporting, stored
from workflows.decisions.asking import answer
from workflows.decisions.compiled import Compiled
from workflows.decisions.errors import DecisionsError, TableChanged, TableNotValid, UnknownTable, UnknownTableVersion
from workflows.decisions.models import DecisionVersion

SEE, PUBLISH = "decisions.view_decisiontable", "decisions.add_decisionversion"


@page("Decision tables", SEE)
def decisions(query: QueryDict, viewer: Principal) -> Page:
    look = snapshots.decisions.look()
    return Page("console/decisions.html", {"look": look, "found": look.value}, every=30, around="console/page.html")


@page("Decision table", SEE)
def decision(query: QueryDict, viewer: Principal, name: str) -> Page:
    wanted = query.get("version", "")
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else None
    context = _shown(name, number)
    asks = trying.fields(context["table"].inputs, {}, {}) if context["table"] is not None else []
    return Page("console/decision.html", {**context, "asks": asks}, every=0, around="console/decision_page.html")


@page("New decision table", PUBLISH)
def new_decision(query: QueryDict, viewer: Principal) -> Page:
    given = query.get("name", "").strip()[:100]
    context = {"pattern": stored.NAME, "given": given, "fits": bool(re.fullmatch(stored.NAME, given))}
    return Page("console/nothing.html", context, every=0, around="console/decision_new.html")


@page("Edit a decision table", PUBLISH)
def edit_decision(query: QueryDict, viewer: Principal, name: str) -> Page:
    """A table that is not there yet begins empty."""
    try:
        known = _known(name, None)
        grid, base = known["grid"], known["version"].number
    except Http404:
        grid, base = _empty(), 0
    context = _editor(name, grid, base) if grid is not None else {"name": name, "unreadable": True}
    return Page("console/nothing.html", context, every=0, around="console/decision_edit.html")


@changes(SEE)
def try_decision(request: HttpRequest, viewer: Principal, name: str) -> HttpResponse:
    """Ask a stored version about a case that was typed in."""
    wanted = request.POST.get("version", "")
    context = _shown(name, int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else None)
    if context["table"] is None:
        raise Http404
    tried = _tried(name, context["table"], context["document"], request.POST.dict())
    parts = {"part": "console/decision.html", "every": 0}
    status = 422 if tried["asked_wrongly"] else 200
    return in_shell(
        request, viewer, "Decision table", "console/decision_page.html", {**context, **tried, **parts}, status=status
    )


@changes(PUBLISH)
def draft_decision(request: HttpRequest, viewer: Principal, name: str) -> HttpResponse:
    """A button of the editor that stores nothing: check, try, add and take away rules and columns."""
    said = request.POST.dict()
    grid, base = grids.of_fields(said), _number(said.get("base", ""))
    what = said.get("do", "check")
    if what not in ("check", "try"):
        before = grid.fields
        done = grids.changed(grid, what)
        context = _editor(name, grid, base)
        if not done:
            context["others"] = ["That cannot be done to this table."]
        elif not grid.fits and grid.fields > before:
            context["others"] = ["The table has become too large for this page: publish it in a file from here on."]
        return _edited(request, viewer, context)
    document = grids.to_document(grid)
    faults, table = _checked(document)
    context = _editor(name, grid, base, faults)
    if table is not None:
        context |= {"report": _report(table), "changes": _changes(name, grid), "checked": True}
        if what == "try":
            context |= _tried(name, table, document, said)
    return _edited(request, viewer, context, status=422 if faults else 200)


@changes(PUBLISH)
def publish_decision(request: HttpRequest, viewer: Principal, name: str) -> HttpResponse:
    said = request.POST.dict()
    grid, base = grids.of_fields(said), _number(said.get("base", ""))
    document = grids.to_document(grid)
    faults = _checked(document)[0]
    if not faults:
        try:
            same = _same_as_latest(name, grid)
            if same is None:
                same = stored.publish(name, document, author=viewer.name, after=base).number
                messages.success(request, f"Version {same} is in force.")
            else:
                messages.success(request, f"This is version {same} already: nothing was published.")
        except TableChanged as error:
            snapshots.forget_decisions()
            latest = _known(name, None)["version"].number
            context = _editor(name, grid, latest) | {"changes": _changes(name, grid), "checked": True}
            context["others"] = [
                f"{error.message} What yours would change of it is below. Publish again to replace it."
            ]
            return _edited(request, viewer, context, status=409)
        except TableNotValid as error:
            faults = error.faults
        else:
            snapshots.forget_decisions()
            forget_rendered()
            response = redirect("console:decision", name)
            response.status_code = 303
            return response
    return _edited(request, viewer, _editor(name, grid, base, faults), status=422)


# --- what a page shows ------------------------------------------------------------------------------------


def _known(name: str, number: int | None) -> dict[str, Any]:
    """A version, its grid and table (None if this release cannot read it), and the versions that there are. Raises
    Http404."""
    try:
        found: dict[str, Any] = snapshots.decision.look((name, number), lambda: _read(name, number)).value or {}
    except (UnknownTable, UnknownTableVersion):
        raise Http404 from None
    if not found:
        # The database is away, and nothing was read before.
        raise Http404
    return found


def _read(name: str, number: int | None) -> dict[str, Any]:
    version = stored.version(name, number)
    former = DecisionVersion.objects.filter(table__name=name, number=version.number - 1).first()
    grid, table = _of(version.document)
    before = _of(former.document)[0] if former is not None else None
    return {
        "name": name,
        "version": version,
        "document": version.document,
        "versions": stored.history(name),
        "grid": grid,
        "table": table,
        "changes": diff.changes(before, grid) if before is not None and grid is not None else [],
        "former": version.number - 1 if before is not None else None,
        "in_force": version.number == version.table.latest,
    }


def _of(document: Mapping[str, Any]) -> tuple[Grid | None, Table | None]:
    try:
        table = read(document)
    except TableInvalid:
        return None, None
    return grids.of_document(document), table


def _shown(name: str, number: int | None) -> dict[str, Any]:
    known = _known(name, number)
    if known["table"] is None:
        return known
    version = known["version"]
    key = (name, version.number, version.content_hash)
    report = snapshots.decision_report.look(key, lambda: _report(known["table"])).value
    return {**known, "report": report}


def _report(table: Table) -> dict[str, Any]:
    """What is to be said of a table, and of each of its rules by id."""
    found = reporting.report(table)
    marks: dict[str, list[str]] = {}
    for one in found["clashes"]:
        marks.setdefault(one["first"], []).append(f"clashes with {one['second']}")
        marks.setdefault(one["second"], []).append(f"clashes with {one['first']}")
    for rule in found["unreached"]:
        marks.setdefault(rule, []).append("never decides")
    gaps = [(reporting.said(one["tests"]), reporting.said(one["example"])) for one in found["gaps"]]
    clashes = [
        (one["first"], one["second"], reporting.said(one["tests"]), reporting.said(one["example"]))
        for one in found["clashes"]
    ]
    return {**found, "gaps": gaps, "clashes": clashes, "marks": marks}


def _tried(name: str, table: Table, document: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    """The case that was typed in, and what the table says of it."""
    facts, faults = trying.facts(table.inputs, said)
    tried: dict[str, Any] | None = None
    if not faults:
        try:
            decision = table.decide(facts)
            tried = answer(Compiled(name, 0, table, document), decision, facts)
            tried["says"] = _json(tried["output"])
        except FactsInvalid as error:
            faults = {fault.path: fault.message for fault in error.faults}
    return {"asks": trying.fields(table.inputs, said, faults), "tried": tried, "asked_wrongly": bool(faults)}


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


# --- the editor -------------------------------------------------------------------------------------------


def _empty() -> Grid:
    grid = Grid()
    for what in ("add-input", "add-output", "add-rule"):
        grids.changed(grid, what)
    return grid


def _editor(name: str, grid: Grid, base: int, faults: list[Fault] | None = None) -> dict[str, Any]:
    at, others = grids.at_fields(grid, faults or [])
    try:
        asks = trying.fields(read(grids.to_document(grid)).inputs, {}, {})
    except TableInvalid:
        asks = []
    return {
        "name": name,
        "grid": grid,
        "fields": grids.shown(grid, at),
        "base": base,
        "faults": at,
        "others": others,
        "many": len(faults or []),
        "fits": grid.fits,
        "types": grids.TYPES,
        "policies": [str(one) for one in Policy],
        "aggregations": [str(one) for one in Aggregation],
        "asks": asks,
    }


def _edited(request: HttpRequest, viewer: Principal, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    parts = {"part": "console/nothing.html", "every": 0}
    title = "Edit a decision table"
    return in_shell(request, viewer, title, "console/decision_edit.html", {**context, **parts}, status=status)


def _checked(document: dict[str, Any]) -> tuple[list[Fault], Table | None]:
    if unfit := json_values.faults(document):
        return list(unfit), None
    try:
        return [], stored.check(document)
    except TableNotValid as error:
        return error.faults, None


def _latest(name: str) -> tuple[int, Grid | None]:
    try:
        version = stored.version(name)
    except DecisionsError:
        return 0, None
    return version.number, _of(version.document)[0]


def _changes(name: str, grid: Grid) -> list[diff.Change]:
    """What the grid would change of the version in force."""
    latest = _latest(name)[1]
    return diff.changes(latest, grid) if latest is not None else []


def _same_as_latest(name: str, grid: Grid) -> int | None:
    """The number of the latest version if the grid says the same, however it is written."""
    number, latest = _latest(name)
    return number if latest == grid else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
