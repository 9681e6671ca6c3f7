"""Schedules: what comes next, what became of each moment, and what people ask of them."""

from typing import Annotated

import typer

from erip_client.models import Coming, Schedule, ScheduledStart

from ..inputs import read_object
from ..session import Session, command
from ..words import safe

Name = Annotated[str, typer.Argument(help="The schedule's name.")]
Reason = Annotated[str, typer.Option("--reason", help="Recorded with the pause.")]
Count = Annotated[int, typer.Option("--limit", "-n", min=1, max=400, help="How many.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Runs that start by cron, at an interval or once.", no_args_is_help=True)
    app.add_typer(group, name="schedules")
    command(group, "list")(list_schedules)
    command(group, "put")(put)
    command(group, "delete")(delete)
    command(group, "preview")(preview)
    command(group, "starts")(starts)
    command(group, "pause")(pause)
    command(group, "resume")(resume)
    command(group, "trigger")(trigger)
    command(group, "backfill")(backfill)


def list_schedules(erip: Session) -> None:
    """List schedules, with what comes next and why one could not start a run."""
    _show(erip, list(erip.client.pages(erip.client.list_schedules, limit=200)))


def put(
    erip: Session,
    name: Name,
    file: Annotated[str, typer.Argument(help="A file with the schedule as JSON; - is standard input.")],
    description: Annotated[str, typer.Option("--description", help="A sentence about it.")] = "",
) -> None:
    """Store a schedule; a change is its next version."""
    done = erip.client.put_schedule(name, read_object(file, []), description=description)
    if erip.out.as_json:
        return erip.out.document(done)
    return erip.out.line(f"{safe(done.name)} version {done.version}{'' if done.changed else ', unchanged'}")


def delete(erip: Session, name: Name) -> None:
    """Delete a schedule. It starts nothing any more; its versions are kept."""
    erip.client.delete_schedule(name)
    erip.out.note(f"{safe(name)} is deleted.")


def preview(erip: Session, name: Name, limit: Count = 10) -> None:
    """Show the moments to come, as if the schedule were not paused."""
    found: list[Coming] = erip.client.preview_schedule(name, count=limit).items
    if erip.out.as_json:
        return erip.out.document({"items": found})
    return erip.out.table(
        ("LOCAL", "UTC", "STARTS AT"), [(str(one.local), str(one.at), str(one.starts_at)) for one in found]
    )


def starts(
    erip: Session,
    name: Name,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Only these, such as FAILED.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many.")] = 20,
) -> None:
    """Show what became of its moments, newest first."""
    _starts(erip, erip.client.list_scheduled_starts(name, outcome=outcome, limit=limit).items)


def pause(erip: Session, name: Name, reason: Reason = "") -> None:
    """Plan nothing until it is resumed."""
    _show(erip, [erip.client.pause_schedule(name, reason=reason)])


def resume(erip: Session, name: Name) -> None:
    """Go on; what was missed is treated as `catch_up` of the schedule says."""
    _show(erip, [erip.client.resume_schedule(name)])


def trigger(erip: Session, name: Name) -> None:
    """Start a run now, beside its own moments."""
    _starts(erip, [erip.client.trigger_schedule(name)])


def backfill(
    erip: Session,
    name: Name,
    begin: Annotated[str, typer.Option("--from", help="RFC 3339; part of the time.")],
    end: Annotated[str, typer.Option("--to", help="RFC 3339; not part of it.")],
    do: Annotated[bool, typer.Option("--start", help="Start them. Otherwise only say which would start.")] = False,
) -> None:
    """Show which moments of a time that has passed started no run, and start them with --start."""
    done = erip.client.backfill_schedule(name, begin, end, dry_run=not do)
    if erip.out.as_json:
        return erip.out.document(done)
    erip.out.table(
        ("AT", "STARTS", "BEFORE"),
        [(str(one.at), "yes" if one.starts else "", safe(one.known or "")) for one in done.items],
    )
    return erip.out.line(f"{done.starts:,} runs {'would start' if done.dry_run else 'start'}")


def _show(erip: Session, found: list[Schedule]) -> None:
    if erip.out.as_json:
        return erip.out.document({"items": found})
    rows = [
        (
            safe(one.name),
            "paused" if one.paused_at else "active",
            str(one.next_start_at or ""),
            safe(one.problem or one.paused_reason),
        )
        for one in found
    ]
    return erip.out.table(("SCHEDULE", "", "NEXT", "WHY NOT"), rows)


def _starts(erip: Session, found: list[ScheduledStart]) -> None:
    if erip.out.as_json:
        return erip.out.document({"items": found})
    rows = [
        (
            str(one.at),
            one.cause,
            one.outcome,
            one.run_id or "",
            safe(one.reason + (f" to {one.until}" if one.until else "")),
        )
        for one in found
    ]
    return erip.out.table(("AT", "CAUSE", "OUTCOME", "RUN", "WHY"), rows)
