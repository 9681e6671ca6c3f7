"""Up to eight charts over any range. All of it is in the address, so a page can be sent to somebody else."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString

from console import reading
from console.charts import units
from console.charts.line import Mark, Window, chart, window_of
from console.pages import Page, page, with_query
from console.reading import Picture, Wanted
from console.shared import SharedBy
from erip.foundation.hooks import metrics as registered
from erip.foundation.moments import moment
from monitoring import anomalies
from monitoring.core.anomalies import HOUR
from monitoring.core.catalog import MEANINGS
from monitoring.core.frames import MOST_VALUES, TICK, TIERS, Reading, TooMuch, plan
from monitoring.store import listing
from workflows.core.durations import NotADuration, parse_duration

MOST_CHARTS, POINTS = 8, 120
RANGES = ("15m", "1h", "6h", "1d", "7d", "30d", "365d")
LEAST, MOST = 900, TIERS[-1].kept
#: what is shown without a choice
DEFAULT = (
    "erip_runs_accepted_total~workflow",
    "erip_lane_waiting_steps~lane",
    "erip_lane_oldest_wait_seconds~lane",
    "erip_process_cpu_seconds_total~component",
    "erip_process_memory_bytes~component",
    "erip_postgresql_commits_total",
    "erip_postgresql_sessions~state",
    "erip_redis_commands_total",
)
#: marks of one page
MOST_MARKS = 50
_RELEASES = Wanted("erip_release", ("release",))
_known: SharedBy["Found"] = SharedBy(every=float(TICK))


@dataclass(frozen=True, slots=True)
class Found:
    pictures: Sequence[Picture]
    marks: Sequence[Mark]
    window: Window
    reading: Reading
    #: drawn once for all viewers, too
    charts: "Sequence[Chart]"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for. faults: what it asks for in vain."""

    charts: tuple[str, ...]
    range: str
    span: int
    end: datetime | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One line in the key of a chart, with its numbers."""

    number: int
    name: str
    last: str
    mean: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Chart:
    text: str
    metric: str
    by: str
    title: str
    unit: str
    picture: SafeString | None
    rows: Sequence[Row]
    hidden: int
    without: str
    table: str


def forget() -> None:
    """For tests: know nothing of what was read before."""
    _known.forget()


@page("Metrics", "monitoring.view_frame")
def metrics(query: QueryDict, viewer: object) -> Page:
    asked = ask(query)
    look = _known.look((asked.charts, asked.range, asked.end), lambda: _read(asked))
    faults = list(asked.faults)
    found = look.value
    if found is None:
        faults.append("The metrics cannot be read at the moment.")
    elif asked.charts != DEFAULT:
        faults += [
            f"“{text}” is not kept: choose another chart."
            for text, one in zip(asked.charts, found.pictures, strict=True)
            if not one.known
        ]
    context: dict[str, Any] = {
        "faults": faults,
        "fresh": look.fresh,
        "asked": asked,
        "found": found,
        "charts": found.charts if found is not None else [],
        "ranges": [(one, _address(asked, range=one), one == asked.range) for one in RANGES],
        "choices": _choices(asked) if len(asked.charts) < MOST_CHARTS else [],
        "room": len(asked.charts) < MOST_CHARTS,
        **_neighbours(asked, found),
    }
    status = 400 if faults and found is not None else 200
    if table := query.get("table"):
        number = asked.charts.index(table) if table in asked.charts else None
        if number is None or found is None:
            return Page("console/metrics_table.html", {**context, "columns": [], "values": []}, every=0, status=status)
        return Page("console/metrics_table.html", {**context, **_table(asked, found, number)}, every=0, status=status)
    every = 0 if asked.end else max(10, min(60, found.reading.step if found else 10))
    return Page("console/metrics.html", context, every, "console/metrics_page.html", status)


def ask(query: QueryDict) -> Asked:
    """What the address asks for, and every fault of it."""
    faults = []
    text = query.get("range") or "1h"
    try:
        span = int(parse_duration(text))
        if not LEAST <= span <= MOST:
            raise NotADuration
    except NotADuration:
        faults.append(f"The range “{text[:40]}” is none from 15m to {MOST // 86_400}d; 1h is shown.")
        text, span = "1h", 3_600
    end = None
    if wanted := query.get("end"):
        try:
            end = min(moment(wanted), datetime.now(UTC))
            end - timedelta(seconds=span)
        except (ValueError, OverflowError):
            end = None
            faults.append(f"The end “{wanted[:40]}” is no moment such as 2026-11-30T12:00:00Z; now is shown.")
    charts = tuple(dict.fromkeys(one for one in [*query.getlist("chart"), query.get("add", "")] if one)) or DEFAULT
    if len(charts) > MOST_CHARTS:
        faults.append(f"There is room for {MOST_CHARTS} charts; the first are shown.")
    return Asked(tuple(one[:300] for one in charts[:MOST_CHARTS]), text, span, end, tuple(faults))


def wanted_of(text: str) -> Wanted:
    """A chart as it stands in an address: `metric`, or `metric~label,label`."""
    metric, _, by = text.partition("~")
    return Wanted(metric, tuple(label for label in by.split(",") if label)[:5])


def _read(asked: Asked) -> Found:
    wanted = [wanted_of(one) for one in asked.charts]
    names = {one.metric for one in wanted} | {_RELEASES.metric}
    count = sum(each.series.metric in names for each in reading.series.look().value or ())
    reading_ = reading_of(asked.span, max(1, count))
    since, until = reading.span_of(reading_, asked.span, asked.end or datetime.now(UTC))
    *pictures, releases = reading.read([*wanted, _RELEASES], reading_, since=since, until=until)
    window = window_of(since, until, reading_.step)
    unusual = unusual_of(anomalies.marks.known(), {one.metric for one in wanted}, window)
    marks = [*_faults(since, until), *releases_of(releases, window), *unusual]
    marks = marks[:MOST_MARKS]
    return Found(pictures, marks, window, reading_, _charts(asked, pictures, marks, window))


def reading_of(span: int, series: int) -> Reading:
    """As `GET /metrics/query` reads it, in about POINTS points; coarser where that would read too much."""
    try:
        return plan(span=span, step=max(TICK, span // POINTS), series=series)
    except TooMuch:
        for tier in TIERS[1:]:
            if (span // tier.seconds + 1) * series <= MOST_VALUES:
                return Reading(tier, max(1, -(-span // POINTS // tier.seconds)) * tier.seconds)
    return Reading(TIERS[-1], max(1, -(-span // POINTS // TIERS[-1].seconds)) * TIERS[-1].seconds)


def _faults(since: datetime, until: datetime) -> list[Mark]:
    return [
        Mark(
            row["fired_at"].timestamp(),
            (row["resolved_at"] or until).timestamp(),
            "fault",
            f"{row['rule']} fired from {units.moment(row['fired_at'])}"
            + (f" to {units.moment(row['resolved_at'])}" if row["resolved_at"] else ", and still does"),
        )
        for row in listing.fired_between(since, until, limit=MOST_MARKS)
    ]


def unusual_of(known: Sequence[anomalies.Mark], metrics: Set[str], window: Window) -> list[Mark]:
    """The hours of the range that were unusual for their place in the week, of these metrics."""
    return [
        Mark(one.until - HOUR, one.until, "unusual", f"{one.sentence} The hour to {units.moment(at)}.")
        for one in known
        if one.named.metric in metrics and one.until > window.since and one.until - HOUR < window.until
        for at in [datetime.fromtimestamp(one.until, UTC)]
    ]


def releases_of(picture: Picture, window: Window) -> list[Mark]:
    """When a release was seen first, within the range. What was there at its beginning is no change."""
    begun = min((line.points[0].at for line in picture.lines), default=window.until)
    found = []
    for line in picture.lines:
        first = line.points[0].at
        if first > begun and first > window.since + 2 * window.step:
            at = datetime.fromtimestamp(first - window.step, UTC)
            found.append(Mark(at.timestamp(), at.timestamp(), "release", f"Release {line.name} at {units.moment(at)}"))
    return found


def _charts(asked: Asked, pictures: Sequence[Picture], marks: Sequence[Mark], window: Window) -> list[Chart]:
    charts = []
    for text, one in zip(asked.charts, pictures, strict=True):
        metric, rate = one.wanted.metric, one.rate
        title, count = title_of(metric), len(one.lines)
        label = f"{title}: {count} line{'' if count == 1 else 's'}; the numbers are in the table below"
        charts.append(
            Chart(
                text,
                metric,
                ", ".join(one.wanted.by),
                title,
                units.unit(metric, rate=rate),
                chart(one, window, marks=marks, label=label) if one.lines else None,
                [
                    Row(
                        number,
                        line.name or "all",
                        *(units.of(metric, value, rate=rate) for value in (line.last, line.mean, line.low, line.high)),
                    )
                    for number, line in enumerate(one.lines)
                ],
                one.hidden,
                _address(asked, charts=[other for other in asked.charts if other != text]),
                _address(asked, table=text),
            )
        )
    return charts


@cache
def _meanings() -> Mapping[str, str]:
    """What each metric means, as the reference has it."""
    own = {
        family.name + ("_total" if family.type == "counter" else ""): family.documentation
        for registry in registered.all()
        for family in registry.collect()
    }
    return {**own, **MEANINGS}


#: how the catalog begins a meaning with its labels
_BY = re.compile(r"^By `[^`]*`: ")


#: shorter than their meanings
_TITLES = {
    "erip_lane_waiting_steps": "Steps waiting for a worker",
    "erip_lane_oldest_wait_seconds": "Oldest wait for a worker",
    "erip_process_cpu_seconds_total": "Processor",
    "erip_process_memory_bytes": "Memory",
    "erip_postgresql_commits_total": "PostgreSQL: commits",
    "erip_postgresql_sessions": "PostgreSQL: sessions",
    "erip_postgresql_connections": "PostgreSQL: connections",
    "erip_redis_commands_total": "Redis: commands",
    "erip_runs_accepted_total": "Runs accepted",
}


def title_of(metric: str) -> str:
    """What a metric means, as a heading: without its labels, and without what is said beside it."""
    if metric in _TITLES:
        return _TITLES[metric]
    text = _meanings().get(metric) or _meanings().get(metric.removesuffix("_sum").removesuffix("_count"), metric)
    text = _BY.sub("", text).partition(";")[0].partition(", counted")[0].rstrip(".")
    return text[:1].upper() + text[1:]


def _table(asked: Asked, found: Found, number: int) -> Mapping[str, Any]:
    """All values of one chart, the newest first."""
    one = found.pictures[number]
    values: dict[float, dict[int, float]] = {}
    for place, line in enumerate(one.lines):
        for point in line.points:
            values.setdefault(point.at, {})[place] = point.mean
    rows = [
        (at, [units.of(one.wanted.metric, row.get(place), rate=one.rate) for place in range(len(one.lines))])
        for at, row in sorted(values.items(), reverse=True)
    ]
    return {
        "one": found.charts[number],
        "columns": [line.name or "all" for line in one.lines],
        "values": rows,
        "back": _address(asked),
    }


def _neighbours(asked: Asked, found: Found | None) -> Mapping[str, str]:
    """The range before this one, and the one after it."""
    if found is None:
        return {}
    until = datetime.fromtimestamp(found.window.until, UTC)
    parts = {"before": _address(asked, end=_text(until - timedelta(seconds=asked.span)))}
    if asked.end is not None:
        later = until + timedelta(seconds=asked.span)
        parts["after"] = _address(asked, end=_text(later) if later < datetime.now(UTC) else "")
        parts["now"] = _address(asked, end="")
    return parts


def _address(
    asked: Asked,
    *,
    range: str | None = None,
    end: str | None = None,
    charts: Sequence[str] | None = None,
    table: str = "",
) -> str:
    chosen = asked.charts if charts is None else charts
    return with_query(
        reverse("console:metrics"),
        range=range or asked.range,
        end=_text(asked.end) if end is None and asked.end is not None else end,
        chart=[] if tuple(chosen) == DEFAULT else list(chosen),
        table=table,
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _choices(asked: Asked) -> list[tuple[str, str]]:
    """(as it stands in an address, as it is shown) of every chart that can be added."""
    labels: dict[str, set[str]] = {}
    for known in reading.series.look().value or ():
        labels.setdefault(known.series.metric, set()).update(name for name, _ in known.series.labels)
    found = []
    for metric in sorted(labels):
        if metric.endswith("_bucket"):
            continue
        found.append((metric, metric))
        found += [(f"{metric}~{label}", f"{metric} by {label}") for label in sorted(labels[metric])]
    return [one for one in found if one[0] not in asked.charts]
