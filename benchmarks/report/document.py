"""The results as plain values, ready for JSON: what `--json` writes and `--baseline` reads."""

from dataclasses import asdict
from typing import Any

from ..baseline import Change
from ..figures import Figure, Load, Results

#: the version of this layout; raised when a reader would have to change
FORMAT = 1


def document(results: Results, changes: list[Change], missed: list[str]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "passed": not missed,
        "missed": missed,
        "environment": results.environment,
        "figures": [_figure(figure) for figure in results.figures],
        "loads": [_load(load) for load in results.loads],
        "left_out": results.left_out,
        "changes": [
            {"name": one.name, "before": one.before, "now": one.now, "worse_percent": round(one.worse, 2)}
            for one in changes
        ],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "title": figure.title,
        "value": round(figure.value, 6),
        "unit": figure.unit,
        "lower_is_better": figure.lower_is_better,
        "target": str(figure.target) if figure.target else None,
        "claim": figure.target.claim if figure.target else False,
        "verdict": str(figure.verdict) or None,
        "note": figure.note,
    }


def _load(load: Load) -> dict[str, Any]:
    checked = load.correctness
    return {
        "name": load.name,
        "title": load.title,
        "method": load.method,
        "offered_per_second": load.offered,
        "achieved_per_second": round(load.achieved, 3) if load.achieved is not None else None,
        "errors": load.errors,
        "latencies_ms": {name: summary.as_dict() for name, summary in load.latencies.items()},
        "tables": [asdict(grid) for grid in load.grids],
        "timeline": asdict(load.timeline) if load.timeline is not None else None,
        "correctness": {
            "right": checked.right,
            "runs_expected": checked.expected,
            "runs_succeeded": checked.succeeded,
            "steps_recorded": checked.steps,
            "steps_repeated": checked.repeated,
            "wrong": checked.wrong,
            "faults": checked.faults,
        },
    }
