"""Errors in groups of one kind."""

from typing import Annotated

import typer

from erip_client.models import ErrorGroupDetail, ListedErrorGroup

from ..session import Session, command
from ..terminal import coloured
from ..words import safe, since

Id = Annotated[int, typer.Argument(min=1, metavar="ID", help="Of the group, as `erip errors list` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; others read it.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Errors: what fails, in groups of one kind.", no_args_is_help=True)
    app.add_typer(group, name="errors")
    command(group, "list")(list_errors)
    command(group, "show")(show_error)
    command(group, "resolve")(resolve)
    command(group, "ignore")(ignore)
    command(group, "reopen")(reopen)


def list_errors(
    erip: Session,
    state: Annotated[str, typer.Option("--state", help="open, resolved, ignored, regression, any.")] = "open",
    source: Annotated[
        str | None, typer.Option("--source", help="attempt, run, request, dead_letter, delivery, alert.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Part of the title, the step, or the workflow.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many; seen last first.")] = 20,
) -> None:
    """List kinds of errors, seen last first."""
    found: list[ListedErrorGroup] = []
    pages = erip.client.pages(
        erip.client.list_errors,
        state=None if state == "any" else state,
        source=source,
        text=text,
        limit=min(limit, 200),
    )
    for one in pages:
        found.append(one)
        if len(found) == limit:
            break
    if erip.out.as_json:
        return erip.out.document({"items": found})
    if not found:
        return erip.out.note("No error is like that.")
    rows = [
        (
            one.id,
            f"{since(one.last_seen)} ago",
            "regression" if one.regression else one.state,
            f"{one.count:,}",
            f"{sum(one.hours):,}",
            one.what,
            safe(one.title, 300),
        )
        for one in found
    ]
    return erip.out.table(("ID", "SEEN", "STATE", "ALL", "24 H", "WHAT", "ERROR"), rows, cut=("ERROR", "WHAT"))


def show_error(
    erip: Session,
    id: Id,
    range: Annotated[str | None, typer.Option("--range", help="Counts over this time, as 14d; else 24h.")] = None,
) -> None:
    """Show a kind of errors: why it is one, where it was seen, and its traceback."""
    _show(erip, erip.client.get_error(id, range=range))


def resolve(
    erip: Session,
    id: Id,
    reason: Reason,
    release: Annotated[str | None, typer.Option("--release", help="The release that the fix is in.")] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Whose definition was fixed.")] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="The version that the fix is in.")] = None,
) -> None:
    """Say that it is fixed. If it is seen again, it comes back as a regression."""
    _say(erip, erip.client.resolve_error(id, reason=reason, release=release, workflow=workflow, version=version))


def ignore(erip: Session, id: Id, reason: Reason) -> None:
    """Say that it does not matter. It goes on being counted."""
    _say(erip, erip.client.ignore_error(id, reason=reason))


def reopen(erip: Session, id: Id, reason: Reason) -> None:
    """Say that it does matter after all."""
    _say(erip, erip.client.reopen_error(id, reason=reason))


def _say(erip: Session, group: ErrorGroupDetail) -> None:
    if erip.out.as_json:
        erip.out.document(group, compact=True)
    else:
        erip.out.line(f"{group.id}  {group.state}")


def _show(erip: Session, one: ErrorGroupDetail) -> None:
    if erip.out.as_json:
        return erip.out.document(one)
    erip.out.line(safe(one.title), "bold")
    erip.out.print(coloured("regression" if one.regression else one.state))
    if one.reason:
        erip.out.line(f"{safe(one.changed_by)}: {safe(one.reason)}")
    erip.out.line(f"{one.count:,} times, last {since(one.last_seen)} ago, first {since(one.first_seen)} ago")
    seen = [
        ("release", one.first_release, one.last_release),
        ("definition", one.first_definition, one.last_definition),
    ]
    for name, first, last in seen:
        if last:
            erip.out.line(f"{name}: {safe(last)}{f' (first {safe(first)})' if first != last else ''}")
    erip.out.line("one kind because they share:")
    for part in one.why:
        erip.out.line(f"  {safe(part.name)}: {safe(part.value)}")
    if one.links:
        erip.out.line("seen in:")
        rows = [(link.kind, link.id, f"{since(link.at)} ago", safe(link.detail)) for link in one.links]
        erip.out.table(("KIND", "ID", "AT", "WHERE"), rows)
    for line in one.traceback.splitlines():
        erip.out.line(safe(line))
    return None
