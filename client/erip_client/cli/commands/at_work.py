"""What runs where, and what waits for a person: list it, and say how a step ended."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer
from rich.text import Text

from erip_client.models import UnknownStep
from erip_client.models.base import Json

from ..exits import Exit
from ..inputs import read_json, read_object
from ..session import Session, command
from ..terminal import coloured
from ..words import error_sentence, safe, since
from .runs import Sets, run_id

#: steps that are listed
MOST = 1_000


def register(app: typer.Typer) -> None:
    command(app, "workers")(workers)
    command(app, "resolve")(resolve)


def workers(erip: Session) -> None:
    """List the workers, with the steps that each runs now."""
    found = erip.client.list_workers().items
    if erip.out.as_json:
        return erip.out.document({"items": found})
    if not found:
        return erip.out.note("There is no worker.")
    rows: list[tuple[object, ...]] = []
    for one in found:
        alive = Text("alive", "green") if one.alive else Text(f"silent for {since(one.heard_at)}", "red")
        first: tuple[object, ...] = (one.name, one.pid, alive)
        for step in one.steps:
            name = step.step if step.item is None else f"{step.step}[{step.item}]"
            rows.append((*first, f"{step.workflow} {name}", since(step.started_at), step.business_key or "", step.run))
            first = ("", "", Text())
        if one.running > len(one.steps):
            rows.append((*first, f"and {one.running - len(one.steps)} more", "", "", ""))
        elif not one.steps:
            rows.append((*first, "-", "", "", ""))
    titles = ("WORKER", "PID", "STATE", "RUNS NOW", "SINCE", "KEY", "RUN")
    return erip.out.table(titles, rows, cut=("KEY", "RUNS NOW", "WORKER"))


def resolve(
    erip: Session,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN|WORKFLOW]", help="The run's id; with --key, its workflow.")
    ] = None,
    step: Annotated[str | None, typer.Argument(metavar="[STEP]", help="The step that is UNKNOWN.")] = None,
    outcome: Annotated[
        str | None, typer.Argument(metavar="[OUTCOME]", help="succeeded, failed, or retry: run it again.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Its output, JSON; - is standard input.")
    ] = None,
    set: Sets = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="Of the run with this business key.")] = None,
    item: Annotated[int | None, typer.Option("--item", min=0, help="Of a step with foreach: which item.")] = None,
    note: Annotated[str, typer.Option("--note", help="Recorded with the run.")] = "",
) -> None:
    """Say what became of a step whose outcome is UNKNOWN. Without any argument: list these steps."""
    if run is None or step is None or outcome is None:
        if run is not None or output or set or item is not None or note:
            raise typer.BadParameter("Say RUN, STEP and OUTCOME; or nothing, to list what waits for an answer.")
        return _list(erip, key)
    more: dict[str, Json] = {}
    if output is not None or set:
        more["output"] = read_object(output, set) if set else read_json(str(output))
    if key is None:
        id = run_id(run)
    else:
        id, item = _the_one(erip, run, key, step, item)
    erip.client.resolve_step(id, step, outcome.lower(), item=item, note=note, **more)
    found = erip.client.get_run(id)
    if erip.out.as_json:
        return erip.out.document(found, compact=True)
    return erip.out.line(f"{found.id}  {found.status}")


def _list(erip: Session, key: str | None) -> None:
    pages = erip.client.pages(erip.client.list_unknown_steps, business_key=key, limit=200)
    found = list(islice(pages, MOST))
    if erip.out.as_json:
        return erip.out.document({"items": found})
    if not found:
        return erip.out.note("No step waits for a person to say how it ended.")
    rows = [
        (
            one.workflow,
            one.business_key or "",
            coloured(one.run_status),
            _name(one),
            since(one.started_at) if one.started_at else "",
            one.run,
            safe(error_sentence(one.error), 200) if one.error else "",
        )
        for one in found
    ]
    titles = ("WORKFLOW", "KEY", "STATUS", "STEP", "BEGAN", "RUN", "WHY")
    erip.out.table(titles, rows, cut=("WHY", "KEY", "WORKFLOW"))
    erip.out.note(f"Look at what it did. Then: {_answer_to(found[0])}")
    return None


def _the_one(erip: Session, workflow: str, key: str, step: str, item: int | None) -> tuple[str, int | None]:
    """The run and item of the only step that fits. Ends the program if there is none, or more than one."""
    pages = erip.client.pages(erip.client.list_unknown_steps, workflow=workflow, business_key=key, limit=200)
    found = [one for one in pages if one.step == step and item in (None, one.item)]
    if len(found) == 1:
        return found[0].run, found[0].item
    which = f"step {step} of {workflow} with the key {key}"
    if not found:
        erip.out.note(f"erip: No {which} is UNKNOWN.")
        raise typer.Exit(Exit.NOT_FOUND)
    erip.out.note(f"erip: {len(found)} times {which} is UNKNOWN. Say which:{_each(found[:5])}")
    raise typer.Exit(Exit.CONFLICT)


def _each(steps: Sequence[UnknownStep]) -> str:
    return "".join(f" {_answer_to(one)};" for one in steps).rstrip(";")


def _answer_to(step: UnknownStep) -> str:
    """The command that says how it ended."""
    item = "" if step.item is None else f" --item {step.item}"
    return f"erip resolve {step.run} {step.step} succeeded|failed|retry{item}"


def _name(step: UnknownStep) -> str:
    return step.step if step.item is None else f"{step.step}[{step.item}]"
