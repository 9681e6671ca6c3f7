"""What changed between two looks, and between two reports of processes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitoring.core.changes import Change, Eye, Reporting, What, heard, merged, of_lives, replaced, told
from monitoring.core.components import REPORT_EVERY, SILENT_AFTER, Member, Observation, State

NOW = 1_800_000_000.0


def seen(at: float, state: State = State.OK, identity: str = "", **rest: object) -> Observation:
    return Observation("redis", state, f"It is {state}.", at, 7.0, identity, **rest)  # type: ignore[arg-type]


def looks(*all_of_them: Observation) -> list[Change]:
    eye = Eye()
    return [change for one in all_of_them for change in eye.look(one, one.at - 0.1)]


def test_a_restart_that_no_look_saw_shows_as_another_identity() -> None:
    (found,) = looks(seen(10, identity="a"), seen(15, identity="b"))

    assert (found.what, found.after, found.by) == (What.RESTARTED, 10, 15)


def test_an_identity_is_remembered_through_silence() -> None:
    found = looks(seen(10, identity="a"), seen(15, State.DOWN), seen(20, identity="b"))

    assert [one.what for one in found] == [What.FAILED, What.RESTARTED, What.RECOVERED]
    assert (found[0].after, found[0].by) == (10, 14.9), "what did not answer had failed when it was asked"


def test_trouble_that_is_anothers_is_said_of_that_one() -> None:
    found = looks(seen(10), seen(15, State.DOWN, about=("web",)), seen(20))

    assert [(one.component, one.what, one.direct) for one in found] == [
        ("web", What.FAILED, False), ("web", What.RECOVERED, False),
    ]  # fmt: skip


def test_members_tell_which_of_them_it_was() -> None:
    def both(at: float, first: Member, second: Member) -> Observation:
        return seen(at, identity=first.identity, members=(first, second))

    one = Member("redis", "one", State.OK, identity="a", role="master", leads=True, counters={"flushes": 1})
    two = Member("redis", "two", State.OK, identity="b", role="slave", counters={"flushes": 1})
    after = replace(one, identity="", role="", leads=False, state=State.DOWN, sentence="It is silent.", counters={})

    found = looks(
        both(10, one, two),
        both(15, after, replace(two, role="master", leads=True)),
        both(20, replace(one, identity="c", role="slave", leads=False, counters={}), two),
        both(25, replace(one, identity="c"), replace(two, counters={"flushes": 2})),
    )

    assert [(each.member, each.what) for each in found] == [
        ("one", What.FAILED),
        ("two", What.MOVED),
        ("one", What.RECOVERED),
        ("one", What.RESTARTED),
        ("one", What.MOVED),
        ("two", What.EMPTIED),
    ]


def test_what_is_not_known_of_a_member_is_no_change_until_it_is_known() -> None:
    one = Member("patroni", "one", State.OK)
    unsure, down = replace(one, state=State.UNKNOWN), replace(one, state=State.DOWN, sentence="It is silent.")

    assert looks(seen(10, members=(one,)), seen(15, members=(unsure,)), seen(20, members=(one,))) == []
    found = looks(seen(10, members=(one,)), seen(15, members=(unsure,)), seen(20, members=(down,)))
    assert [each.what for each in found] == [What.FAILED]


def test_a_counter_that_begins_anew_with_its_server_is_no_event() -> None:
    one = Member("redis", "one", State.OK, identity="a", counters={"flushes": 0})

    found = looks(seen(10, members=(one,)), seen(15, members=(replace(one, identity="b", counters={"flushes": 3}),)))

    assert [each.what for each in found] == [What.RESTARTED]


@given(st.lists(st.tuples(st.sampled_from(list(State)), st.sampled_from(["", "a", "b"])), max_size=8))
def test_each_change_lies_between_two_looks(states: list[tuple[State, str]]) -> None:
    for one in looks(*(seen(10.0 + 5 * place, state, identity) for place, (state, identity) in enumerate(states))):
        assert one.after <= one.by
        assert (one.after - 10) % 5 == 0


# --- processes


def life(kind: str, pid: int, *, born: float, age: float, ended: bool = False, host: str = "here") -> Reporting:
    return Reporting(kind, host, pid, born, age, ended)


def test_a_process_that_ended_in_good_order_is_not_missed() -> None:
    assert of_lives([life("worker", 1, born=900, age=40, ended=True), life("web", 2, born=900, age=1)], NOW) == []


def test_a_process_that_was_replaced_is_named_and_no_longer_missed() -> None:
    lives = [
        life("worker", 1, born=900, age=9),
        life("worker", 2, born=900, age=1),
        life("worker", 3, born=8, age=1),
        life("web", 4, born=5, age=1),
    ]

    assert replaced(lives) == {0: 2}
    (found,) = of_lives(lives, NOW)
    assert (found.member, found.what) == ("here/1", What.RESTARTED)
    assert NOW - 9 <= found.by <= NOW - 5


def test_one_successor_replaces_one_process() -> None:
    lives = [life("worker", pid, born=900, age=20) for pid in (1, 2)] + [life("worker", 3, born=15, age=1)]

    assert len(replaced(lives)) == 1
    assert sorted(one.what for one in of_lives(lives, NOW)) == [What.FAILED, What.RESTARTED]


def test_if_nothing_reports_the_database_does_not_take_reports_and_nobody_is_missed() -> None:
    assert of_lives([life("worker", pid, born=900, age=SILENT_AFTER + pid) for pid in range(3)], NOW) == []


def test_where_others_are_late_as_well_nobody_is_missed_early() -> None:
    silent, fresh, late = (life("worker", pid, born=900, age=age) for pid, age in ((1, 5.0), (2, 1.0), (3, 3.5)))

    assert [one.member for one in of_lives([silent, fresh], NOW)] == ["here/1"]
    assert of_lives([silent, fresh, late], NOW) == []


@given(
    every=st.floats(REPORT_EVERY, 4.4),
    lived=st.floats(0, 1),
    started=st.one_of(st.none(), st.floats(0, 20)),
    looked=st.floats(0, 60),
)
def test_the_end_of_a_process_lies_in_the_time_that_is_said(
    every: float, lived: float, started: float | None, looked: float
) -> None:
    """Also where reports come late, and whether or not another one was started since."""
    last, end = NOW - looked - lived * every, NOW - looked
    lives = [life("worker", 1, born=900, age=NOW - last), life("web", 2, born=900, age=1)]
    if started is not None and started < looked:
        lives.append(life("worker", 3, born=looked - started, age=0.5))

    for one in of_lives(lives, NOW):
        assert one.after - 1e-6 <= end <= one.by + 1e-6


lives = st.lists(
    st.builds(
        Reporting,
        st.sampled_from(["web", "worker"]),
        st.sampled_from(["a", "b"]),
        st.integers(1, 9),
        st.floats(0, 1000),
        st.floats(0, 300),
        st.booleans(),
    ),
    max_size=8,
)


@given(lives)
def test_successors_are_younger_of_the_same_kind_and_host_and_replace_one_each(found: list[Reporting]) -> None:
    heirs = replaced(found)

    assert len(set(heirs.values())) == len(heirs)
    for gone, heir in heirs.items():
        assert (found[gone].kind, found[gone].host) == (found[heir].kind, found[heir].host)
        assert found[heir].age_of_start < found[gone].age_of_start
        assert found[heir].age < found[gone].age
    for one in of_lives(found, NOW):
        assert one.after <= one.by


# --- several who look

changes = st.builds(
    Change,
    st.sampled_from(["redis", "web"]),
    st.sampled_from(["", "one"]),
    st.sampled_from(list(What)),
    st.floats(NOW - 50, NOW - 10),
    st.floats(NOW - 10, NOW),
    st.text(max_size=20),
    st.booleans(),
)


@given(st.lists(changes, max_size=6))
def test_what_several_saw_is_one_change_and_told_twice_it_is_the_same(found: list[Change]) -> None:
    once = merged(found)

    assert merged([*found, *found]) == once
    assert merged(once) == once
    assert {(one.component, one.member, one.what) for one in once} == {
        (one.component, one.member, one.what) for one in found
    }
    assert all(one.after <= one.by for one in once)


@given(changes)
def test_a_change_survives_its_report(one: Change) -> None:
    back = heard(told(one, NOW), NOW)

    assert back is not None
    assert abs(back.by - one.by) < 0.01
    assert replace(back, after=one.after, by=one.by) == one


FIELDS = ["change", "of", "member", "after_age", "by_age", "said", "direct", "x"]
anything = st.none() | st.booleans() | st.text(max_size=3) | st.floats() | st.sampled_from(list(What))


@given(st.dictionaries(st.sampled_from(FIELDS), anything))
def test_no_report_breaks_the_reader(stored: dict[str, object]) -> None:
    found = heard(stored, NOW)

    assert found is None or found.after <= found.by
