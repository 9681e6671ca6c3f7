"""A load second by second, with what was done to the service meanwhile: as text and as SVG."""

from collections.abc import Sequence
from html import escape

from ..figures import Moment, Timeline

#: seconds in a line of text
LINE = 60
WIDTH, LEFT, RIGHT, TOP = 720.0, 40.0, 8.0, 26.0
#: heights of the two parts and the space between them, in pixels
SHARE, LATENCY, BETWEEN = 60.0, 70.0, 24.0
#: the top of the latency chart, in seconds: the clients' budget
MOST = 5.0


def text(timeline: Timeline) -> list[str]:
    """Lines of a minute: █ all answered at once, ▒ with retries, ✗ not all answered; the faults' letters below."""
    lines = []
    for start in range(0, len(timeline.moments), LINE):
        row = "".join(map(_sign, timeline.moments[start : start + LINE]))
        letters = [" "] * (LINE + 4)
        for span in timeline.spans:
            if start <= int(span.begin) < start + LINE:
                for place, sign in enumerate(span.title.split()[0]):
                    letters[int(span.begin) - start + place] = sign
        lines += [f"{start // 60:>3}:{start % 60:02d} {row}", f"       {''.join(letters)}".rstrip()]
    return [line for line in lines if line.strip()]


def _sign(moment: Moment) -> str:
    if not moment.asked:
        return "·"
    if moment.right < moment.asked:
        return "✗"
    return "█" if moment.right_at_once == moment.asked else "▒"


def chart(timeline: Timeline) -> str:
    """Above: the share of each second's operations that was answered; green at once, amber with retries, red not.

    Below: the slowest of them. Bands: faults, while they last.
    """
    moments = timeline.moments
    if not moments:
        return ""
    step = (WIDTH - LEFT - RIGHT) / len(moments)
    height = TOP + SHARE + BETWEEN + LATENCY + 22
    parts = [f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="availability second by second">']
    parts += _bands(timeline, step, height - 22)
    for place, moment in enumerate(moments):
        parts += _column(moment, LEFT + place * step, step)
    parts.append(_slowest(moments, step))
    floor = TOP + SHARE + BETWEEN + LATENCY
    parts.append(f'<text x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">100 %</text>')
    for seconds in (0.0, MOST / 2, MOST):
        y = floor - LATENCY * seconds / MOST
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{seconds:g} s</text>')
    every = max(30, 30 * round(len(moments) / 300))
    for second in range(0, len(moments), every):
        x = LEFT + second * step
        parts.append(f'<text x="{x:.1f}" y="{floor + 16}" text-anchor="middle">{second // 60}:{second % 60:02d}</text>')
    return "".join([*parts, "</svg>"])


def _bands(timeline: Timeline, step: float, bottom: float) -> list[str]:
    parts = []
    for place, span in enumerate(timeline.spans):
        x, width = LEFT + span.begin * step, max(1.5, (span.end - span.begin) * step)
        parts.append(
            f'<rect x="{x:.1f}" y="{TOP - 4}" width="{width:.1f}" height="{bottom - TOP + 4:.1f}" fill="#dc2626" '
            f'opacity="0.18"><title>{escape(span.title)}</title></rect>'
        )
        # In two rows, so that neighbours do not cover each other.
        y = TOP - 6 - 11 * (place % 2)
        parts.append(f'<text x="{x:.1f}" y="{y:.0f}">{escape(span.title.split()[0])}</text>')
    return parts


def _column(moment: Moment, x: float, width: float) -> list[str]:
    if not moment.asked:
        return []
    parts, y = [], TOP + SHARE
    for count, colour in (
        (moment.right_at_once, "#059669"),
        (moment.right - moment.right_at_once, "#d97706"),
        (moment.asked - moment.right, "#dc2626"),
    ):
        if count:
            tall = SHARE * count / moment.asked
            y -= tall
            size = f'width="{width + 0.1:.2f}" height="{tall:.1f}"'
            parts.append(f'<rect x="{x:.2f}" y="{y:.1f}" {size} fill="{colour}"/>')
    return parts


def _slowest(moments: Sequence[Moment], step: float) -> str:
    floor = TOP + SHARE + BETWEEN + LATENCY
    points = " ".join(
        f"{LEFT + (place + 0.5) * step:.1f},{floor - LATENCY * min(moment.slowest, MOST) / MOST:.1f}"
        for place, moment in enumerate(moments)
    )
    return f'<polyline points="{points}" fill="none" stroke="#2563eb" stroke-width="1.5"/>'
