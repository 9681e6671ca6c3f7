"""How runs look: in lists, one by one, and as a timeline."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from erip_client.models import Run, RunListed, Step

from .terminal import COLOURS, Output, coloured
from .words import clock, error_sentence, safe, safe_block, since, to_json, took

#: from this width on there is room for a wide bar
WIDE = 100
WIDE_BAR, NARROW_BAR = 28, 14
#: lines of an output that are shown; `--output` shows all
OUTPUT_LINES = 30


def runs_table(out: Output, runs: Sequence[RunListed]) -> None:
    rows = [
        (
            run.id,
            run.workflow,
            coloured(run.status),
            since(run.created_at),
            run.business_key or "",
            Text(safe(error_sentence(run.error), 200) if run.error else "", "red"),
        )
        for run in runs
    ]
    out.table(("RUN", "WORKFLOW", "STATUS", "AGE", "KEY", "ERROR"), rows, cut=("ERROR", "WORKFLOW", "KEY"))


def run_page(run: Run, width: int) -> RenderableType:
    """The error on top and whole, then the timeline, then the output."""
    parts: list[RenderableType] = [heading(run)]
    if run.error:
        parts.append(Text(safe_block(error_sentence(run.error)), "red"))
    parts += [Text(), timeline(run, width), *waits(run)]
    for step in run.steps:
        if step.error:
            name = step_name(step)
            parts.append(Text.assemble((f"{safe(name)}: ", "bold"), (safe_block(error_sentence(step.error)), "red")))
    if run.output is not None:
        lines = to_json(run.output).splitlines()
        more = [f"… {len(lines) - OUTPUT_LINES} more lines: --output"] if len(lines) > OUTPUT_LINES else []
        shown = "\n".join(lines[:OUTPUT_LINES] + more)
        parts += [Text(), Text("Output", "bold"), Padding(Text(shown), (0, 0, 0, 2))]
    return Group(*parts)


def waits(run: Run) -> Iterator[RenderableType]:
    """What the steps wait for that wait, in words."""
    for step in run.steps:
        if step.waits_for and not step.ended:
            yield Text.assemble((f"{safe(step_name(step))}: ", "bold"), safe(step.waits_for))


def heading(run: Run) -> RenderableType:
    status = Text(safe(run.status), f"bold {COLOURS.get(run.status, '')}".strip())
    title = Text.assemble((safe(run.workflow), "bold"), f" v{run.version}  ", status)
    if spent := took(run.created_at, run.finished_at):
        title.append(f" in {spent}")
    elif run.started_at is not None:
        title.append(f" for {since(run.started_at)}")
    key = f"{run.business_key}  " if run.business_key else ""
    details = f"{key}run {run.id}  {run.lane} lane  started by {run.started_by} {since(run.created_at)} ago"
    return Group(title, Text(safe(details), "dim"))


def timeline(run: Run, width: int, now: datetime | None = None) -> RenderableType:
    """A bar for each step, from the moment the run was accepted; what is still going on ends now."""
    now = now or datetime.now(UTC)
    steps = sorted(run.steps, key=lambda step: (step.started_at is None, step.started_at or now))
    ends = [step.finished_at or (now if step.started_at and not step.ended else None) for step in steps]
    last = max([end for end in ends if end is not None], default=run.created_at)
    whole = max((last - run.created_at).total_seconds(), 0.001)
    room = WIDE_BAR if width >= WIDE else NARROW_BAR
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("STEP", overflow="fold")
    table.add_column("STATUS", no_wrap=True)
    table.add_column("TOOK", justify="right", no_wrap=True)
    table.add_column(f"0 … {_seconds(whole)}", no_wrap=True)
    table.add_column("", overflow="fold")
    for step, end in zip(steps, ends, strict=True):
        table.add_row(
            Text(safe(step_name(step)), "" if step.essential else "dim"),
            coloured(step.status),
            took(step.started_at, end),
            _bar(run.created_at, step.started_at, end, whole, room, COLOURS.get(step.status, "dim")),
            Text(safe(", ".join(_notes(step))), "dim"),
        )
    return table


def step_name(step: Step) -> str:
    return step.id if step.item is None else f"{step.id}[{step.item}]"


def changes(before: Run | None, run: Run) -> Iterator[str]:
    """What is new, in lines: for a pipe or a log, where nothing can be drawn over."""
    old = {step_name(step): step for step in before.steps} if before else {}
    for step in run.steps:
        was = old.get(step_name(step))
        if was is not None and (was.status, was.attempt) == (step.status, step.attempt):
            continue
        if was is None and step.status == "PENDING":
            continue
        at = clock(step.finished_at or step.started_at or datetime.now(UTC))
        words = [at, step_name(step), step.status, took(step.started_at, step.finished_at)]
        words += [f"attempt {step.attempt}"] if step.attempt > 1 else []
        words += [error_sentence(step.error)] if step.error else []
        yield "  ".join(word for word in words if word)
    if before is None or before.status != run.status:
        spent = took(run.created_at, run.finished_at)
        error = [error_sentence(run.error)] if run.error else []
        words = [clock(run.finished_at or run.created_at), f"run {run.id}", run.status, spent, *error]
        yield "  ".join(word for word in words if word)


def _notes(step: Step) -> Iterator[str]:
    if step.attempt > 1:
        yield f"attempt {step.attempt}"
    if step.items is not None:
        counts = ", ".join(f"{count} {status.lower()}" for status, count in sorted(step.items.by_status.items()))
        yield f"{step.items.total} items: {counts}" if counts else f"{step.items.total} items"
    if not step.essential:
        yield "not essential"


def _bar(zero: datetime, began: datetime | None, ended: datetime | None, whole: float, room: int, style: str) -> Text:
    if began is None or ended is None:
        return Text()
    first = min(room - 1, max(0, int((began - zero).total_seconds() / whole * room)))
    last = min(room, max(first + 1, round((ended - zero).total_seconds() / whole * room)))
    return Text(" " * first + "━" * (last - first), style)


def _seconds(seconds: float) -> str:
    return (
        f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
    )
