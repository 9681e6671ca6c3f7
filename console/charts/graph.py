"""The graph of components: what needs what, in layers, from what users meet at the top to what everything stands on.

A component stands above all that it needs. Within a layer the order with the fewest crossings is taken; there are so
few components that all orders of a layer can be tried. The layout follows from the set of components, so it is worked
out once for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from console.charts.marks import icon
from monitoring.core.components import NEEDS, dependents

#: heights in pixels
_ROW, _BOX = 96, 52
#: components of a layer all of whose orders are tried; a larger layer keeps the order that it was given
MOST_TRIED = 6


@dataclass(frozen=True, slots=True)
class Box:
    """Where a component stands. x: the middle, as a share of the width. row: from the top."""

    name: str
    x: float
    row: int


@lru_cache(maxsize=64)
def layout(present: frozenset[str]) -> tuple[tuple[Box, ...], tuple[tuple[str, str], ...]]:
    """(boxes, edges as (what needs, what is needed)) of these components."""
    edges = tuple((upper, lower) for upper, needs in NEEDS.items() for lower in needs if {upper, lower} <= present)
    depth: dict[str, int] = {}

    def deep(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((deep(lower) for upper, lower in edges if upper == name), default=-1)
        return depth[name]

    names = [name for name in NEEDS if name in present] + sorted(present - set(NEEDS))
    most = max((deep(name) for name in names), default=0)
    needed = {lower for _, lower in edges}
    rows: list[list[str]] = [[] for _ in range(most + 1)]
    for name in names:
        # What nothing needs stands at the top, however little it needs itself.
        row = 0 if name not in needed and any(upper == name for upper, _ in edges) else most - depth[name]
        rows[row].append(name)
    for name in [lower for row in rows for lower in row if lower in needed]:
        # Right beneath the lowest of what needs it: short edges.
        above = max(
            number for number, row in enumerate(rows) for upper, lower in edges if lower == name and upper in row
        )
        here = next(number for number, row in enumerate(rows) if name in row)
        if above + 1 != here and above + 1 < len(rows):
            rows[here].remove(name)
            rows[above + 1].append(name)
    rows = [row for row in rows if row]
    for _ in range(3):
        for number in range(len(rows)):
            rows[number] = _ordered(rows[number], rows, edges)
    boxes = tuple(
        Box(name, (place + 0.5) / len(row), number) for number, row in enumerate(rows) for place, name in enumerate(row)
    )
    return boxes, edges


def _ordered(row: Sequence[str], rows: Sequence[Sequence[str]], edges: Sequence[tuple[str, str]]) -> list[str]:
    def cost(order: Sequence[str]) -> tuple[int, float]:
        here = {name: (place + 0.5) / len(order) for place, name in enumerate(order)}
        others = {
            name: (place + 0.5) / len(each) for each in rows if each is not row for place, name in enumerate(each)
        }
        x = {**others, **here}
        return crossings(edges, x, set(order)), sum(abs(x[a] - x[b]) for a, b in edges if a in here or b in here)

    orders = permutations(row) if len(row) <= MOST_TRIED else [tuple(row)]
    return min((list(order) for order in orders), key=cost)


def crossings(edges: Sequence[tuple[str, str]], x: Mapping[str, float], of: set[str]) -> int:
    """How many pairs of edges at these components cross, if each goes from one layer to another."""
    mine = [edge for edge in edges if edge[0] in of or edge[1] in of]
    return sum((x[a[0]] - x[b[0]]) * (x[a[1]] - x[b[1]]) < 0 for a, b in combinations(mine, 2) if not {*a} & {*b})


def graph(states: Mapping[str, str], cause: str | None) -> SafeString:
    """The components with their states as SVG; each leads to its line in the table. cause: the one that is marked."""
    boxes, edges = layout(frozenset(states))
    at = {box.name: box for box in boxes}
    hit = {cause, *dependents(cause, states)} if cause is not None else set()
    height = (max((box.row for box in boxes), default=0) + 1) * _ROW - (_ROW - _BOX) + 20
    lines = format_html_join(
        "",
        '<line class="edge{}" x1="{}%" y1="{}" x2="{}%" y2="{}"/>',
        (
            (
                " hit" if {upper, lower} <= hit else "",
                f"{at[upper].x * 100:.1f}",
                at[upper].row * _ROW + _BOX + 10,
                f"{at[lower].x * 100:.1f}",
                at[lower].row * _ROW + 10,
            )
            for upper, lower in edges
        ),
    )
    widest = max((sum(box.row == row for box in boxes) for row in {box.row for box in boxes}), default=1)
    wide = min(30.0, 100 / widest - 1.5)
    nodes = [_node(box, states[box.name], box.name == cause, box.name in hit, wide) for box in boxes]
    return format_html(
        '<svg class="graph" width="100%" height="{}" role="group" aria-label="Components and what they need">{}{}'
        "</svg>",
        height,
        lines,
        mark_safe("".join(nodes)),  # noqa: S308  # nosec B308 B703  (escaped one by one)
    )


def _node(box: Box, state: str, is_cause: bool, hit: bool, wide: float) -> str:
    kind = " cause" if is_cause else " hit" if hit else ""
    return format_html(
        '<a href="#c-{0}" aria-label="{0} {1}{10}">'
        '<svg x="{2}%" y="{3}" width="{4}%" height="{5}" class="node is-{1}{6}" overflow="visible">'
        '<rect width="100%" height="100%" rx="6"/><text class="name" x="50%" y="21" '
        'text-anchor="middle">{0}</text> <svg x="50%" y="29" width="16" height="16" overflow="visible">'
        '<g transform="translate({9} 0)">{7}</g></svg>'
        '<text class="word" x="50%" y="41" dx="10" text-anchor="middle">{1}</text>{8}</svg></a>',
        box.name,
        state,
        f"{box.x * 100 - wide / 2:.1f}",
        box.row * _ROW + 10,
        f"{wide:.1f}",
        _BOX,
        kind,
        icon(state),
        mark_safe(' <text class="tag" x="50%" y="-3" text-anchor="middle">cause</text>') if is_cause else "",  # nosec B308 B703
        # Beside the word, of which a letter is about 6.4 pixels wide.
        f"{-len(state) * 3.4 - 14:.0f}",
        # What is seen, in the order in which it is written.
        " cause" if is_cause else "",
    )
