"""What is said of a component: never "ok" without somebody who saw it so lately."""

from hypothesis import given
from hypothesis import strategies as st

from monitoring.core.components import (
    GONE_AFTER,
    NEEDS,
    ORDER,
    SILENT_AFTER,
    Life,
    Observation,
    State,
    Verdict,
    cause,
    dependents,
    of_observation,
    of_processes,
    sentence,
    whole,
)

states = st.sampled_from(list(State))
verdicts = st.dictionaries(st.sampled_from(list(NEEDS)), states, max_size=len(NEEDS)).map(
    lambda found: {name: Verdict(name, state, f"It is {state}.", 1.0) for name, state in found.items()}
)


@given(states, st.floats(0, 1e6), st.floats(0.1, 100))
def test_what_is_older_than_its_probe_allows_is_unknown(state: State, age: float, good_for: float) -> None:
    seen = Observation("redis", state, "It answered.", at=1_000_000.0 - age, good_for=good_for)

    said = of_observation(seen, 1_000_000.0)

    assert said.state is (state if 1_000_000.0 - seen.at <= good_for else State.UNKNOWN)


@given(st.lists(st.floats(0, 500), max_size=5), st.one_of(st.none(), st.floats(0, 500)))
def test_processes_are_ok_only_if_one_reported_lately_and_none_is_silent(
    ages: list[float], read_age: float | None
) -> None:
    lives = [Life("worker", "here", number, age) for number, age in enumerate(ages)]

    said = of_processes("worker", lives, read_age)

    if said.state is State.OK:
        assert read_age is not None
        now = [age + read_age for age in ages]
        assert any(age <= SILENT_AFTER for age in now)
        assert not any(SILENT_AFTER < age <= GONE_AFTER for age in now)
    if read_age is None or read_age > SILENT_AFTER:
        assert said.state is State.UNKNOWN, "nobody knows what happened since the reports were read"


def test_a_silent_process_is_unknown_before_it_is_down() -> None:
    def of(age: float) -> State:
        return of_processes("leader", [Life("leader", "here", 1, age)], 0.0).state

    assert [of(1), of(SILENT_AFTER + 1), of(6 * SILENT_AFTER), of(GONE_AFTER + 1)] == [
        State.OK, State.UNKNOWN, State.DOWN, State.DOWN,
    ]  # fmt: skip


def test_one_silent_process_among_others_degrades_and_is_named() -> None:
    lives = [Life("worker", "a", 1, 0.5), Life("worker", "b", 22, 30.0)]

    said = of_processes("worker", lives, 0.0)

    assert said.state is State.DEGRADED
    assert said.sentence.startswith("1 reports, but the worker on ")
    assert "b (process 22) has been silent for 30 s" in said.sentence


def test_without_an_autoscaler_nothing_is_missing_but_without_a_worker_the_work_is() -> None:
    assert of_processes("autoscaler", [], 0.0).state is State.OK
    assert of_processes("worker", [], 0.0).state is State.DOWN


@given(verdicts)
def test_the_whole_is_as_bad_as_its_worst_part(found: dict[str, Verdict]) -> None:
    said = whole(found.values())

    assert all(ORDER.index(said) >= ORDER.index(one.state) for one in found.values())
    assert (sentence(found) == "Everything that is watched works.") == all(
        one.state is State.OK for one in found.values()
    )


@given(verdicts)
def test_the_cause_needs_nothing_that_is_in_trouble_itself(found: dict[str, Verdict]) -> None:
    first = cause(found)

    if first is not None:
        assert first.state is not State.OK
        troubled = {name for name, one in found.items() if one.state is not State.OK}
        assert not any(first.component in dependents(other, troubled) for other in troubled - {first.component})


def test_a_database_that_is_away_explains_the_processes_that_are_silent() -> None:
    found = {
        "postgresql": Verdict("postgresql", State.DOWN, "It does not answer.", 1.0),
        "redis": Verdict("redis", State.OK, "It serves.", 1.0),
        **{kind: Verdict(kind, State.UNKNOWN, "Unread.", 9.0) for kind in ("web", "worker", "leader")},
    }

    first = cause(found)

    assert first is not None
    assert first.component == "postgresql"
    assert "affects web, worker, leader" in sentence(found)


def test_dependents_are_found_through_what_is_not_there() -> None:
    assert dependents("etcd", ["etcd", "postgresql", "web"]) == ["postgresql", "web"]


def test_needs_go_round_in_no_circle() -> None:
    for component in NEEDS:
        assert component not in dependents(component, NEEDS)


def test_reports_that_a_failover_lost_do_not_say_that_nobody_works() -> None:
    assert of_processes("worker", [], 0.0, lost=True).state is State.UNKNOWN
    assert of_processes("worker", [], 0.0).state is State.DOWN
