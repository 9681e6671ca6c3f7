"""Histograms of hot paths: what prometheus_client's own would count, with a bounded number of series."""

import threading

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from erip.foundation.process.timings import MOST, OTHER, Timings

BOUNDS = (0.01, 0.5, 10.0)


def counted(collector: object) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    registry = CollectorRegistry()
    registry.register(collector)  # type: ignore[arg-type]
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in registry.collect()
        for one in family.samples
        if not one.name.endswith("_created")
    }


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.sampled_from(BOUNDS), st.floats(0, 100)))))
def test_it_counts_what_prometheus_client_counts(observed: list[tuple[str, float]]) -> None:
    mine = Timings("erip_took_seconds", "x", ["who"], BOUNDS)
    registry = CollectorRegistry()
    theirs = Histogram("erip_took_seconds", "x", ["who"], buckets=BOUNDS, registry=registry)
    for who, seconds in observed:
        mine.observe((who,), seconds)
        theirs.labels(who).observe(seconds)

    assert counted(mine) == counted(theirs)


def test_what_is_beyond_the_limit_is_counted_under_other() -> None:
    mine = Timings("erip_took_seconds", "x", ["who", "how"], BOUNDS)
    for number in range(MOST + 40):
        mine.observe((str(number), "so"), 0.1)
    mine.observe(("0", "so"), -5.0)

    found = counted(mine)
    assert found["erip_took_seconds_count", frozenset({("who", OTHER), ("how", OTHER)})] == 40
    assert found["erip_took_seconds_count", frozenset({("who", "0"), ("how", "so")})] == 2
    assert found["erip_took_seconds_sum", frozenset({("who", "0"), ("how", "so")})] == 0.1, "no negative time"
    assert sum(name.endswith("_count") for name, _ in found) == MOST + 1


def test_nothing_is_lost_between_threads() -> None:
    mine = Timings("erip_took_seconds", "x", ["who"], BOUNDS)
    together = threading.Barrier(4)

    def observe() -> None:
        together.wait()
        for _ in range(20_000):
            mine.observe(("a",), 1.0)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counted(mine)["erip_took_seconds_sum", frozenset({("who", "a")})] == 80_000
