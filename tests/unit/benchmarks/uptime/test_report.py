"""The report of uptime: figures with their verdicts, tables, and the timeline as text and picture."""

import io
import json
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmarks.checks import Correctness
from benchmarks.figures import Load, Moment, Results, Span, Timeline, Verdict
from benchmarks.report import table, timeline
from benchmarks.report.document import document
from benchmarks.report.page import page
from benchmarks.uptime import figures, present
from benchmarks.uptime.availability import Availability
from benchmarks.uptime.compare import Findings
from benchmarks.uptime.outages import Mark, Outage
from benchmarks.uptime.samples import Sample, Try


def outage(failover: float, recovery: float = 6.0, *, whole: float | None = 9.0) -> Outage:
    mark = Mark("redis-kill", "redis-<1>", 100.0, 100.0, whole)
    return Outage(mark, failover, recovery, failover, 3, 1, 0, {"read": failover} if failover else {})


def verdicts(found) -> dict[str, Verdict]:
    return {figure.name: figure.verdict for figure in found}


def test_the_claim_and_our_own_aim_are_judged_apart():
    told = verdicts(figures.of_availability(Availability(10_000, 9_995, 9_000)))
    assert (told["uptime.availability"], told["uptime.availability.aim"]) == (Verdict.MET, Verdict.MISSED)
    told = verdicts(figures.of_outages([outage(4.0)] * 10, planned=10, calm=(9, 0)))
    assert told["uptime.failover.p95"] is Verdict.MET
    assert told["uptime.failover.p95.aim"] is Verdict.MISSED
    assert told["uptime.recovery.max"] is Verdict.MET


def test_one_bad_failover_in_ten_is_not_averaged_away():
    told = verdicts(figures.of_outages([*[outage(0.1)] * 9, outage(5.1, 31.0)], planned=10, calm=(9, 0)))
    assert (told["uptime.failover.p95"], told["uptime.recovery.max"]) == (Verdict.MISSED, Verdict.MISSED)


def test_faults_that_were_left_out_are_a_miss():
    assert verdicts(figures.of_outages([outage(1.0)], planned=2, calm=(9, 0)))["uptime.faults"] is Verdict.MISSED
    assert verdicts(figures.of_outages([], planned=0, calm=(9, 0)))["uptime.faults"] is Verdict.MET


@pytest.mark.parametrize(
    "broken", ["lost", "unended", "failed", "duplicated", "uncancelled", "events_lost", "events_twice"]
)
def test_one_broken_promise_is_a_miss_of_a_claim(broken):
    found = figures.of_ledger(Findings(**{broken: ["x"]}), twice=0, events=True, drained=1.0)
    missed = [figure for figure in found if figure.verdict is Verdict.MISSED]
    assert [figure.name for figure in missed] == [f"uptime.{broken}"]
    assert all(figure.target.claim for figure in missed)


def test_a_step_recorded_twice_is_a_miss_and_what_was_not_counted_is_no_figure():
    assert verdicts(figures.of_ledger(Findings(), twice=1, events=False, drained=1.0))["uptime.twice"] is Verdict.MISSED
    names = {figure.name for figure in figures.of_ledger(Findings(), twice=None, events=False, drained=1.0)}
    assert names.isdisjoint({"uptime.twice", "uptime.events_lost"})


def moments(*signs: str) -> list[Moment]:
    known = {"█": (10, 10, 10), "▒": (10, 10, 8), "✗": (10, 9, 8), "·": (0, 0, 0)}
    return [Moment(*known[sign], 0.5) for sign in signs]


def test_the_timeline_has_a_sign_for_each_second_and_a_letter_for_each_fault():
    lines = timeline.text(Timeline(moments(*"█▒✗·"), [Span("a web-kill", 1.2, 1.2)]))
    assert lines == ["  0:00 █▒✗·", "        a"]


def test_a_minute_is_a_line():
    lines = timeline.text(Timeline(moments(*("█" * 130)), [Span("a x", 61.0, 69.0), Span("b y", 125.0, 125.0)]))
    assert [line[:7].strip() for line in lines] == ["0:00", "1:00", "", "2:00", ""]
    assert lines[2].index("a") == len("  1:00 ") + 1


def test_letters_go_on_after_z():
    assert [present.letter(place) for place in (0, 25, 26, 51, 52)] == ["a", "z", "aa", "az", "ba"]


def test_the_whole_report_is_made_of_what_was_seen():
    samples = [
        Sample("read", 99.0 + place / 2, (Try(99.0 + place / 2, 99.1 + place / 2, None if place else "503"),))
        for place in range(8)
    ]
    found = [outage(2.5, whole=None)]
    by_name = {"read": samples}
    load = Load(
        name="uptime",
        title="uptime",
        method="as it is",
        figures=figures.of_outages(found, planned=1, calm=(9, 0)),
        correctness=Correctness(1, 1, 4, 0, 0),
        latencies=present.latencies(by_name),
        grids=[present.operations(by_name), present.faults(found, 99.0)],
        timeline=present.timeline(samples, found, 99.0, 103.0),
    )
    results = Results({}, [load], [])
    out = Console(file=io.StringIO(), width=200)
    table.show(out, results, [], [])
    shown = out.file.getvalue()
    assert "redis-<1>" in shown
    assert "not seen" in shown
    assert "87.500" in shown
    written = page(results, [], [])
    assert "redis-&lt;1&gt;" in written
    picture = written[written.index("<svg") : written.index("</svg>") + 6]
    assert len(ElementTree.fromstring(picture).findall(".//rect")) >= 5
    told = json.loads(json.dumps(document(results, [], [])))["loads"][0]
    assert told["timeline"]["spans"][0]["title"] == "a redis-kill"
    assert sum(one["asked"] for one in told["timeline"]["moments"]) == 8
    assert [grid["title"] for grid in told["tables"]] == ["Availability by operation", "Faults"]
