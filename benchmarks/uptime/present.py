"""The tables and the timeline of the report."""

from collections.abc import Mapping, Sequence

from ..figures import Grid, Span, Timeline
from ..statistics import Summary, summarise
from .availability import availability, seconds
from .outages import Outage
from .samples import Sample


def operations(found: Mapping[str, Sequence[Sample]]) -> Grid:
    """Availability by operation."""
    rows = []
    for name, samples in found.items():
        one = availability(samples)
        tries = sum(len(sample.tries) for sample in samples)
        counts = [f"{one.asked:,}", f"{one.asked - one.right:,}", f"{tries - one.asked:,}"]
        rows.append([name, *counts, f"{one.percent:.3f}", f"{one.percent_at_once:.3f}"])
    heads = ["operation", "asked", "failed", "retries", "available %", "without retries %"]
    return Grid("Availability by operation", heads, rows)


def faults(found: Sequence[Outage], begin: float) -> Grid:
    """One row per fault, with the same letters as on the timeline. begin: of the load."""
    rows = []
    for place, one in enumerate(found):
        mark = one.mark
        worst = max(one.by_operation, key=lambda name: one.by_operation[name], default="")
        rows.append(
            [
                letter(place),
                clock(mark.at - begin),
                mark.kind,
                mark.victim,
                f"{one.failover:.2f}" + (f" ({worst})" if worst else ""),
                f"{one.recovery:.2f}",
                f"{one.gap:.2f}",
                f"{one.failed_tries}",
                f"{one.slow_tries}",
                f"{one.failed}",
                "not seen" if mark.whole is None else f"{mark.whole:.1f}",
            ]
        )
    heads = [
        "",
        "at",
        "fault",
        "victim",
        "failover s",
        "recovery s",
        "gap s",
        "tries failed",
        "slow",
        "lost",
        "whole s",
    ]
    return Grid("Faults", heads, rows)


def latencies(found: Mapping[str, Sequence[Sample]]) -> dict[str, Summary]:
    """Latency of right answers, from when they were due: with retries, and where the first try was right."""
    told = {}
    for name, samples in found.items():
        for what, some in (
            (name, [sample for sample in samples if sample.right]),
            (f"{name}, first try", [sample for sample in samples if sample.right_at_once]),
        ):
            if some:
                told[what] = summarise([sample.seconds for sample in some])
    return told


def timeline(samples: Sequence[Sample], found: Sequence[Outage], begin: float, end: float) -> Timeline:
    spans = [
        Span(f"{letter(place)} {one.mark.kind}", one.mark.at - begin, one.mark.healed - begin)
        for place, one in enumerate(found)
    ]
    return Timeline(seconds(samples, begin, end), spans)


def letter(place: int) -> str:
    """a, b, … z, aa, ab, …"""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
