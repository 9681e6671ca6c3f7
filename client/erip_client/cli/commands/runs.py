"""Start runs, follow, find, read and change them."""

import re
from typing import Annotated, Any

import typer

from erip_client.models import RunListed
from erip_client.models.base import Json

from .. import show, watching
from ..exits import Exit
from ..inputs import read_bytes, read_json, read_object
from ..session import Session, command
from ..words import clock, error_sentence, safe

InputFile = Annotated[
    str | None, typer.Option("--input", "-i", metavar="FILE", help="A JSON object; - is standard input.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="A field, JSON or text; a.b=1 reaches inside. Repeatable."),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", "-t", min=0, metavar="SECONDS", help="Give up waiting then (status 124).")
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow the run to its end.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
RunIds = Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of runs; - reads them from standard input.")]
Lane = Annotated[str | None, typer.Option("--lane", help="critical, high, standard or bulk.")]
Clock = Annotated[str, typer.Option("--clock", help="stop: times and deadline wait too; go: they go on.")]
Reason = Annotated[str, typer.Option("--reason", help="Recorded with the run.")]
IdempotencyKey = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="The same key starts one run, however often it is sent."),
]
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Runs: the same commands, and those on many at once.", no_args_is_help=True)
    app.add_typer(group, name="runs")
    command(app, "start")(start)
    for place in (app, group):
        command(place, "list", selects=True)(list_runs)
        command(place, "show")(show_run)
        command(place, "watch")(watch)
        command(place, "explain")(explain)
    command(app, "cancel")(cancel)
    command(app, "pause")(pause)
    command(app, "resume")(resume)
    command(app, "retry")(retry)
    command(app, "signal")(signal)


def start(
    erip: Session,
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    input: InputFile = None,
    set: Sets = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="Your own name for the case.")] = None,
    lane: Lane = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help="In place of the latest.")] = None,
    watch: Watch = False,
    timeout: Timeout = None,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Start a run. Prints its id; with --watch, follows it, and the status says whether it SUCCEEDED."""
    run = erip.client.start_run(
        workflow,
        read_object(input, set or []),
        business_key=key,
        lane=lane,
        version=version,
        idempotency_key=idempotency_key,
    )
    if watch:
        raise typer.Exit(watching.follow(erip.client, run.id, erip.out, timeout))
    if erip.out.as_json:
        erip.out.document(run)
    else:
        erip.out.line(run.id)


def watch(erip: Session, run: RunId, timeout: Timeout = None) -> None:
    """Follow a run to its end. The status is 0 if it SUCCEEDED, 1 if it ended otherwise."""
    raise typer.Exit(watching.follow(erip.client, run_id(run), erip.out, timeout))


def list_runs(
    erip: Session,
    filter: dict[str, Any],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many; the newest first.")] = 20,
    every: Annotated[bool, typer.Option("--all", help="All of them, however many.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only ids, for other commands.")] = False,
) -> None:
    """Find runs, newest first."""
    found: list[RunListed] = []
    for run in erip.client.pages(erip.client.list_runs, **filter, limit=200 if every else min(limit, 200)):
        if quiet:
            erip.out.line(run.id)
        found.append(run)
        if len(found) == limit and not every:
            break
    if quiet:
        return
    if erip.out.as_json:
        erip.out.document({"items": found})
    elif found:
        show.runs_table(erip.out, found)
    else:
        erip.out.note("No run is like that.")


def show_run(
    erip: Session,
    run: RunId,
    output: Annotated[bool, typer.Option("--output", help="Only the output, as JSON.")] = False,
    input: Annotated[bool, typer.Option("--input", help="Only the input, as JSON.")] = False,
    log: Annotated[bool, typer.Option("--events", help="Everything that happened to it, oldest first.")] = False,
) -> None:
    """Show a run: its error, its timeline, its output."""
    if log:
        return _events(erip, run_id(run))
    found = erip.client.get_run(run_id(run))
    if output or input:
        return erip.out.document(found.output if output else found.input)
    if erip.out.as_json:
        return erip.out.document(found)
    return erip.out.print(show.run_page(found, erip.out.console.width))


def explain(erip: Session, run: RunId) -> None:
    """Say what a run waits for: each step, since when, behind how many, until when."""
    found = erip.client.explain_run(run_id(run))
    if erip.out.as_json:
        return erip.out.document(found)
    erip.out.line(found.summary, "bold")
    for one in found.waits:
        erip.out.line(one.sentence)
    return None


def cancel(erip: Session, run: RunIds, reason: Reason = "") -> None:
    """Cancel runs. Many at once: `erip runs cancel`."""
    for id in run_ids(run):
        cancelled = erip.client.cancel_run(id, reason=reason)
        _changed(erip, cancelled, f"{cancelled.id}  {cancelled.status}")


def pause(
    erip: Session,
    run: RunIds,
    reason: Reason = "",
    clock: Clock = "stop",
) -> None:
    """Let runs begin nothing until they are resumed."""
    for id in run_ids(run):
        paused = erip.client.pause_run(id, reason=reason, clock=clock)
        _changed(erip, paused, f"{paused.id}  {paused.status}")


def resume(erip: Session, run: RunIds) -> None:
    """Let paused runs go on."""
    for id in run_ids(run):
        resumed = erip.client.resume_run(id)
        _changed(erip, resumed, f"{resumed.id}  {resumed.status}")


def retry(
    erip: Session, run: RunIds, input: InputFile = None, set: Sets = None, watch: Watch = False, timeout: Timeout = None
) -> None:
    """Run ended runs again, with their version and input. Prints the new ids. Many at once: `erip runs retry`.

    With --input the run gets this input; with --set its own, changed.
    """
    ids = run_ids(run)
    if (input or set) and len(ids) > 1:
        raise typer.BadParameter("Another input is for one run.")
    for id in ids:
        started = erip.client.retry_run(id, input=_corrected(erip, id, input, set))
        if watch:
            status = watching.follow(erip.client, started.id, erip.out, timeout)
            if status is not Exit.OK:
                raise typer.Exit(status)
        else:
            _changed(erip, started, started.id)


def _corrected(erip: Session, id: str, input: str | None, sets: list[str] | None) -> dict[str, Json] | None:
    """The input in place of the run's own; None: it keeps its own."""
    if input is None and not sets:
        return None
    return read_object(input, sets or [], {} if input else erip.client.get_run(id).input)


def signal(
    erip: Session,
    run: Annotated[str, typer.Argument(metavar="RUN|WORKFLOW", help="The run's id; with --key, its workflow.")],
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    payload: Annotated[
        str | None, typer.Option("--payload", metavar="FILE", help="Any JSON; - is standard input.")
    ] = None,
    set: Sets = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="Of the run with this business key.")] = None,
) -> None:
    """Send a signal to a run."""
    more: dict[str, Json] = {}
    if payload is not None or set:
        more["payload"] = read_object(payload, set) if set else read_json(str(payload))
    if key is not None:
        sent = erip.client.signal_workflow(run, name, key, **more)
    else:
        sent = erip.client.signal_run(run_id(run), name, **more)
    to = f"given to {sent.step}" if sent.step else "kept for the first step that will wait for it"
    _changed(erip, sent, to)


def run_id(text: str) -> str:
    """Raises BadParameter: what is no id of a run needs no question to the server."""
    if not _ID.fullmatch(text):
        raise typer.BadParameter(f"{safe(text, 60)!r} is no id of a run, such as 019abc4e-7b0f-7cc3-98d2-1f0c2a5d9e11")
    return text.lower()


def run_ids(texts: list[str]) -> list[str]:
    """All of them are looked at before the first is used; `-` stands for those on standard input."""
    given = (read_bytes("-").decode("utf-8", "replace").split() if text == "-" else [text] for text in texts)
    return [run_id(one) for some in given for one in some]


def _events(erip: Session, id: str) -> None:
    events = erip.client.list_run_events(id)
    if erip.out.as_json:
        return erip.out.document(events)
    rows = [
        (
            clock(event.at),
            event.type,
            "" if event.step is None else f"{event.step}[{event.item}]" if event.item is not None else event.step,
            event.attempt or "",
            safe(error_sentence(event.detail) if event.detail else "", 300),
        )
        for event in events.items
    ]
    return erip.out.table(("AT", "WHAT", "STEP", "ATTEMPT", "DETAIL"), rows, cut=("DETAIL", "WHAT", "STEP"))


def _changed(erip: Session, document: object, line: str) -> None:
    if erip.out.as_json:
        erip.out.document(document, compact=True)
    else:
        erip.out.line(line)
