"""Verdicts, comparison with a baseline, and the report."""

import io
import json
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmarks import baseline
from benchmarks.baseline import Change
from benchmarks.checks import Correctness
from benchmarks.errors import Usage
from benchmarks.figures import Figure, Load, Results, Target, Verdict
from benchmarks.report import table
from benchmarks.report.charts import bars, distribution
from benchmarks.report.document import document
from benchmarks.report.page import page
from benchmarks.statistics import cumulative, summarise

RIGHT = Correctness(10, 10, 40, 0, 0)


def figure(value: float, target: Target | None = None, *, lower: bool | None = True, name: str = "f") -> Figure:
    return Figure(name, f"the {name}", value, "ms", lower, target)


def results(*figures: Figure, correctness: Correctness = RIGHT) -> Results:
    seconds = [0.001 * number for number in range(1, 50)]
    load = Load(
        name="l",
        title="a <load>",
        method="as it is",
        figures=list(figures),
        correctness=correctness,
        latencies={"request": summarise(seconds)},
        distributions={"request": cumulative(seconds)},
        offered=10.0,
        achieved=9.9,
        errors={"429": 2},
    )
    limits = [figure(900.0, name="fsync", lower=False)]
    return Results({"cpu": "a & b", "cores": 2}, [load], limits, ["something: because"])


@pytest.mark.parametrize(
    ("comparison", "value", "verdict"),
    [
        ("<", 9.99, Verdict.MET),
        ("<", 10, Verdict.MISSED),
        ("<=", 10, Verdict.MET),
        (">=", 10, Verdict.MET),
        (">", 10, Verdict.MISSED),
        ("==", 10, Verdict.MET),
    ],
)
def test_a_target_is_met_or_missed(comparison, value, verdict):
    assert figure(value, Target(comparison, 10)).verdict is verdict


def test_a_figure_without_a_target_has_no_verdict():
    assert figure(1).verdict is Verdict.NONE
    assert results(figure(1)).missed() == []


def test_own_aims_count_unless_only_claims_are_asked_for():
    found = results(figure(20, Target("<", 10)), figure(5, Target("<", 10, claim=True), name="claimed"))
    assert len(found.missed()) == 1
    assert found.missed(claims_only=True) == []


def test_a_wrong_result_is_a_miss_whatever_the_figures_say():
    found = results(figure(1, Target("<", 10)), correctness=Correctness(10, 9, 39, 0, 1, ["run x is FAILED"]))
    assert found.missed(claims_only=True) == ["a <load>: 1 wrong results"]


def test_worse_is_worse_in_either_direction():
    before = {"latency": 10.0, "rate": 100.0, "neutral": 1.0, "gone": 1.0}
    now = [
        figure(12.0, name="latency"),
        figure(80.0, name="rate", lower=False),
        figure(9.0, name="neutral", lower=None),
        figure(1.0, name="new"),
    ]
    changes = {change.name: change.worse for change in baseline.compare(before, now)}
    assert changes == {"latency": pytest.approx(20.0), "rate": pytest.approx(20.0)}


def test_only_what_is_worse_by_more_than_the_tolerance_is_a_regression():
    changes = [Change(name, name, "ms", 1, 1, worse) for name, worse in (("a", 9.9), ("b", 30.0), ("c", -50.0))]
    assert [change.name for change in baseline.regressions(changes, 10.0)] == ["b"]


def test_from_zero_any_growth_is_a_regression_and_none_is_none():
    (grown,) = baseline.compare({"f": 0.0}, [figure(0.5)])
    (same,) = baseline.compare({"f": 0.0}, [figure(0.0)])
    assert baseline.regressions([grown, same], 10.0) == [grown]


@pytest.mark.parametrize(("text", "value"), [("10%", 10.0), ("2.5", 2.5), (" 0 % ", 0.0)])
def test_percentages_are_read(text, value):
    assert baseline.percent(text) == value


@pytest.mark.parametrize("text", ["", "ten", "-1%", "inf", "nan"])
def test_what_is_no_percentage_is_refused(text):
    with pytest.raises(Usage):
        baseline.percent(text)


def test_a_baseline_is_what_json_wrote(tmp_path):
    found = results(figure(12.0, name="latency"))
    path = tmp_path / "before.json"
    path.write_text(json.dumps(document(found, [], [])))
    assert baseline.read(path) == {"fsync": 900.0, "latency": 12.0}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"figures": [{"name": "a"}]}'])
def test_a_file_that_is_no_baseline_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(Usage, match="is no file that"):
        baseline.read(path)
    with pytest.raises(Usage, match="cannot be read"):
        baseline.read(tmp_path / "missing.json")


def test_the_document_says_what_was_measured_and_how():
    told = document(results(figure(20, Target("<", 10))), [], ["missed it"])
    assert told["passed"] is False
    assert told["figures"][1]["verdict"] == "missed"
    assert told["figures"][1]["target"] == "< 10"
    (load,) = told["loads"]
    assert load["latencies_ms"]["request"]["p50"] == 25.0
    assert load["correctness"]["right"] is True
    assert (load["offered_per_second"], load["achieved_per_second"]) == (10.0, 9.9)


def test_the_page_is_well_formed_escaped_and_needs_nothing_from_elsewhere():
    text = page(results(figure(20, Target("<", 10))), [Change("f", "the f", "ms", 10, 20, 100.0)], ["the <f>"])
    assert "a &lt;load&gt;" in text
    assert "<load>" not in text
    assert "<script" not in text
    assert "http" not in text
    for start in [place for place in range(len(text)) if text.startswith("<svg", place)]:
        ElementTree.fromstring(text[start : text.index("</svg>", start) + 6])
    assert text.count("<svg") == 2


def test_charts_of_little_are_still_charts():
    ElementTree.fromstring(distribution({"one": [(100.0, 10.0)]}))
    ElementTree.fromstring(bars([("one", 5.0, "1/s")]))
    assert distribution({}) == ""
    assert bars([]) == ""


def test_the_table_shows_target_measured_and_verdict():
    console = Console(file=io.StringIO(), width=160)
    found = results(figure(20, Target("<", 10)))
    table.show(console, found, [Change("f", "the f", "ms", 10, 20, 100.0)], found.missed())
    text = console.file.getvalue()
    assert "< 10 ms" in text
    assert "✗ missed" in text
    assert "10 of 10 runs SUCCEEDED" in text
    assert "+100.0 %" in text
