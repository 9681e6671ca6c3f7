"""The results in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..baseline import Change
from ..figures import Figure, Grid, Load, Results, Verdict
from . import timeline

_VERDICTS = {Verdict.MET: "[green]✓ met[/]", Verdict.MISSED: "[red]✗ missed[/]", Verdict.NONE: ""}


def show(console: Console, results: Results, changes: Sequence[Change], missed: Sequence[str]) -> None:
    told = results.environment
    where = f"{escape(told['url'])}, asked from: " if "url" in told else ""
    console.print(
        f"[dim]{where}{told.get('cpu')} · {told.get('cores')} cores · {told.get('memory_gb')} GB · PostgreSQL "
        f"{told.get('postgres_server_version', '?')} · Python {told.get('python')} · commit {told.get('commit')} · "
        f"load before {told.get('load_before')}[/]"
    )
    for load in results.loads:
        _show_load(console, load)
    if results.limits:
        console.print("\n[bold]The machine's own ceiling[/]")
        console.print(_figures(results.limits))
    if changes:
        console.print("\n[bold]Against the baseline[/]")
        console.print(_changes(changes))
    for line in results.left_out:
        console.print(f"[yellow]![/] left out: {escape(line)}", soft_wrap=True)
    for line in missed:
        console.print(f"[red]✗[/] {escape(line)}", soft_wrap=True)


def _show_load(console: Console, load: Load) -> None:
    console.print(f"\n[bold]{escape(load.title)}[/]")
    console.print(f"[dim]{escape(load.method)}[/]", soft_wrap=True)
    if load.latencies:
        table = Table(box=None, pad_edge=False)
        table.add_column("ms")
        for name in ("n", "mean", "p50", "p95", "p99", "max"):
            table.add_column(name, justify="right")
        for what, summary in load.latencies.items():
            values = (summary.mean, summary.p50, summary.p95, summary.p99, summary.max)
            table.add_row(what, str(summary.count), *(number(value) for value in values))
        console.print(table)
    for grid in load.grids:
        console.print(f"[bold]{escape(grid.title)}[/]")
        console.print(_grid(grid))
    if load.timeline is not None:
        console.print("[dim]each sign a second: █ answered at once, ▒ with retries, ✗ not; letters: faults[/]")
        for line in timeline.text(load.timeline):
            console.print(escape(line), highlight=False, soft_wrap=True)
    console.print(_figures(load.figures))
    rates = [f"offered {number(load.offered)}/s"] if load.offered else []
    rates += [f"achieved {number(load.achieved)}/s"] if load.achieved else []
    rates += [f"errors: {name}: {count}" for name, count in load.errors.items()]
    checked = load.correctness
    colour = "green" if checked.right else "red"
    if checked.expected or not checked.right:
        rates.append(
            f"[{colour}]{checked.succeeded:,} of {checked.expected:,} runs SUCCEEDED, {checked.steps:,} steps "
            f"recorded, {checked.repeated} repeated, {checked.wrong} wrong[/]"
        )
    console.print(" · ".join(rates), soft_wrap=True)
    for fault in checked.faults:
        console.print(f"  [red]{escape(fault)}[/]", soft_wrap=True)


def _figures(figures: Sequence[Figure]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=any(figure.target for figure in figures))
    table.add_column("figure", ratio=None)
    table.add_column("target", justify="right")
    table.add_column("measured", justify="right")
    table.add_column("verdict")
    for figure in figures:
        target = f"{figure.target} {figure.unit}" if figure.target else ""
        title = escape(figure.title) + (f"\n[dim]{escape(figure.note)}[/]" if figure.note else "")
        table.add_row(title, target, f"{number(figure.value)} {figure.unit}", _VERDICTS[figure.verdict])
    return table


def _grid(grid: Grid) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, head in enumerate(grid.heads):
        # A column that has a number in the first row has numbers in all.
        numeric = bool(grid.rows) and grid.rows[0][place][:1].isdigit()
        table.add_column(head, justify="right" if numeric else "left")
    for row in grid.rows:
        table.add_row(*map(escape, row))
    return table


def _changes(changes: Sequence[Change]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("figure", "before", "now", "worse by"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for one in changes:
        worse = f"{one.worse:+.1f} %"
        table.add_row(escape(one.title), number(one.before), f"{number(one.now)} {one.unit}", worse)
    return table


def number(value: float) -> str:
    """Three or four digits that say something."""
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:,.2f}"
