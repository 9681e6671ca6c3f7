"""The table of `python -m benchmarks.peers`: percentiles, ratios, and a peer that could not be measured."""

import json

import pytest

from benchmarks.peers import harness, table, workflow
from benchmarks.peers.catalogue import CATALOGUE
from benchmarks.peers.environments import FOLDER, version_of
from benchmarks.peers.table import Figures, Outcome


def figures(*, workflows=1000, seconds=1.0, latencies=(0.01,), cpu=1.0, memory=100_000_000, others=0.0):
    return Figures(workflows, seconds, tuple(latencies), cpu, memory, others)


def test_a_percentile_is_a_value_that_was_measured():
    values = [0.5, 0.1, 0.4, 0.2, 0.3]

    assert table.percentile(values, 50) == 0.3
    assert table.percentile(values, 95) == 0.5
    assert table.percentile([0.7], 50) == 0.7


def test_a_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        table.percentile([], 50)


def test_figures_are_per_second_and_per_thousand():
    measured = figures(workflows=500, seconds=2.0, cpu=3.0, latencies=[0.01] * 19 + [0.2])

    assert measured.throughput == 250
    assert measured.cpu_per_thousand == 6
    assert measured.p50 == 0.01
    assert measured.p95 == 0.01


def test_a_ratio_above_one_says_that_erip_is_better():
    erip = figures(workflows=1000, seconds=1.0, cpu=1.0, latencies=[0.01])
    slower = figures(workflows=100, seconds=1.0, cpu=0.5, latencies=[0.005])

    ratios = table.ratios(erip, slower)

    assert ratios.throughput == pytest.approx(10)
    assert ratios.cpu == pytest.approx(5)
    # Where the peer is better, the table says so.
    assert ratios.latency == pytest.approx(0.5)


def test_every_peer_has_a_row_also_one_that_could_not_be_measured():
    outcomes = [
        Outcome("erip", "", figures()),
        Outcome("celery", "5.7.0", figures(seconds=4.0)),
        Outcome("prefect", "3.8.8", reason="uv pip: no | network"),
    ]

    lines = table.markdown(outcomes).splitlines()

    assert len(lines) == 2 + 3
    assert lines[2].startswith("| ERIP | 1,000 | 1,000 | 1.0 | 10.0 | 10.0 | 100 | 0.0 |")
    assert lines[2].endswith("| - | - | - |")
    assert "| Celery canvas 5.7.0 | 1,000 | 250 |" in lines[3]
    assert "| 4.0 x | 1.0 x | 1.0 x |" in lines[3]
    assert "Prefect 3.8.8 | not measured: uv pip: no \\| network |" in lines[4]
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(table.HEAD) + 1}


def test_of_several_rounds_the_least_disturbed_counts_whatever_came_of_it():
    fast_but_disturbed = Outcome("dbos", "3.4.0", figures(seconds=1.0, others=0.9))
    slow_and_alone = Outcome("dbos", "3.4.0", figures(seconds=2.0, others=0.1))

    assert table.settle([fast_but_disturbed, slow_and_alone]) is slow_and_alone


def test_a_failed_round_is_not_made_good_by_another():
    failed = Outcome("dbos", "3.4.0", reason="one output is wrong")

    assert table.settle([Outcome("dbos", "3.4.0", figures()), failed]) is failed


def test_without_erip_in_the_same_run_there_are_no_ratios():
    outcomes = [Outcome("erip", "", reason="it failed"), Outcome("celery", "5.7.0", figures())]

    assert table.rows(outcomes)[1][-3:] == ("-", "-", "-")
    assert table.as_json(outcomes)[1]["ratios"] is None


def test_the_json_holds_figures_ratios_and_reasons():
    outcomes = [
        Outcome("erip", "", figures(cpu=0.5)),
        Outcome("dbos", "3.4.0", figures(seconds=10.0)),
        Outcome("prefect", "3.8.8", reason="too slow"),
    ]

    erip, dbos, prefect = json.loads(json.dumps(table.as_json(outcomes)))

    assert erip["figures"]["workflows_per_second"] == 1000
    assert erip["ratios"] is None
    assert dbos["ratios"] == {"throughput": pytest.approx(10), "cpu": pytest.approx(2), "latency_p50": pytest.approx(1)}
    assert prefect["figures"] is None
    assert prefect["reason"] == "too slow"


@pytest.mark.parametrize(("value", "shown"), [(0.123, "0.12"), (1.55, "1.6"), (42.42, "42.4"), (1234.5, "1,234")])
def test_numbers_show_what_is_worth_showing(value, shown):
    assert table.number(value) == shown


def test_a_step_that_is_missing_doubled_or_out_of_order_shows_in_the_output():
    steps = [workflow.double, workflow.add, workflow.scale, workflow.subtract]

    def run(order):
        number = 11
        for step in order:
            number = step(number)
        return number

    right = workflow.expected(11)
    assert run(steps) == right
    for index in range(4):
        assert run(steps[:index] + steps[index + 1 :]) != right
        assert run([*steps[: index + 1], *steps[index:]]) != right
    for index in range(3):
        swapped = [*steps]
        swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
        assert run(swapped) != right


@pytest.mark.parametrize("outputs", [{}, {1: workflow.expected(1)}, {1: 0, 2: workflow.expected(2)}])
def test_wrong_or_missing_outputs_are_no_result(outputs):
    with pytest.raises(harness.WrongOutput):
        harness.check_outputs([1, 2], outputs)


def test_right_outputs_pass():
    harness.check_outputs([1, 2], {2: workflow.expected(2), 1: workflow.expected(1)})


@pytest.mark.parametrize("peer", [peer for peer in CATALOGUE if peer.package], ids=lambda peer: peer.name)
def test_every_peer_is_pinned_by_hash(peer):
    text = (FOLDER / peer.name / "requirements.txt").read_text()

    assert version_of(peer) in (FOLDER / peer.name / "requirements.in").read_text()
    assert text.count("==") <= text.count("--hash=sha256:")
    assert "index-url" not in text
