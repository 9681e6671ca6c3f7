"""Quorums: every seat is filled that can be, and nobody sits twice."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from workflows.core.quorum import Quorum, Verdict, Vote

GROUPS = ("ciso", "dpo", "legal")
votes = st.lists(
    st.builds(
        Vote,
        st.frozensets(st.sampled_from("abcdef"), min_size=1, max_size=2),
        st.frozensets(st.sampled_from(GROUPS), min_size=1),
        st.just(True),
    ),
    max_size=5,
)
seats = st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 2), min_size=1)


@given(seats, votes)
def test_as_many_seats_are_filled_as_any_seating_fills(seats: dict[str, int], votes: list[Vote]) -> None:
    """Against every way to seat the voters who count."""
    counted: list[Vote] = []
    for vote in votes:
        if not any(vote.people & other.people for other in counted):
            counted.append(vote)
    chairs = [role for role, count in seats.items() for _ in range(count)]
    best = max(
        sum(role in vote.roles for role, vote in zip(chairs, order, strict=False))
        for order in permutations([*counted, *[Vote(frozenset(), frozenset(), True)] * len(chairs)], len(chairs))
    )
    missing = Quorum(seats).missing(votes)
    assert sum(missing.values()) == len(chairs) - best
    assert (Quorum(seats).verdict(votes) is Verdict.APPROVED) == (best == len(chairs))


@given(seats, votes)
def test_another_vote_for_it_empties_no_seat(seats: dict[str, int], votes: list[Vote]) -> None:
    for count in range(len(votes)):
        before, after = (sum(Quorum(seats).missing(votes[:each]).values()) for each in (count, count + 1))
        assert after <= before


def test_who_may_refuse_ends_it_and_who_may_not_does_not() -> None:
    against = Vote(frozenset("a"), frozenset({"dpo"}), False)
    assert Quorum({"dpo": 1}).verdict([against]) is Verdict.REFUSED
    assert Quorum({"dpo": 1}, frozenset({"legal"})).verdict([against]) is None
    veto = Vote(frozenset("b"), frozenset({"legal"}), False)
    assert Quorum({"dpo": 1}, frozenset({"legal"})).verdict([against, veto]) is Verdict.REFUSED
