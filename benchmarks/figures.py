"""A figure, its target, and the verdict."""

import operator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .checks import Correctness
from .statistics import Summary

_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    #: measured without a target, to be compared and charted
    NONE = ""


@dataclass(frozen=True, slots=True)
class Target:
    """`claim`: what ERIP promises its users; otherwise our own, sharper aim."""

    comparison: str  # < <= > >= ==
    value: float
    claim: bool = False

    def __str__(self) -> str:
        sign = {"<=": "≤", ">=": "≥", "==": "="}.get(self.comparison, self.comparison)
        return f"{sign} {self.value:,g}"

    def met_by(self, measured: float) -> bool:
        return bool(_COMPARISONS[self.comparison](measured, self.value))


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `name` stays the same from version to version: baselines are compared by it."""

    name: str
    title: str
    value: float
    unit: str
    #: whether less is better; None where neither direction is
    lower_is_better: bool | None = None
    target: Target | None = None
    #: e.g. the share of what `limits` measured on this machine
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.target is None:
            return Verdict.NONE
        return Verdict.MET if self.target.met_by(self.value) else Verdict.MISSED


@dataclass(frozen=True)
class Grid:
    """A table of a load's details, ready to be shown."""

    title: str
    heads: list[str]
    #: rows with as many cells as there are heads
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of a load: requests that were due in it."""

    asked: int
    right: int
    right_at_once: int
    #: the longest, in seconds
    slowest: float


@dataclass(frozen=True, slots=True)
class Span:
    """What happened meanwhile. Seconds from the beginning of the load."""

    title: str
    begin: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """A load second by second, and what was done to the service meanwhile."""

    moments: list[Moment]
    spans: list[Span]


@dataclass(frozen=True)
class Load:
    """One load, and its results."""

    name: str
    title: str
    #: how it was offered and measured, in one sentence
    method: str
    figures: list[Figure]
    correctness: Correctness
    #: by what was timed ("request", or the name of a step)
    latencies: dict[str, Summary] = field(default_factory=dict)
    #: (percentile, milliseconds) by the same names, for charts
    distributions: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    #: requests or runs per second
    offered: float | None = None
    achieved: float | None = None
    errors: dict[str, int] = field(default_factory=dict)
    grids: list[Grid] = field(default_factory=list)
    timeline: Timeline | None = None


@dataclass(frozen=True)
class Results:
    """The results of one call of the command."""

    environment: dict[str, Any]
    loads: list[Load]
    limits: list[Figure]
    #: what could not be measured, and why
    left_out: list[str] = field(default_factory=list)

    @property
    def figures(self) -> list[Figure]:
        return [*self.limits, *(figure for load in self.loads for figure in load.figures)]

    def missed(self, *, claims_only: bool = False) -> list[str]:
        """One line for each threshold that was missed; wrong results always count."""
        lines = [
            f"{figure.title}: {figure.value:,.6g} {figure.unit}, target {figure.target}"
            for figure in self.figures
            if figure.target and figure.verdict is Verdict.MISSED and (figure.target.claim or not claims_only)
        ]
        for load in self.loads:
            if not load.correctness.right:
                lines.append(f"{load.title}: {load.correctness.wrong} wrong results")
        return lines
