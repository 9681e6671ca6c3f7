"""Which component is named as the cause. Laws first, then the shapes of real faults."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitoring.core.causes import QUIET, RECENT, Cause, rank
from monitoring.core.changes import Change, What, merged
from monitoring.core.components import NEEDS, PROCESSES, State, Verdict, dependents

NOW = 1_800_000_000.0
OBSERVED = [name for name in NEEDS if name not in PROCESSES]
BEGINNINGS = [What.FAILED, What.RESTARTED, What.MOVED, What.EMPTIED]


def change(component: str, ago: float, what: What = What.FAILED, *, width: float = 1.0, direct: bool = True) -> Change:
    by = NOW - ago
    return Change(component, f"{component}-1", what, by - width, by, f"{component} {what} {ago:.1f} s ago.", direct)


changes = st.lists(
    st.builds(
        change,
        st.sampled_from(list(NEEDS)),
        st.floats(0, 200),
        st.sampled_from(list(What)),
        width=st.floats(0, 7),
        direct=st.booleans(),
    ),
    max_size=12,
).map(merged)
verdicts = st.dictionaries(st.sampled_from(list(NEEDS)), st.sampled_from(list(State)), max_size=len(NEEDS)).map(
    lambda found: {name: Verdict(name, state, f"It is {state}.", 1.0) for name, state in found.items()}
)


def all_well(**states: State) -> dict[str, Verdict]:
    return {name: Verdict(name, states.get(name, State.OK), f"{name} is so.", 1.0) for name in NEEDS}


def names(found: list[Cause]) -> list[str]:
    return [one.component for one in found]


# --- laws


@given(changes, verdicts)
def test_each_cause_has_evidence_and_the_weights_order_them(seen: list[Change], said: dict[str, Verdict]) -> None:
    found = rank(seen, said, NOW)

    assert len(set(names(found))) == len(found)
    assert [one.weight for one in found] == sorted((one.weight for one in found), reverse=True)
    assert not found or abs(sum(one.weight for one in found) - 1) < 1e-6
    for one in found:
        assert one.evidence, "what is blamed is blamed for a reason"
        assert all(piece.sentence for piece in one.evidence)
        assert one.after <= one.by <= NOW
        assert set(one.explains) <= set(dependents(one.component, NEEDS))
        troubled = one.component in said and said[one.component].state is not State.OK
        assert troubled or any(each.component == one.component and NOW - each.by <= RECENT for each in seen)


@given(changes, verdicts, st.randoms())
def test_the_order_in_which_it_was_seen_does_not_matter(seen: list[Change], said: dict[str, Verdict], random) -> None:  # type: ignore[no-untyped-def]
    mixed = list(seen)
    random.shuffle(mixed)

    assert rank(mixed, said, NOW) == rank(seen, said, NOW)


@given(changes, verdicts, st.integers(-1_000_000, 1_000_000))
def test_it_does_not_matter_when_it_happened(seen: list[Change], said: dict[str, Verdict], shift: int) -> None:
    moved = [replace(one, after=one.after + shift, by=one.by + shift) for one in seen]

    # Seconds of different size are rounded in other ways: what is equally likely may change places by that.
    before, after = rank(seen, said, NOW), rank(moved, said, NOW + shift)
    assert sorted(names(before)) == sorted(names(after))
    assert not before or abs(before[0].weight - after[0].weight) < 1e-3


@given(st.sampled_from(list(NEEDS)), st.sampled_from(BEGINNINGS), st.floats(0, 100), st.booleans())
def test_what_alone_is_not_well_is_the_cause(component: str, what: What, ago: float, direct: bool) -> None:
    assert names(rank([change(component, ago, what, direct=direct)], all_well(), NOW)) == [component]


@given(st.sampled_from(OBSERVED), st.data())
def test_what_was_asked_itself_and_explains_all_others_comes_first(root: str, data: st.DataObject) -> None:
    above = dependents(root, NEEDS)
    affected = data.draw(st.lists(st.sampled_from(above), unique=True)) if above else []
    seen = [change(root, 20.0)]
    seen += [change(name, data.draw(st.floats(0, 19)), direct=data.draw(st.booleans())) for name in affected]

    found = rank(seen, all_well(**{root: State.DOWN}), NOW)

    assert found[0].component == root
    assert set(found[0].explains) == set(affected)


@given(changes, verdicts)
def test_what_only_complains_is_never_blamed(seen: list[Change], said: dict[str, Verdict]) -> None:
    errors = [replace(one, what=What.ERRORS, component="web") for one in seen]
    ok = {name: verdict for name, verdict in said.items() if verdict.state is State.OK}

    assert rank(errors, ok, NOW) == []


@given(changes)
def test_nothing_is_blamed_for_what_was_long_ago(seen: list[Change]) -> None:
    assert rank(seen, all_well(), NOW + 2 * RECENT + 200) == []


@given(st.sampled_from(OBSERVED), st.sampled_from(OBSERVED), st.floats(2 * QUIET, RECENT - 20))
def test_the_newest_incident_comes_first(old: str, new: str, ago: float) -> None:
    """Where the older one is over: what is still down stays on top, if it explains what came after it."""
    if old == new:
        return
    found = rank([change(old, ago), change(new, 1.0)], all_well(), NOW)

    # What came later and depends on what was seen before may be its late effect.
    if new not in dependents(old, NEEDS):
        assert found[0].component == new


# --- shapes of real faults


def test_a_killed_primary_is_blamed_and_not_what_sees_it() -> None:
    seen = [
        change("postgresql", 6.0, width=2.0),
        change("postgresql", 5.5, What.MOVED, width=2.0),
        change("web", 4.0, What.ERRORS),
    ]
    said = all_well(haproxy=State.DOWN, patroni=State.DOWN, leader=State.UNKNOWN)
    said = {
        name: replace(one, about=("postgresql",) if name in ("haproxy", "patroni") else ())
        for name, one in said.items()
    }

    first = rank(seen, said, NOW)[0]

    assert first.component == "postgresql"
    assert first.members == ("postgresql-1",)
    assert set(first.explains) == {"web", "leader"}
    sentences = [one.sentence for one in first.evidence]
    assert sentences[0].startswith("postgresql failed")
    assert "2 of 4 that depend on it complain: leader, web." in sentences
    assert "What it depends on is well: certificates" not in " ".join(sentences)
    assert any("What it depends on is well: disk, etcd." in one for one in sentences)


def test_it_is_said_which_began_first_only_where_that_is_certain() -> None:
    certain = rank([change("redis", 5.0), change("disk", 1.0)], all_well(), NOW)
    assert any("It began 3.0 s or more before that of disk did." in one.sentence for one in certain[0].evidence)

    unsure = rank([change("redis", 5.0, width=7.0), change("disk", 4.0, width=7.0)], all_well(), NOW)
    assert any("is not known" in one.sentence for one in unsure[0].evidence)


def test_a_quorum_that_is_lost_explains_a_database_that_has_no_leader_then() -> None:
    seen = [change("etcd", 9.0), change("patroni", 6.0), change("postgresql", 5.0), change("web", 2.0, direct=False)]

    assert rank(seen, all_well(etcd=State.DOWN, postgresql=State.DOWN), NOW)[0].component == "etcd"


def test_what_has_been_worse_for_long_explains_nothing_that_begins_now() -> None:
    said = {**all_well(worker=State.DEGRADED), "postgresql": Verdict("postgresql", State.DEGRADED, "It is full.", 0.5)}
    seen = [change("postgresql", 100.0), change("worker", 2.0, direct=False)]

    assert names(rank(seen, said, NOW))[0] == "worker"


def test_reports_that_cannot_be_read_blame_no_process() -> None:
    said = all_well(postgresql=State.DOWN, web=State.UNKNOWN, worker=State.UNKNOWN, leader=State.UNKNOWN)

    found = rank([], said, NOW)

    assert names(found) == ["postgresql"]
    assert set(found[0].explains) == {"web", "worker", "leader"}
    assert found[0].ongoing


def test_what_others_complain_about_lasts_as_long_as_they_do() -> None:
    """PostgreSQL answers again, but Patroni has nobody to lead yet."""
    said = all_well(patroni=State.DOWN)
    said["patroni"] = replace(said["patroni"], about=("postgresql",))

    for seen in ([], [change("postgresql", 5.0), change("postgresql", 2.0, What.RECOVERED)]):
        (found,) = rank(seen, said, NOW)

        assert (found.component, found.ongoing) == ("postgresql", True)
        assert "patroni says: patroni is so." in [one.sentence for one in found.evidence]
