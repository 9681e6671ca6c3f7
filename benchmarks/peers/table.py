"""From figures to a table: percentiles, ratios against ERIP, Markdown and JSON. Nothing in here runs anything."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.catalogue import CATALOGUE

REFERENCE = "erip"
TITLES = {peer.name: peer.title for peer in CATALOGUE}


@dataclass(frozen=True)
class Figures:
    """What was measured of one peer."""

    #: workflows started at once
    workflows: int
    #: from the first start to the last recorded outcome
    seconds: float
    #: seconds from start to recorded outcome, one for each workflow on the idle system
    latencies: tuple[float, ...]
    #: of all processes and servers, for the workflows started at once
    cpu_seconds: float
    #: the highest sum over all processes and servers
    memory_bytes: int
    #: cores that other programs of the machine used meanwhile, on average: only figures with few of them are comparable
    other_cores: float = 0.0

    @property
    def throughput(self) -> float:
        """Workflows per second."""
        return self.workflows / self.seconds

    @property
    def cpu_per_thousand(self) -> float:
        """CPU-seconds per 1,000 workflows."""
        return self.cpu_seconds * 1000 / self.workflows

    @property
    def p50(self) -> float:
        return percentile(self.latencies, 50)

    @property
    def p95(self) -> float:
        return percentile(self.latencies, 95)


@dataclass(frozen=True)
class Outcome:
    """Figures of one peer, or the reason why there are none."""

    name: str
    version: str
    figures: Figures | None = None
    reason: str = ""

    @property
    def title(self) -> str:
        return f"{TITLES.get(self.name, self.name)} {self.version}".rstrip()


def settle(rounds: Sequence[Outcome]) -> Outcome:
    """The round that counts: the one that others disturbed least, or the first that failed.

    The choice does not look at the result, and a good round does not make up for a failure.
    """
    failed = [outcome for outcome in rounds if outcome.figures is None]
    if failed:
        return failed[0]
    return min(rounds, key=lambda outcome: outcome.figures.other_cores if outcome.figures else math.inf)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile. Raises ValueError for no values."""
    if not values:
        raise ValueError("a percentile of nothing")
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


@dataclass(frozen=True)
class Ratios:
    """How many times as good ERIP is: above 1 ERIP is better, below 1 the peer is."""

    throughput: float
    cpu: float
    latency: float


def ratios(reference: Figures, peer: Figures) -> Ratios:
    return Ratios(
        throughput=reference.throughput / peer.throughput,
        cpu=peer.cpu_per_thousand / reference.cpu_per_thousand,
        latency=peer.p50 / reference.p50,
    )


def reference_of(outcomes: Sequence[Outcome]) -> Figures | None:
    """ERIP's figures of the same run, if it was measured without a failure."""
    return next((outcome.figures for outcome in outcomes if outcome.name == REFERENCE), None)


HEAD = (
    "peer",
    "workflows",
    "workflows/s",
    "CPU-s per 1,000",
    "idle p50 ms",
    "idle p95 ms",
    "peak MB",
    "others' cores",
    "ERIP: throughput",
    "CPU",
    "p50",
)


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """The table's cells. A peer without figures has only the reason, in the second cell."""
    reference = reference_of(outcomes)
    return [_row(outcome, reference) for outcome in outcomes]


def _row(outcome: Outcome, reference: Figures | None) -> tuple[str, ...]:
    figures = outcome.figures
    if figures is None:
        return (outcome.title, f"not measured: {outcome.reason}")
    compared = ("-", "-", "-")
    if reference is not None and outcome.name != REFERENCE:
        ratio = ratios(reference, figures)
        compared = (times(ratio.throughput), times(ratio.cpu), times(ratio.latency))
    return (
        outcome.title,
        f"{figures.workflows:,}",
        number(figures.throughput),
        number(figures.cpu_per_thousand),
        number(figures.p50 * 1000),
        number(figures.p95 * 1000),
        f"{figures.memory_bytes / 1_000_000:,.0f}",
        f"{figures.other_cores:.1f}",
        *compared,
    )


def number(value: float) -> str:
    """No decimals from 100 on, one from 1 on, two below."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def times(ratio: float) -> str:
    return f"{number(ratio)} x"


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table as it stands in README.md."""
    lines = ["| " + " | ".join(HEAD) + " |", "| --- |" + " ---: |" * (len(HEAD) - 1)]
    for row in rows(outcomes):
        cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in row]
        lines.append("| " + " | ".join(cells + [""] * (len(HEAD) - len(cells))) + " |")
    return "\n".join(lines) + "\n"


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """For --json. Seconds and bytes, unrounded; `ratios` as in Ratios, null for ERIP and without ERIP."""
    reference = reference_of(outcomes)
    return [_as_json(outcome, reference) for outcome in outcomes]


def _as_json(outcome: Outcome, reference: Figures | None) -> dict[str, Any]:
    about: dict[str, Any] = {"name": outcome.name, "title": outcome.title, "version": outcome.version}
    figures = outcome.figures
    if figures is None:
        return {**about, "figures": None, "ratios": None, "reason": outcome.reason}
    compared = ratios(reference, figures) if reference and outcome.name != REFERENCE else None
    return {
        **about,
        "figures": {
            "workflows": figures.workflows,
            "seconds": figures.seconds,
            "workflows_per_second": figures.throughput,
            "cpu_seconds_per_1000": figures.cpu_per_thousand,
            "latency_p50_seconds": figures.p50,
            "latency_p95_seconds": figures.p95,
            "latency_samples": len(figures.latencies),
            "peak_memory_bytes": figures.memory_bytes,
            "other_cores": figures.other_cores,
        },
        "ratios": compared
        and {"throughput": compared.throughput, "cpu": compared.cpu, "latency_p50": compared.latency},
        "reason": None,
    }
