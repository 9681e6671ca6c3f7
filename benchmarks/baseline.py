"""Comparison with the figures of an earlier run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import Usage
from .figures import Figure


@dataclass(frozen=True, slots=True)
class Change:
    """One figure then and now."""

    name: str
    title: str
    unit: str
    before: float
    now: float
    #: in percent of the value before; above 0 is worse, whichever way the figure counts
    worse: float


def read(path: Path) -> dict[str, float]:
    """Values by figure name, from a file that `--json` wrote. Raises Usage."""
    try:
        told = json.loads(path.read_text())
        return {figure["name"]: float(figure["value"]) for figure in told["figures"]}
    except OSError as error:
        raise Usage(f"The baseline {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise Usage(f"{path} is no file that `run_benchmarks --json` wrote.") from None


def compare(before: Mapping[str, float], figures: Sequence[Figure]) -> list[Change]:
    """Every figure that both runs have and for which one direction is better."""
    changes = []
    for figure in figures:
        then = before.get(figure.name)
        if then is None or figure.lower_is_better is None:
            continue
        grown = (figure.value - then) if figure.lower_is_better else (then - figure.value)
        worse = 100.0 * grown / abs(then) if then else (0.0 if not grown else float("inf") * grown)
        changes.append(Change(figure.name, figure.title, figure.unit, then, figure.value, worse))
    return changes


def regressions(changes: Sequence[Change], tolerance: float) -> list[Change]:
    """Those that are worse by more than `tolerance` percent, worst first."""
    return sorted((change for change in changes if change.worse > tolerance), key=lambda change: -change.worse)


def percent(text: str) -> float:
    """Reads 10% or 10 as 10.0. Raises Usage."""
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise Usage(f'"{text}" is no percentage; say for instance 10%.')
    return value
