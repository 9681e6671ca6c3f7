"""Events: send them, follow them, read and replay the log."""

from typing import Annotated, Any

import typer

from erip_client.errors import Fault
from erip_client.models import CloudEvent, LoggedEvent

from ..inputs import BadInput, read_json, read_object
from ..session import Session, command
from ..words import clock, safe, to_json
from .runs import Sets

Type = Annotated[str | None, typer.Option("--type", help="A type; following also takes `scanner.*`.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="A type, or `scanner.*`. Repeatable.")]
Source = Annotated[str | None, typer.Option("--source", help="A source.")]
Subject = Annotated[str | None, typer.Option("--subject", help="A subject.")]
After = Annotated[str | None, typer.Option("--after", help="Logged later than that, RFC 3339.")]
Before = Annotated[str | None, typer.Option("--before", help="Logged earlier than that, RFC 3339.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Events: send, follow, read and replay them.", no_args_is_help=True)
    app.add_typer(group, name="events")
    command(group, "send")(send)
    command(group, "tail")(tail)
    command(group, "list")(list_events)
    command(group, "show")(show_event)
    command(group, "replay")(replay)


def send(
    erip: Session,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="One CloudEvent or an array, JSON; - is standard input.")
    ] = None,
    type: Annotated[str | None, typer.Option("--type", help="Of the event, without a FILE.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Of the event, without a FILE.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Of the event, without a FILE.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Of the event; one is made otherwise.")] = None,
    set: Sets = None,
) -> None:
    """Send events. `--set` fills the data of one that is made from options."""
    if file is not None:
        if type or source or subject or id or set:
            raise typer.BadParameter("Give a FILE, or the event's --type, --source and --set; not both.")
        events: Any = read_json(file)
        if not isinstance(events, dict | list) or (
            isinstance(events, list) and not all(isinstance(one, dict) for one in events)
        ):
            raise BadInput([Fault(file, "must hold a CloudEvent, a JSON object, or an array of them")])
    else:
        if not type or not source:
            raise typer.BadParameter("An event needs --type and --source, or a FILE.")
        named = {"id": id, "source": source, "type": type, "subject": subject}
        events = {name: value for name, value in named.items() if value is not None}
        if set:
            events["data"] = read_object(None, set)
    accepted = erip.client.send_events(events)
    if erip.out.as_json:
        return erip.out.document(accepted)
    more = f", {accepted.duplicates} sent twice" if accepted.duplicates else ""
    return erip.out.line(f"{accepted.accepted} accepted{more}")


def tail(
    erip: Session,
    type: Types = None,
    source: Annotated[str | None, typer.Option("--source", help="A source, or its beginning and `*`.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="A subject, or its beginning and `*`.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="ID", help="Begin after the id of a stream.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many; 0: never.")] = 0,
) -> None:
    """Follow events as they are logged, until Ctrl-C. `--json` prints one object in each line."""
    streamed = erip.client.stream_events(type=type or None, source=source, subject=subject, last_event_id=since)
    for number, one in enumerate(streamed, 1):
        if erip.out.as_json:
            erip.out.document(one.event, compact=True)
        else:
            erip.out.line(line(one.event))
        if number == count:
            return


def list_events(
    erip: Session,
    type: Type = None,
    source: Source = None,
    subject: Subject = None,
    after: After = None,
    before: Before = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many; the newest first.")] = 20,
) -> None:
    """Read the log of events."""
    filters = {"type": type, "source": source, "subject": subject, "after": after, "before": before}
    found: list[LoggedEvent] = []
    for event in erip.client.pages(erip.client.list_events, **filters, limit=min(limit, 1000)):
        found.append(event)
        if len(found) == limit:
            break
    if erip.out.as_json:
        return erip.out.document({"items": found})
    rows = [
        (
            one.position,
            clock(one.logged_at),
            one.event.type,
            one.event.source,
            one.event.subject or "",
            _data(one.event),
        )
        for one in found
    ]
    return erip.out.table(
        ("POSITION", "AT", "TYPE", "SOURCE", "SUBJECT", "DATA"), rows, cut=("DATA", "SOURCE", "SUBJECT", "TYPE")
    )


def show_event(
    erip: Session, position: Annotated[str, typer.Argument(help="Its place in the log, such as 7-1234.")]
) -> None:
    """Show an event of the log, with the runs that it started. Always JSON."""
    erip.out.document(erip.client.get_event(position))


def replay(
    erip: Session,
    target: Annotated[str, typer.Argument(help="triggers, triggers:NAME or subscriptions:ID.")],
    type: Type = None,
    source: Source = None,
    subject: Subject = None,
    after: After = None,
    before: Before = None,
    really: Annotated[
        bool, typer.Option("--really", help="Do it. Without this it only says what it would do.")
    ] = False,
) -> None:
    """Have events of the log take effect again."""
    done = erip.client.replay_events(
        target, type=type, source=source, subject=subject, after=after, before=before, dry_run=not really
    )
    if erip.out.as_json:
        return erip.out.document(done)
    if not done.dry_run:
        return erip.out.line(f"{done.events} events take effect again for {done.target}")
    erip.out.line(f"{done.events} events match. Nothing was done; --really does it.")
    return erip.out.table(("WOULD ACT", "TIMES"), sorted(done.effects.items())) if done.effects else None


def line(event: CloudEvent) -> str:
    at = clock(event.time) if event.time else ""
    return "  ".join(part for part in (at, event.type, event.source, event.subject or "", _data(event)) if part)


def _data(event: CloudEvent) -> str:
    if event.data_base64 is not None:
        return f"{len(event.data_base64) * 3 // 4} bytes"
    return "" if event.data is None else safe(to_json(event.data, None), 300)
