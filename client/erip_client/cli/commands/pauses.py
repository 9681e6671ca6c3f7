"""Pauses of whole workflows and lanes."""

from typing import Annotated

import typer

from erip_client.models import Listing, PauseInForce

from ..session import Session, command
from ..words import safe, since

Kind = Annotated[str, typer.Argument(metavar="workflow|lane", help="What is paused.")]
Name = Annotated[str, typer.Argument(help="Its name.")]
Reason = Annotated[str, typer.Option("--reason", help="Recorded with each run.")]
Clock = Annotated[str, typer.Option("--clock", help="stop: times and deadlines wait too; go: they go on.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Workflows and lanes that are paused.", no_args_is_help=True)
    app.add_typer(group, name="pauses")
    command(group, "list")(list_pauses)
    command(group, "begin")(begin)
    command(group, "end")(end)


def list_pauses(erip: Session) -> None:
    """List the workflows and lanes that are paused, and how many runs each holds."""
    _show(erip, erip.client.list_pauses())


def begin(erip: Session, kind: Kind, name: Name, reason: Reason = "", clock: Clock = "stop") -> None:
    """Park all runs of a workflow or a lane, and those that start, until it ends."""
    pause = erip.client.pause_lane if _is_lane(kind) else erip.client.pause_workflow
    _show(erip, pause(name, reason=reason, clock=clock))


def end(erip: Session, kind: Kind, name: Name) -> None:
    """Let the runs of a workflow or a lane go on."""
    resume = erip.client.resume_lane if _is_lane(kind) else erip.client.resume_workflow
    _show(erip, resume(name))


def _is_lane(kind: str) -> bool:
    if kind not in ("workflow", "lane"):
        raise typer.BadParameter(f'say "workflow" or "lane", not "{kind}"')
    return kind == "lane"


def _show(erip: Session, found: Listing[PauseInForce]) -> None:
    if erip.out.as_json:
        return erip.out.document(found)
    if not found.items:
        return erip.out.note("Nothing is paused.")
    rows = [
        (
            one.kind,
            one.name,
            "paused" if one.resumed_at is None else "going on",
            f"{since(one.since)} ago",
            f"{one.parked:,}",
            one.by,
            safe(one.reason, 300),
        )
        for one in found.items
    ]
    return erip.out.table(("KIND", "NAME", "STATE", "SINCE", "RUNS", "BY", "REASON"), rows, cut=("REASON", "BY"))
