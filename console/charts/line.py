"""Charts of lines over time, and sparklines."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from console.charts import units
from console.reading import Line, Picture, Point

#: the grid of a chart's lines: it is stretched to whatever width there is
WIDE, HIGH = 1_000, 160
#: the room for the labels of the axis of time
BELOW = 22
SPARK_WIDE, SPARK_HIGH = 240, 40
_DAY = 86_400
#: seconds between two labels of the axis of time
_TICKS = (60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY)  # fmt: skip  # noqa: E501


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened. since, until: seconds since the epoch; the same: a moment.

    kind: `fault`, `release`, `unusual`.
    """

    since: float
    until: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a chart covers, in seconds since the epoch, and the distance of its points."""

    since: float
    until: float
    step: float

    def x(self, at: float) -> float:
        return (at - self.since) / (self.until - self.since) * WIDE


def chart(picture: Picture, window: Window, *, marks: Sequence[Mark] = (), label: str) -> SafeString:
    """The picture as SVG. label: what it shows, for those who hear it. Nothing is drawn where nothing is known."""
    metric = picture.wanted.metric
    alone = len(picture.lines) == 1
    points = [point for line in picture.lines for point in line.points]
    top = max((point.high if alone else point.mean for point in points), default=0.0)
    bottom = min((point.low if alone else point.mean for point in points), default=0.0)
    axis = units.nice_bytes if metric.removesuffix("_total").endswith("_bytes") else units.nice
    end, step = axis(top)
    low = -axis(-bottom)[0] if bottom < 0 else 0.0

    def y(value: float) -> float:
        return HIGH - (value - low) / (end - low) * HIGH

    lines = [_band(picture.lines[0], window, y)] if alone else []
    lines += [_path(line, number, window, y) for number, line in enumerate(picture.lines)]
    return format_html(
        '<svg class="chart" width="100%" height="{}" role="img" aria-label="{}">{}{}'
        '<svg x="0" y="8" width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>{}{}</svg>',
        HIGH + BELOW + 8,
        label,
        _marks(marks, window),
        _grid(metric, low, end, step, y, rate=picture.rate),
        HIGH,
        WIDE,
        HIGH,
        mark_safe("".join(lines)),  # noqa: S308  # nosec B308 B703  (numbers alone)
        _scale(metric, low, end, step, y, rate=picture.rate),
        _times(window),
    )


def _runs(points: Sequence[Point], step: float) -> Iterable[Sequence[Point]]:
    """Points without a gap between them: where a point is missing, nothing is known, and no line is drawn."""
    begin = 0
    for number in range(1, len(points) + 1):
        if number == len(points) or points[number].at - points[number - 1].at > step * 1.5:
            yield points[begin:number]
            begin = number


def _path(line: Line, number: int, window: Window, y: object) -> str:
    assert callable(y)
    parts = []
    for run in _runs(line.points, window.step):
        at = [f"{window.x(point.at):.0f} {y(point.mean):.1f}" for point in run]
        # A point alone is a dot: a line of no length with round ends.
        parts.append(f"M{at[0]}h.1" if len(at) == 1 else "M" + "L".join(at))
    return f'<path class="l l{number}" vector-effect="non-scaling-stroke" d="{"".join(parts)}"/>'


def _band(line: Line, window: Window, y: object) -> str:
    """From the lowest to the highest value of each step."""
    assert callable(y)
    parts = []
    for run in _runs(line.points, window.step):
        if len(run) > 1 and any(point.high > point.low for point in run):
            over = "L".join(f"{window.x(point.at):.0f} {y(point.high):.1f}" for point in run)
            under = "L".join(f"{window.x(point.at):.0f} {y(point.low):.1f}" for point in reversed(run))
            parts.append(f"M{over}L{under}z")
    return f'<path class="band" d="{"".join(parts)}"/>' if parts else ""


def _levels(low: float, end: float, step: float) -> list[float]:
    # Of numbers as small as a float can be, a step is so small that it divides nothing.
    steps = (end - low) / step if step > 0 else math.inf
    return [low + step * number for number in range(round(steps) + 1)] if steps < 9.5 else [low, 0.0, end]


def _grid(metric: str, low: float, end: float, step: float, y: object, *, rate: bool) -> SafeString:
    assert callable(y)
    rows = [(f"{y(level) + 8:.1f}", "zero" if level == 0 else "") for level in _levels(low, end, step)]
    return format_html_join("", '<line class="grid {1}" x1="0" x2="100%" y1="{0}" y2="{0}"/>', rows)


def _scale(metric: str, low: float, end: float, step: float, y: object, *, rate: bool) -> SafeString:
    assert callable(y)
    rows = [
        (f"{y(level) + 5:.1f}", units.of(metric, level, rate=rate)) for level in _levels(low, end, step) if level != 0
    ]
    return format_html_join("", '<text class="scale" x="0" y="{}">{}</text>', rows)


def _times(window: Window) -> SafeString:
    span = window.until - window.since
    step = next((one for one in _TICKS if span / one <= 5), _TICKS[-1])
    form = "%H:%M" if step < 86_400 and span <= 86_400 * 1.1 else "%d %b %H:%M" if step < 86_400 else "%d %b"
    rows = []
    for number in range(math.ceil(window.since / step), math.floor(window.until / step) + 1):
        part = (number * step - window.since) / span * 100
        anchor = "start" if part < 5 else "end" if part > 95 else "middle"
        at = datetime.fromtimestamp(number * step, UTC)
        rows.append((f"{part:.2f}", HIGH + 8, HIGH + 12, HIGH + BELOW + 3, anchor, at.strftime(form)))
    return format_html_join(
        "",
        '<line class="tick" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>'
        '<text class="time" x="{0}%" y="{3}" text-anchor="{4}">{5}</text>',
        rows,
    )


def _marks(marks: Sequence[Mark], window: Window) -> SafeString:
    rows = []
    for mark in marks:
        left = max(0.0, window.x(max(mark.since, window.since)) / WIDE * 100)
        right = min(100.0, window.x(min(mark.until, window.until)) / WIDE * 100)
        if right >= 0 and left <= 100:
            rows.append((mark.kind, f"{left:.2f}", f"{max(right - left, 0.25):.2f}", HIGH, mark.text))
    return format_html_join(
        "",
        '<rect class="mark {}" x="{}%" y="8" width="{}%" height="{}"><title>{}</title></rect>',
        rows,
    )


def spark(line: Line | None, window: Window, *, label: str) -> SafeString:
    """A line without axes, from 0 to its highest value. It goes with the number beside it."""
    points = line.points if line is not None else ()
    top = max((point.mean for point in points), default=0.0) or 1.0
    low = min(0.0, min((point.mean for point in points), default=0.0))

    def y(value: float) -> float:
        return (SPARK_HIGH - 3) - (value - low) / (top - low) * (SPARK_HIGH - 6)

    def x(at: float) -> float:
        return (at - window.since) / (window.until - window.since) * SPARK_WIDE

    parts, areas = [], []
    for run in _runs(points, window.step):
        at = [f"{x(point.at):.0f} {y(point.mean):.1f}" for point in run]
        parts.append(f"M{at[0]}h.1" if len(at) == 1 else "M" + "L".join(at))
        if len(run) > 1:
            areas.append(f"M{x(run[0].at):.0f} {SPARK_HIGH}L{'L'.join(at)}L{x(run[-1].at):.0f} {SPARK_HIGH}z")
    return format_html(
        '<svg class="spark" width="100%" height="{0}" viewBox="0 0 {1} {0}" preserveAspectRatio="none" role="img"'
        ' aria-label="{2}"><path class="under" d="{3}"/>'
        '<path class="l l0" vector-effect="non-scaling-stroke" d="{4}"/></svg>',
        SPARK_HIGH,
        SPARK_WIDE,
        label,
        "".join(areas),
        "".join(parts),
    )


def bar(share: float | None, *, state: str, label: str) -> SafeString:
    """A share of something, as a bar; beyond 1 it is full. None: unknown, and empty."""
    full = 0.0 if share is None or not math.isfinite(share) else max(0.0, min(1.0, share))
    return format_html(
        '<svg class="bar is-{}" width="100%" height="8" role="img" aria-label="{}"><rect class="rest" width="100%"'
        ' height="8" rx="4"/><rect class="full" width="{}%" height="8" rx="4"/></svg>',
        state,
        label,
        f"{full * 100:.1f}",
    )


def window_of(since: datetime, until: datetime, step: int) -> Window:
    """The window of these moments; its last step may not have ended yet."""
    end = math.ceil(until.timestamp() / step) * step
    return Window(since.timestamp(), max(end, since.timestamp() + step), float(step))
