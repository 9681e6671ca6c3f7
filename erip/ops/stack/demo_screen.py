"""What the demo prints of a finished run: what is late and what was not known, then timeline, decision, losses, legal
deadlines, report.

It finds the figures in the steps' outputs by their keys (`ale`, `approvers`, `obligations`, `report_id`), so that a
definition may name its steps as it likes.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

# From this console width on there is room for a wide bar.
WIDE = 100
WIDE_BAR, NARROW_BAR = 28, 18
# Lines on what was not known; the report has all.
UNSURE_SHOWN = 6
COLOURS = {"SUCCEEDED": "green", "FAILED": "red", "TIMED_OUT": "red", "CANCELLED": "yellow", "UNKNOWN": "yellow"}
LEVELS = {"none": "green", "team": "green", "manager": "yellow"}


def show(run: Mapping[str, Any], console: Console | None = None) -> None:
    """Print `run`, as the API gives it."""
    console = console or Console(highlight=False)
    console.print()
    console.print(_title(run))
    parts: list[tuple[str, RenderableType | None]] = [
        ("Overdue", _overdue(_holding(run, "obligations"))),
        ("Not known, or assumed", _unsure(run)),
        ("Timeline", _timeline(run, console.width)),
        ("Decision", _decision(_holding(run, "approvers", "level"))),
        ("Loss", _loss(_holding(run, "ale", "p95"))),
        ("Legal deadlines", _deadlines(_holding(run, "obligations"))),
    ]
    for title, part in parts:
        if part is not None:
            _head(console, title)
            console.print(Padding(part, (0, 0, 0, 2)))
    if report := _report(run):
        _head(console, "Report")
        for line in report:
            console.print(Text("  ").append_text(line), soft_wrap=True)
    console.print()


def _head(console: Console, title: str) -> None:
    console.print()
    console.print(Rule(Text(title, "bold"), align="left", style="dim"))


# --- parts ------------------------------------------------------------------------------------------------


def _title(run: Mapping[str, Any]) -> RenderableType:
    status = str(run["status"])
    took = _milliseconds(run.get("created_at"), run.get("finished_at"))
    head = Text.assemble(
        (f"{run['workflow']}", "bold"),
        f" v{run['version']}  ",
        (status, f"bold {COLOURS.get(status, 'cyan')}"),
        f" in {took:,.0f} ms" if took is not None else "",
    )
    details = Text(f"{run.get('business_key') or ''}  run {run['id']}  {run['lane']} lane".strip(), "dim")
    error = run.get("error")
    return Group(head, details, *([Text(_sentence(error), "red")] if error else []))


def _overdue(found: Mapping[str, Any] | None) -> RenderableType | None:
    """A deadline that has passed is the headline, whatever else there is to say."""
    late = [one for one in (found or {}).get("obligations", []) if one.get("status") == "overdue"]
    if not late:
        return None
    lines = []
    for one in sorted(late, key=lambda one: str(one.get("deadline") or "~")):
        check = ", to be checked" if one.get("applicability", "applies") != "applies" else ""
        lines.append(Text(f"{one.get('regime', '')}: {one.get('title', '')}", "bold red"))
        lines[-1].append(f", was due {_moment(one['deadline'])} UTC, {_left(one.get('hours_left'))}{check}", "red")
    return Group(*lines)


def _unsure(run: Mapping[str, Any]) -> RenderableType | None:
    """Invented data, unknown names and words, and what was taken in their place: what the figures rest on."""
    sample = list(dict.fromkeys(name for output in _outputs(run) for name in output.get("sample_data") or []))
    unsure = list(dict.fromkeys(str(line) for output in _outputs(run) for line in output.get("assumptions") or []))
    if not sample and not unsure:
        return None
    lines = (
        [Text(f"Sample data of an invented organisation: {', '.join(map(str, sample))}", "yellow")] if sample else []
    )
    lines += [Text(f"- {line}") for line in unsure[:UNSURE_SHOWN]]
    if len(unsure) > UNSURE_SHOWN:
        lines.append(Text(f"{len(unsure) - UNSURE_SHOWN} more in the report", "dim"))
    return Group(*lines)


def _timeline(run: Mapping[str, Any], width: int) -> RenderableType:
    """One bar per step, from the moment the run was accepted; what runs after the outcome is dimmed."""
    start = _time(run["created_at"])
    steps = sorted(run["steps"], key=lambda step: step.get("started_at") or "~")
    whole = max([1.0, *(_milliseconds(start, step.get("finished_at")) or 0.0 for step in steps)])
    room = WIDE_BAR if width >= WIDE else NARROW_BAR
    hosts = {str(step["worker"]).partition("@")[2] for step in steps if step.get("worker")}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title, justify in (("step", "left"), ("worker", "left"), ("start", "right"), ("ms", "right")):
        table.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column(f"0 … {whole:,.0f} ms", no_wrap=True)
    table.add_column()
    errors = []
    for step in steps:
        began = _milliseconds(start, step.get("started_at"))
        took = _milliseconds(step.get("started_at"), step.get("finished_at"))
        status = str(step["status"])
        late = not step.get("essential", True)
        name = str(step["id"]) if step.get("item") is None else f"{step['id']}[{step['item']}]"
        worker = str(step.get("worker") or "-")
        notes = [status.lower()] if status != "SUCCEEDED" else []
        notes += [f"attempt {step['attempt']}"] if (step.get("attempt") or 1) > 1 else []
        notes += ["after the outcome"] if late else []
        colour = COLOURS.get(status, "dim")
        table.add_row(
            Text(name, "dim" if late else ""),
            Text(worker.partition("@")[0] if len(hosts) == 1 else worker, "dim"),
            f"{began:,.0f}" if began is not None else "",
            f"{took:,.0f}" if took is not None else "",
            _bar(began, took, whole, room, "blue" if late and status == "SUCCEEDED" else colour),
            Text(", ".join(notes), colour if status != "SUCCEEDED" else "dim"),
        )
        if step.get("error"):
            errors.append(Text(f"{name}: {_sentence(step['error'])}", colour))
    return Group(table, *errors)


def _decision(found: Mapping[str, Any] | None) -> RenderableType | None:
    if found is None:
        return None
    level = str(found["level"])
    line = Text.assemble((level.upper(), f"bold {LEVELS.get(level, 'red')}"), " approval")
    if found.get("urgency"):
        line.append(f", {found['urgency']}")
    if found.get("sla_hours"):
        line.append(f", within {_number(found['sla_hours'])} h")
    if found.get("due_at"):
        line.append(f" (by {_moment(found['due_at'])} UTC)")
    lines = [line]
    if found.get("approvers"):
        lines.append(Text("by " + ", ".join(str(approver).replace("_", " ") for approver in found["approvers"])))
    if found.get("reason"):
        lines.append(Text(str(found["reason"]), "dim"))
    return Group(*lines)


def _loss(found: Mapping[str, Any] | None) -> RenderableType | None:
    if found is None:
        return None
    currency = str(found.get("currency", ""))
    table = Table(box=None, padding=(0, 4, 0, 0), header_style="dim")
    figures = (("ALE", "ale"), ("P5", "p5"), ("P50", "p50"), ("P95", "p95"), ("VaR 95", "var95"))
    known = [(title, key) for title, key in figures if isinstance(found.get(key), int | float)]
    if not known:
        return Text("not known", "dim")
    single = found.get("single_loss") or {}
    table.add_column("")
    for title, _ in known:
        table.add_column(title, justify="right")
    table.add_row("a year", *(Text(money(found[key]), "bold") for _, key in known))
    if single:
        # Most years see no such incident, and their loss is 0; this row is what one incident costs.
        row = {"ale": "mean", "p5": "p5", "p50": "p50", "p95": "p95"}
        table.add_row("this incident", *(money(single[row[key]]) if key in row else "" for _, key in known))
    basis = [currency] if currency else []
    if found.get("iterations"):
        basis.append(f"{found['iterations']:,} simulated years")
    if found.get("seed") is not None:
        basis.append(f"seed {found['seed']}")
    if isinstance(found.get("convergence_error"), int | float):
        basis.append(f"error of the ALE {found['convergence_error']:.1%}")
    return Group(table, Text(", ".join(basis), "dim"))


def _deadlines(found: Mapping[str, Any] | None) -> RenderableType | None:
    """Those that apply, the most urgent first; those that cannot be dated yet last."""
    if found is None:
        return None
    due = [one for one in found["obligations"] if one.get("applicability", "applies") == "applies"]
    check = len(found["obligations"]) - len(due)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("by (UTC)", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("rule", max_width=16)
    table.add_column("what is due", ratio=1)
    for one in sorted(due, key=lambda one: str(one.get("deadline") or "~")):
        hours = one.get("hours_left")
        urgency = "red" if hours is not None and hours < 24 else "yellow" if hours is not None and hours < 96 else "dim"
        table.add_row(
            Text(_moment(one["deadline"]) if one.get("deadline") else "not dated", "" if hours is not None else "dim"),
            Text(_left(hours), urgency),
            Text(str(one.get("regime", "")), "bold"),
            Text(str(one.get("title", "")) + ("" if one.get("verified") else " *")),
        )
    lines: list[RenderableType] = [table if due else Text("none applies", "dim")]
    if any(not one.get("verified") for one in due):
        lines.append(Text("* not verified: check the wording of the law", "dim"))
    if check:
        lines.append(Text(f"{check} more to check, as facts are missing", "dim"))
    return Group(*lines)


def _report(run: Mapping[str, Any]) -> list[Text]:
    """The files and the link that the report step gave, one per line so that they are easy to copy."""
    found = _holding(run, "report_id") or {}
    lines = [Text(str(found[key])) for key in ("path", "markdown_path") if found.get(key)]
    if found.get("url"):
        lines.append(Text(str(found["url"])))
        lines.append(Text("The link can be shared; it answers while the platform is up (make up).", "dim"))
    return lines


# --- finding ----------------------------------------------------------------------------------------------


def _outputs(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for step in run["steps"]:
        if isinstance(step.get("output"), dict):
            yield step["output"]


def _holding(run: Mapping[str, Any], *keys: str) -> Mapping[str, Any] | None:
    """The first output that has all of `keys`."""
    return next((output for output in _outputs(run) if all(key in output for key in keys)), None)


# --- words ------------------------------------------------------------------------------------------------


def money(amount: float) -> str:
    """`1,234`, `56.7 k`, `8.90 M`, `1.23 bn`: three significant figures."""
    for limit, size, unit in ((1e9, 1e9, "bn"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(amount) >= limit:
            scaled = amount / size
            return f"{scaled:,.{0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2}f} {unit}"
    return f"{amount:,.0f}"


def _bar(began: float | None, took: float | None, whole: float, room: int, colour: str) -> Text:
    if began is None or took is None:
        return Text()
    first = min(room - 1, int(began / whole * room))
    length = max(1, min(room - first, round(took / whole * room)))
    return Text.assemble(" " * first, ("━" * length, colour))


def _number(value: float) -> str:
    return f"{value:g}"


def _left(hours: float | None) -> str:
    if hours is None:
        return ""
    if hours < 0:
        return f"{-hours:,.0f} h late"
    return f"{hours:,.0f} h" if hours < 96 else f"{hours / 24:,.0f} d"


def _moment(value: str) -> str:
    return f"{_time(value).astimezone(UTC):%Y-%m-%d %H:%M}"


def _milliseconds(start: str | datetime | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (_time(end) - _time(start)).total_seconds() * 1000


def _time(value: str | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _sentence(error: Any) -> str:
    """An error as the API gives it: a text, or an object with a message."""
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or error)
    return str(error or "")
