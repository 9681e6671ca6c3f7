"""Dead letters: events that could not take effect."""

from typing import Annotated

import typer

from erip_client.errors import Conflict
from erip_client.models import DeadLetter

from ..session import Session, command
from ..words import safe, since

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Ids of dead letters.")]
Type = Annotated[str | None, typer.Option("--type", help="Of events of this type.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Dead letters: events that could not take effect.", no_args_is_help=True)
    app.add_typer(group, name="dead-letters")
    command(group, "list")(list_letters)
    command(group, "show")(show_letter)
    command(group, "replay")(replay)
    command(group, "discard")(discard)


def list_letters(
    erip: Session,
    status: Annotated[str | None, typer.Option("--status", help="open (the default), retried, discarded, any.")] = None,
    type: Type = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many; the newest first.")] = 20,
) -> None:
    """List dead letters, newest first."""
    found: list[DeadLetter] = []
    for letter in erip.client.pages(erip.client.list_dead_letters, status=status, type=type, limit=min(limit, 1000)):
        found.append(letter)
        if len(found) == limit:
            break
    if erip.out.as_json:
        return erip.out.document({"items": found})
    if not found:
        return erip.out.note("No dead letter is like that.")
    rows = [
        (
            one.id,
            f"{since(one.at)} ago",
            one.status,
            one.event.get("type", ""),
            one.target or one.effect,
            safe(f"{one.error.code}: {one.error.message}", 300),
        )
        for one in found
    ]
    return erip.out.table(("ID", "AT", "STATUS", "TYPE", "TARGET", "ERROR"), rows, cut=("ERROR", "TARGET", "TYPE"))


def show_letter(erip: Session, id: Annotated[int, typer.Argument(min=0)]) -> None:
    """Show a dead letter with its event. Always JSON."""
    erip.out.document(erip.client.get_dead_letter(id))


def replay(
    erip: Session,
    id: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    type: Type = None,
) -> None:
    """Do again what failed, and nothing else. If it fails again there is a new dead letter."""
    for one in _chosen(erip, id, every, type):
        try:
            letter = erip.client.retry_dead_letter(one)
        except Conflict:
            if not every:
                raise
            continue  # somebody else has resolved it since the list was read
        _say(erip, letter)


def discard(erip: Session, id: Annotated[list[int], typer.Argument(metavar="ID...", min=0)]) -> None:
    """Give dead letters up."""
    for one in id:
        _say(erip, erip.client.discard_dead_letter(one))


def _chosen(erip: Session, ids: list[int] | None, every: bool, type: str | None) -> list[int]:
    """Read before the first is replayed: those that fail again become new letters, and would be replayed for ever."""
    if bool(ids) == every or (type and not every):
        raise typer.BadParameter("Name the dead letters, or say --all (with --type, those of one type).")
    if ids:
        return ids
    return [letter.id for letter in erip.client.pages(erip.client.list_dead_letters, type=type, limit=1000)]


def _say(erip: Session, letter: DeadLetter) -> None:
    if erip.out.as_json:
        erip.out.document(letter, compact=True)
    else:
        erip.out.line(f"{letter.id}  {letter.status}")
