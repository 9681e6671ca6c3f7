"""Whether a flag is on, decided from what the release and an operator say of it."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from erip.access.flags.deciding import Said, decide, part

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
PERCENT = st.integers(0, 1000).map(lambda tenths: Decimal(tenths) / 10)


def is_on(said: Said, *about: str, default: bool = True, name: str = "a", space: str | None = None) -> bool:
    return decide(name, default, said, about, None if space is None else lambda: space)[0]


def test_everyone_decides_whatever_else_is_said():
    said = Said(everyone=False, on_for=frozenset({"user:ada"}), percent=Decimal(100))

    assert not is_on(said, "user:ada")
    assert is_on(Said(everyone=True, off_for=frozenset({"user:ada"})), "user:ada", default=False)


def test_off_goes_before_on_and_both_before_a_share():
    said = Said(off_for=frozenset({"space:breach"}), on_for=frozenset({"user:ada"}), percent=Decimal(0))

    assert is_on(said, "user:ada")
    assert not is_on(said, "user:ben")
    assert not is_on(said, "user:ada", space="breach")
    assert is_on(said, "user:ada", space="other")


def test_the_space_is_looked_up_only_if_the_flag_names_one():
    def fail() -> str:
        raise AssertionError("it was asked for")

    assert decide("a", True, Said(off_for=frozenset({"user:ada"})), ("user:ben",), fail)[0]


def test_who_is_not_named_gets_what_the_release_says():
    said = Said(on_for=frozenset({"user:ada"}))

    assert not is_on(said, "user:ben", default=False)
    assert is_on(said, "user:ben", default=True)


def test_a_share_of_nobody_known_is_off():
    assert not is_on(Said(percent=Decimal(100)))


@given(NAMES, NAMES, PERCENT, PERCENT)
def test_a_larger_share_keeps_those_of_a_smaller_one(name, key, one, other):
    less, more = sorted((one, other))
    assert is_on(Said(percent=less), key, name=name) <= is_on(Said(percent=more), key, name=name)
    assert is_on(Said(percent=Decimal(100)), key, name=name)
    assert not is_on(Said(percent=Decimal(0)), key, name=name)


def test_parts_are_the_same_in_every_process_and_in_later_releases():
    assert [part("chunks", f"user:{number}") for number in range(4)] == [150, 293, 424, 62]


def test_a_share_is_as_large_as_it_says_and_another_flag_has_others_in_it():
    keys = [f"user:{number}" for number in range(20_000)]
    inside = [{key for key in keys if is_on(Said(percent=Decimal(10)), key, name=name)} for name in ("a", "b")]

    for found in inside:
        assert abs(len(found) - 2_000) < 200
    assert abs(len(inside[0] & inside[1]) - 200) < 80
