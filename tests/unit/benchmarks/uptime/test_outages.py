"""Failover, recovery and gaps are computed from what the clients saw."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.uptime.availability import availability, seconds
from benchmarks.uptime.outages import NORMAL, Mark, calm, disturbed, outages
from benchmarks.uptime.samples import Sample, Try

#: a machine that is busy with other things takes its time
busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sample(began: float, took: float = 0.01, error: str | None = None, *, operation: str = "read") -> Sample:
    return Sample(operation, began, (Try(began, began + took, error),))


def mark(at: float, *, kind: str = "web-kill") -> Mark:
    return Mark(kind, "web", at, at)


def test_a_fault_that_nobody_notices_costs_nothing():
    (found,) = outages([sample(second) for second in range(10)], [mark(5)], 10)
    assert (found.failover, found.recovery, found.gap, found.noticed) == (0, 0, 0, False)


def test_failover_runs_from_the_start_of_the_first_failure_to_the_first_success_after_it():
    # Given: a fault at 5, a request at 6 that fails at once, and the next right answer at 8.5
    samples = [sample(4), sample(6, 0.1, "503"), sample(7, 0.1, "503"), sample(8.4, 0.1), sample(9)]
    (found,) = outages(samples, [mark(5)], 10)
    assert found.failover == pytest.approx(2.5)
    assert found.recovery == pytest.approx(2.1)
    # The last right answer before was at 4.01: the fault itself is where the gap begins.
    assert found.gap == pytest.approx(3.5)
    assert (found.failed_tries, found.slow_tries, found.failed) == (2, 0, 2)


def test_a_request_that_hangs_counts_from_its_start_and_not_from_its_timeout():
    (found,) = outages([sample(5.1, 1.75, "no answer in time"), sample(6.9)], [mark(5)], 10)
    assert found.failover == pytest.approx(1.81)


def test_a_request_that_was_under_way_belongs_to_the_fault_that_it_met():
    (found,) = outages([sample(4.9, 1.0, "ConnectionError"), sample(6)], [mark(5)], 10)
    assert found.failed_tries == 1
    assert found.recovery == pytest.approx(0.9)


def test_a_slow_answer_is_a_disturbance_as_long_as_it_took():
    (found,) = outages([sample(5, 2.0), sample(8)], [mark(4)], 10)
    assert found.failover == pytest.approx(2.0)
    assert (found.failed_tries, found.slow_tries, found.failed) == (0, 1, 0)


def test_one_operation_that_stays_away_is_not_hidden_by_the_others():
    others = [sample(5 + place / 10, operation="read") for place in range(40)]
    (found,) = outages(
        [*others, sample(5.5, 0.1, "503", operation="list"), sample(8.5, operation="list")], [mark(5)], 10
    )
    assert found.failover == pytest.approx(3.01)
    assert set(found.by_operation) == {"list"}


def test_what_never_comes_back_counts_to_the_end_of_the_load():
    (found,) = outages([sample(5, 0.1, "503")], [mark(5)], 60)
    assert found.failover == pytest.approx(55)


def test_a_disturbance_belongs_to_the_last_fault_before_its_end():
    first, second = outages([sample(5, 0.1, "503"), sample(21, 0.1, "503"), sample(22)], [mark(4), mark(20)], 30)
    assert (first.failed_tries, second.failed_tries) == (1, 1)
    assert second.recovery == pytest.approx(1.1)


def test_a_retry_that_is_right_saves_the_operation_but_not_the_try():
    tries = (Try(5, 5.1, "503"), Try(5.7, 5.8, None))
    (found,) = outages([Sample("read", 5, tries)], [mark(5)], 10)
    assert (found.failed, found.failed_tries) == (0, 1)
    told = availability([Sample("read", 5, tries)])
    assert (told.percent, told.percent_at_once) == (100.0, 0.0)


times = st.floats(0, 100)
tries = st.tuples(times, st.floats(0.001, 5), st.booleans(), st.sampled_from(["read", "list", "start"]))


@busy
@given(st.lists(tries, max_size=60), st.lists(times, max_size=5, unique=True))
def test_whatever_happens_the_figures_hold_together(made, moments):
    samples = [sample(at, took, None if right else "503", operation=name) for at, took, right, name in made]
    marks = [mark(at) for at in sorted(moments)]
    end = 120.0
    found = outages(samples, marks, end)
    assert [one.mark for one in found] == marks
    for one in found:
        assert min(one.failover, one.recovery, one.gap) >= 0
        assert one.noticed == (one.failed_tries + one.slow_tries > 0)
        assert one.failed <= one.failed_tries
        assert one.gap <= end - one.mark.at
    # Every disturbance after the first fault belongs to one fault, and to one only.
    after = [made for one in samples for made in one.tries if marks and made.ended >= marks[0].at and disturbed(made)]
    assert sum(one.failed_tries + one.slow_tries for one in found) == len(after)


@busy
@given(st.lists(tries, max_size=60))
def test_seconds_hold_every_operation_once(made):
    samples = [sample(at, took, None if right else "503") for at, took, right, _ in made]
    buckets = seconds(samples, 0, 101)
    assert sum(one.asked for one in buckets) == len(samples)
    assert sum(one.right for one in buckets) == availability(samples).right


def test_an_answer_within_the_normal_time_is_no_disturbance():
    assert not disturbed(Try(0, NORMAL, None))
    assert disturbed(Try(0, NORMAL + 0.001, None))


def test_disturbances_before_the_first_fault_are_the_machines():
    samples = [sample(1), sample(2, 2.0), sample(3, 0.1, "503"), sample(9, 0.1, "503")]
    assert calm(samples, [mark(5)]) == (3, 2)
    assert calm(samples, []) == (4, 3)


def test_a_fault_is_as_long_as_it_was_for_the_operation_that_it_hit_hardest():
    short = [sample(5, 0.1, "503", operation="read"), sample(6, operation="read")]
    long = [sample(5, 0.1, "503", operation="list"), sample(9, operation="list")]
    (found,) = outages([*short, *long], [mark(4)], 10)
    assert found.by_operation == {"read": pytest.approx(1.01), "list": pytest.approx(4.01)}
    assert found.failover == pytest.approx(4.01)
    assert found.gap == pytest.approx(5.01)


def test_a_right_answer_to_an_older_request_does_not_end_an_outage():
    # Asked before the failure, answered after it: it tells nothing of requests that came later.
    samples = [sample(4.5, 1.0), sample(5, 0.1, "503"), sample(7)]
    (found,) = outages(samples, [mark(4)], 10)
    assert found.failover == pytest.approx(2.01)
