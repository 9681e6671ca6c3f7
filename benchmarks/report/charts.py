"""Charts as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from .table import number

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 260, 64, 36, 12, 132
COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2", "#65a30d", "#be185d")

Points = Sequence[tuple[float, float]]


def distribution(series: Mapping[str, Points]) -> str:
    """Latency in milliseconds (logarithmic) over the percentile."""
    shown = {name: points for name, points in series.items() if points}
    if not shown:
        return ""
    values = [max(value, 0.01) for points in shown.values() for _, value in points]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    if low == high:
        high = low * 10
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="latency in milliseconds by percentile">',
        *_grid(low, high),
    ]
    for place, (name, points) in enumerate(shown.items()):
        colour = COLOURS[place % len(COLOURS)]
        line = " ".join(f"{_x(percent):.1f},{_y(max(value, 0.01), low, high):.1f}" for percent, value in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = TOP + 12 + 18 * place
        parts.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{y - 8}" width="10" height="10" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 30}" y="{y + 1}">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def _grid(low: float, high: float) -> list[str]:
    parts = []
    tick = low
    while tick <= high * 1.001:
        y = _y(tick, low, high)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g} ms</text>')
        tick *= 10
    for percent in (0, 25, 50, 75, 95):
        x = _x(percent)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">p{percent}</text>')
    return parts


def _x(percent: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * percent / 100


def _y(value: float, low: float, high: float) -> float:
    share = math.log10(value / low) / math.log10(high / low)
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """(title, value, unit) as horizontal bars on a logarithmic scale, the longest first."""
    known = sorted((row for row in rows if row[1] > 0), key=lambda row: -row[1])
    if not known:
        return ""
    least, most = math.log10(known[-1][1]) - 0.5, math.log10(known[0][1])
    height = 30 * len(known) + 8
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="rates on a logarithmic scale">']
    for place, (title, value, unit) in enumerate(known):
        y = 4 + 30 * place
        width = 280 * (math.log10(value) - least) / max(most - least, 0.5)
        parts.append(f'<text x="270" y="{y + 15}" text-anchor="end">{escape(title)}</text>')
        parts.append(f'<rect x="280" y="{y + 2}" width="{width:.1f}" height="18" rx="3" fill="{COLOURS[0]}"/>')
        parts.append(f'<text x="{288 + width:.1f}" y="{y + 15}">{number(value)} {escape(unit)}</text>')
    return "".join([*parts, "</svg>"])
