"""The planner: what it reads, what it finds in a past that is known, and that it says what it does not know."""

import json
import math
import random
from collections.abc import Sequence

import pytest

from monitoring.core.planning import demand as asked
from monitoring.core.planning.demand import Demand, Prices, prices, read
from monitoring.core.planning.fitting import Estimate, Fit, fit
from monitoring.core.planning.sizing import Seen, Tables, cores, plan, share_for


def ask(**given: object) -> tuple[Demand, list[tuple[str, str]]]:
    usual: dict[str, object] = {"critical": None, "runs": [], "events": None, "kept": None, "deadline": None}
    found, faults = read(**{**usual, **given})  # type: ignore[arg-type]
    return found, [(one.path, one.message) for one in faults]


def test_a_demand_is_read() -> None:
    found, faults = ask(
        critical="200/s", runs=["w4=1.5k/s", "90/min"], events="20000/s", kept="50M", deadline="p99=50ms"
    )
    assert faults == []
    assert found == Demand(200.0, 1.5, {"w4": 1500.0}, 20_000.0, 50e6, 99, 0.05)


@pytest.mark.parametrize(
    "wrong",
    ["0/s", "-5/s", "1e30/s", "200", "/s", "200/sec", "", "NaN/s", "٣/s", "9" * 5000 + "/s", "99999999/s", "1/s\n"],
)
def test_a_rate_that_is_none_is_named(wrong: str) -> None:
    _, faults = ask(critical=wrong)
    assert [path for path, _ in faults] == ["--critical"]
    assert len(faults[0][1]) < 200


def test_every_fault_is_named_at_once() -> None:
    _, faults = ask(critical="0/s", runs=["w4=1e30/s", "w4=1/s", "5"], events="-1/s", kept="50 M", deadline="p100=50ms")
    assert [path for path, _ in faults] == [
        "--runs",
        "--runs",
        "--runs",
        "--deadline",
        "--critical",
        "--events",
        "--runs-kept",
    ]
    assert ask()[1][0][0] == ""
    assert ask(runs=["5/s"], deadline="p99=50ms")[1][0][0] == "--deadline"


def test_prices_are_read_and_every_fault_of_them_is_named() -> None:
    assert prices({"currency": "EUR", "core": 20, "iops": 0.01})[0] == Prices("EUR", {"core": 20.0, "iops": 0.01})
    wrong = {"currency": "euro", "core": -1, "memory_gib": "4", "disk_gib": math.inf, "iops": True, "cpu": 1}
    assert {one.path for one in prices(wrong)[1]} == wrong.keys()
    assert prices([])[1]
    assert [one.path for one in prices({"currency": "EUR", "core": 10**400})[1]] == ["core"]
    assert set(asked.PRICES) == {"core", "memory_gib", "disk_gib", "iops"}


# --- a past that is known: what it costs is put in, and must come out


def past(
    *, noise: float = 0.01, points: int = 200, together: bool = False, workers: int = 2, wait: float | None = None
) -> list[Seen]:
    draw = random.Random(7)
    found = []
    for _ in range(points):
        a = draw.uniform(0, 50)
        b = a / 2 if together else draw.uniform(0, 50)
        events = draw.uniform(0, 500)

        def around(value: float) -> float:
            return value * (1 + draw.gauss(0, noise))

        found.append(
            Seen(
                workflows={"a": a, "b": b},
                events=events,
                cores={
                    "web": around(0.02 * 2 + 0.001 * (a + b) + 0.0001 * events),
                    "worker": around(0.03 * workers + 0.004 * a + 0.008 * b + 0.0002 * events),
                    "leader": around(0.02),
                },
                processes={"web": 2, "worker": workers, "leader": 1},
                memory={"web": 2e8, "worker": 1.2e8 * workers, "leader": 1e8},
                connections={"web": 8, "worker": 5 * workers, "leader": 3},
                database={"erip_postgresql_commits_total": around(5 + 2 * (a + b))},
                wait=wait,
            )
        )
    return found


def point(rate: float) -> Seen:
    return Seen({"a": rate}, None, {"worker": 0.1}, {"worker": 2}, {}, {}, {})


def value_of(found: Estimate | str) -> Estimate:
    assert isinstance(found, Estimate), found
    return found


def test_the_cost_of_each_workflow_comes_out_within_its_interval() -> None:
    loads = {"runs of a": 40.0, "runs of b": 10.0, "events": 300.0}
    for processes in (2, 4):
        found = value_of(cores("worker", loads, processes, past()))
        truth = 0.03 * processes + 0.004 * 40 + 0.008 * 10 + 0.0002 * 300
        assert abs(found.value - truth) < 0.05 * truth
        assert found.low <= truth <= found.high


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        draw = random.Random(seed)
        rows = [{"always": 1.0, "runs": draw.uniform(0, 10)} for _ in range(30)]
        made = fit(rows, [1 + 2 * row["runs"] + draw.gauss(0, 1) for row in rows], ["always", "runs"])
        assert isinstance(made, Fit)
        found = value_of(made.at({"always": 1.0, "runs": 8.0}))
        held += found.low <= 17 <= found.high
    assert held >= 180


@pytest.mark.parametrize(
    ("seen", "loads", "said"),
    [
        ([], {"runs": 1.0}, "nothing was seen"),
        (past(points=5), {"runs": 1.0}, "5 points are known"),
        (past(together=True), {"runs of a": 1.0, "runs of b": 1.0}, "always changed together"),
        (past(), {"runs of c": 1.0}, "no runs of c were seen"),
        ([point(5.0)] * 50, {"runs": 9.0}, "runs never changed"),
        ([point(5.0 + n) for n in range(50)], {"events": 9.0}, "no events were seen"),
    ],
    ids=["none", "few", "together", "another", "constant", "events"],
)  # fmt: skip
def test_what_the_past_does_not_say_is_unknown(seen: Sequence[Seen], loads: dict[str, float], said: str) -> None:
    found = cores("worker", loads, 2, seen)
    assert isinstance(found, str)
    assert said in found


def test_a_plan_has_processes_for_the_upper_end_and_one_more() -> None:
    made = plan(Demand(critical=200.0), past(), None, target=0.7, prices=None)

    worker = next(one for one in made.pools if one.kind == "worker")
    assert worker.cores is not None
    assert worker.replicas is not None
    assert worker.cores.high <= 0.7 * (worker.replicas - 1)
    assert worker.cores.high > 0.7 * (worker.replicas - 3)
    assert worker.cores.beyond > 1.5
    assert any("times the largest that was seen" in note for note in made.notes)
    assert not isinstance(made.connections, str)
    assert made.connections >= worker.replicas * 5


def test_a_deadline_lowers_the_share_and_is_unknown_where_nobody_saw_it() -> None:
    wanted = Demand(critical=10.0, percentile=99, wait=0.05)
    assert "Unknown whether" in share_for(wanted, past(), 0.7)[1][0]
    assert "not kept at any load" in share_for(wanted, past(wait=0.1), 0.7)[1][0]
    share, said = share_for(wanted, past(wait=0.01), 0.7)
    assert share < 0.7
    assert "the most that was seen" in said[0]


def test_the_disk_and_the_price_say_what_is_not_in_them() -> None:
    told = Prices("EUR", {"core": 20.0, "memory_gib": 3.0, "disk_gib": 0.1})
    found = plan(Demand(critical=10.0, kept=50e6), past(), Tables(2e9, 1e6, 0, None), target=0.7, prices=told)
    kept = value_of(found.disk["bytes of runs"])
    assert kept.value == pytest.approx(100e9)
    assert found.cost is not None
    assert found.cost.low <= found.cost.value <= found.cost.high
    assert "IOPS" in found.notes[-1]
    little = plan(Demand(kept=50e6), past(), Tables(2e6, 10, 0, None), target=0.7, prices=None)
    assert isinstance(little.disk["bytes of runs"], str)
    assert isinstance(found.database["WAL bytes/s"], str), "no frame holds it"


def test_a_coefficient_that_would_be_negative_is_left_out() -> None:
    draw = random.Random(3)
    rows = [{"always": 1.0, "runs": draw.uniform(0, 10), "events": draw.uniform(0, 10)} for _ in range(60)]
    made = fit(rows, [5 + row["runs"] - 0.2 * row["events"] for row in rows], ["always", "runs", "events"])
    assert isinstance(made, Fit)
    assert min(made.coefficients) == 0.0
    assert json.dumps(made.coefficients)
