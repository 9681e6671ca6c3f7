import xml.etree.ElementTree as ElementTree
from itertools import combinations

import pytest

from console.charts.graph import crossings, graph, layout
from monitoring.core.components import NEEDS

SMALL = frozenset({"postgresql", "redis", "disk", "web", "worker", "leader"})


@pytest.mark.parametrize("present", [frozenset(NEEDS), SMALL, SMALL | {"autoscaler"}, frozenset({"web"})], ids=len)
def test_each_component_stands_above_what_it_needs_and_nobody_on_another(present: frozenset[str]) -> None:
    boxes, edges = layout(present)
    at = {box.name: box for box in boxes}
    assert set(at) == present
    assert all(at[upper].row < at[lower].row for upper, lower in edges)
    for one, other in combinations(boxes, 2):
        assert one.row != other.row or abs(one.x - other.x) > 0.05


def test_no_edges_cross_in_a_small_deployment() -> None:
    boxes, edges = layout(SMALL)
    assert crossings(edges, {box.name: box.x for box in boxes}, set(SMALL)) == 0


def test_a_component_of_a_newer_release_is_shown_too() -> None:
    boxes, _ = layout(frozenset({"web", "new-thing"}))
    assert {box.name for box in boxes} == {"web", "new-thing"}


def test_the_cause_is_marked_by_a_word_and_what_it_affects_by_its_edges() -> None:
    states = dict.fromkeys(NEEDS, "ok") | {"redis": "down"}
    drawn = graph(states, "redis")
    ElementTree.fromstring(drawn)
    assert drawn.count(">cause<") == 1
    # worker → redis
    assert drawn.count('class="edge hit"') == 1
    assert "style=" not in drawn
    assert ">cause<" not in graph(states | {"redis": "ok"}, None)
