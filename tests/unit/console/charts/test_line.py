import re
import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from console.charts.line import Mark, Window, bar, chart, spark
from console.reading import Line, Picture, Point, Wanted

WINDOW = Window(0.0, 600.0, 10.0)


def picture(*lines: list[float | None], name: str = "a") -> Picture:
    made = tuple(
        Line(
            f"{name}{number}",
            tuple(Point((place + 1) * 10.0, v, v - 1, v + 1) for place, v in enumerate(values) if v is not None),
        )
        for number, values in enumerate(lines)
    )
    return Picture(Wanted("erip_lane_waiting_steps", ("lane",)), made, True, False)


def test_where_nothing_is_known_no_line_is_drawn() -> None:
    drawn = spark(picture([1.0, 2.0, None, None, 3.0, 4.0]).lines[0], WINDOW, label="x")
    (path,) = re.findall(r'class="l l0"[^>]* d="([^"]*)"', drawn)
    assert path.count("M") == 2


def test_a_point_alone_is_seen() -> None:
    drawn = spark(picture([1.0, None, None]).lines[0], WINDOW, label="x")
    assert "h.1" in drawn


def test_nothing_known_is_an_empty_chart_and_no_error() -> None:
    assert 'd=""' in spark(None, WINDOW, label="x")
    ElementTree.fromstring(chart(picture(), WINDOW, label="x"))


def test_names_from_outside_cannot_become_markup() -> None:
    evil = '"><script>alert(1)</script>'
    mark = Mark(10, 20, "fault", evil)
    drawn = chart(picture([1.0, 2.0], name=evil), WINDOW, marks=[mark], label=evil)
    assert "<script" not in drawn
    ElementTree.fromstring(drawn)
    ElementTree.fromstring(bar(0.5, state="ok", label=evil))


@given(st.lists(st.lists(st.none() | st.floats(-1e30, 1e30), max_size=20), max_size=8))
def test_any_numbers_make_a_well_formed_chart_within_its_width(lines: list[list[float | None]]) -> None:
    drawn = chart(picture(*lines), WINDOW, label="x")
    ElementTree.fromstring(drawn)
    assert "nan" not in drawn
    assert "inf" not in drawn
    for path in re.findall(r' d="([^"]+)"', drawn):
        for x in re.findall(r"[ML](-?\d+) ", path):
            assert 0 <= int(x) <= 1000
    assert "style=" not in drawn
