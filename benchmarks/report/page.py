"""The results as one page that loads nothing else: no script, no font, no address."""

from collections.abc import Sequence
from html import escape

from ..baseline import Change
from ..figures import Figure, Load, Results, Verdict
from .charts import bars, distribution
from .table import number
from .timeline import chart

STYLE = """
:root {
  --ink: #16202e; --dim: #5b6878; --line: #dfe4ea; --page: #f6f7f9; --card: #fff; --good: #047857; --bad: #b91c1c
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6eaf0; --dim: #9aa7b8; --line: #2b3543; --page: #10151d; --card: #18202b; --good: #34d399; --bad: #f87171
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 880px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 18px; margin: 0 0 4px }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px; margin-top: 20px }
p { margin: 4px 0 14px } .dim { color: var(--dim); font-size: 13px }
.verdict { display: inline-block; padding: 3px 12px; border-radius: 99px; color: #fff; margin: 10px 0 }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 8px 0 }
th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-weight: 500; font-size: 13px }
th:first-child, td:first-child { text-align: left }
.met { color: var(--good); white-space: nowrap } .missed { color: var(--bad); white-space: nowrap }
svg { width: 100%; height: auto; margin-top: 8px } svg text { font: 12px system-ui, sans-serif; fill: var(--dim) }
svg .grid { stroke: var(--line) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; font-size: 13px }
dt { color: var(--dim) } dd { margin: 0; overflow-wrap: anywhere }
"""


def page(results: Results, changes: Sequence[Change], missed: Sequence[str]) -> str:
    verdict = "every threshold met" if not missed else f"{len(missed)} missed"
    colour = "--good" if not missed else "--bad"
    body = [
        "<h1>ERIP benchmarks</h1>",
        f'<div class="dim">{escape(str(results.environment.get("at", "")))} · {_machine(results)}</div>',
        f'<div class="verdict" style="background: var({colour})">{verdict}</div>',
        *(f'<div class="missed">✗ {escape(line)}</div>' for line in missed),
        *(f'<div class="dim">Left out: {escape(line)}</div>' for line in results.left_out),
        *map(_load, results.loads),
        _limits(results.limits),
        _changes(changes),
        _environment(results),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>ERIP benchmarks</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _machine(results: Results) -> str:
    told = results.environment
    where = f"{told['url']}, asked from: " if "url" in told else ""
    return escape(
        f"{where}{told.get('cpu')}, {told.get('cores')} cores, {told.get('memory_gb')} GB, commit {told.get('commit')}"
    )


def _load(load: Load) -> str:
    checked = load.correctness
    told = [f"offered {number(load.offered)}/s"] if load.offered else []
    told += [f"achieved {number(load.achieved)}/s"] if load.achieved else []
    told += [f"{escape(name)}: {count}" for name, count in load.errors.items()]
    if checked.expected or not checked.right:
        told.append(
            f'<span class="{"met" if checked.right else "missed"}">{checked.succeeded:,} of {checked.expected:,} runs '
            f"SUCCEEDED, {checked.wrong} wrong</span>"
        )
        told.append(f"{checked.steps:,} steps recorded, {checked.repeated} repeated")
    parts = [f"<h2>{escape(load.title)}</h2>", f'<p class="dim">{escape(load.method)}</p>', _figures(load.figures)]
    if load.timeline is not None:
        parts.append(chart(load.timeline))
    for grid in load.grids:
        parts.append(f"<p>{escape(grid.title)}</p>")
        parts.append(_table(grid.heads, [list(map(escape, row)) for row in grid.rows]))
    if load.latencies:
        rows = [
            [escape(what), str(one.count), *map(number, (one.mean, one.p50, one.p95, one.p99, one.max))]
            for what, one in load.latencies.items()
        ]
        parts.append(_table(["ms", "n", "mean", "p50", "p95", "p99", "max"], rows))
        parts.append(distribution(load.distributions))
    parts.append(f'<p class="dim">{" · ".join(told)}</p>')
    parts += [f'<div class="missed">{escape(fault)}</div>' for fault in checked.faults]
    return f"<section>{''.join(parts)}</section>"


def _figures(figures: Sequence[Figure]) -> str:
    signs = {Verdict.MET: "✓ met", Verdict.MISSED: "✗ missed", Verdict.NONE: ""}
    rows = []
    for figure in figures:
        note = f'<div class="dim">{escape(figure.note)}</div>' if figure.note else ""
        target = escape(f"{figure.target} {figure.unit}") if figure.target else ""
        verdict = f'<span class="{figure.verdict}">{signs[figure.verdict]}</span>'
        rows.append([escape(figure.title) + note, target, f"{number(figure.value)} {escape(figure.unit)}", verdict])
    return _table(["figure", "target", "measured", "verdict"], rows)


def _limits(limits: Sequence[Figure]) -> str:
    if not limits:
        return ""
    chart = bars([(figure.title, figure.value, figure.unit) for figure in limits])
    said = '<p class="dim">Measured in the same run, by bare loops (logarithmic scale).</p>'
    return f"<section><h2>The machine's own ceiling</h2>{said}{chart}</section>"


def _changes(changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    rows = [
        [escape(one.title), number(one.before), f"{number(one.now)} {escape(one.unit)}", f"{one.worse:+.1f} %"]
        for one in changes
    ]
    return f"<section><h2>Against the baseline</h2>{_table(['figure', 'before', 'now', 'worse by'], rows)}</section>"


def _environment(results: Results) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in results.environment.items()
    )
    return f"<section><h2>Environment</h2><dl>{rows}</dl></section>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
