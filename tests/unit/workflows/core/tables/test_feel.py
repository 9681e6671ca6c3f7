"""The text of cells: what it means, and what is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workflows.core.tables.feel import MAX_CELL, FeelError, Path, read_expression, read_tests
from workflows.core.tables.testing import evaluate, passes


@pytest.mark.parametrize(
    ("cell", "value", "accepts"),
    [
        ("-", None, True), ("", 5, True), (" - ", "x", True),
        ("5", 5, True), ("5", 5.0, True), ("5", "5", None), ("5", True, None), ("-5", -5, True), (".5", 0.5, True),
        ("1e2", 100, True), ("0.1", 0.1, True), ("1, 2, 3", 2, True), ("1, 2, 3", 4, False), ('"a", "b"', "b", True),
        ("> 5", 5, False), (">5", 6, True), ("<= 5", 5, True), ("!= 5", 6, True), ("= 5", 5, True),
        ("> 5", None, None), ("> 5", "a", None), ("null", None, True), ("null", 0, False), ("!= null", 0, True),
        ("!= null", None, False), ("not(null)", None, False), ("not(null)", 1, True),
        ("not(5)", 6, True), ("not(5)", 5, False), ("not(5)", "a", None), ("not(< 5, > 10)", 7, True),
        ("not(< 5, > 10)", 3, False), ("[1..5]", 1, True), ("(1..5]", 1, False), ("]1..5]", 1, False),
        ("[1..5[", 5, False), ("[1..5)", 4.999, True), ("[5..1]", 3, False), ("[1..5], [8..9]", 8, True),
        ("[1, 2]", 2, True), ("[[1..3], 9]", 2, True), ("true", True, True), ("false", True, False),
        ('"caf\\u00e9"', "café", True), ('"a\\"b"', 'a"b', True), ("5 // why", 5, True), ("/* why */ 5", 5, True),
        ('[date("2026-01-01")..date("2026-12-31")]', "2026", None),
        ("{a: 1, b: [2]}", {"a": 1, "b": (2,)}, True), ("(5)", 5, True),
    ],
)  # fmt: skip
def test_a_cell_accepts_or_refuses_a_value_or_cannot_say(cell: str, value: Any, accepts: bool | None) -> None:
    assert passes(read_tests(cell), value, {}) is accepts


@pytest.mark.parametrize(
    ("text", "names"),
    [("a", ("a",)), ("Approval Status", ("Approval Status",)), ("asset.owner name", ("asset", "owner name")),
     ("été", ("été",)), ("inner.x", ("inner", "x"))],
)  # fmt: skip
def test_names_may_have_spaces(text: str, names: tuple[str, ...]) -> None:
    assert read_expression(text) == Path(names)


def test_a_path_into_what_is_no_object_is_null() -> None:
    assert evaluate(read_expression("a.b.c"), {"a": 5}) is None
    assert evaluate(read_expression("a.b"), {"a": {"b": 2}}) == 2


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("5 +", "'+'"), ("if x then 1 else 2", "'if'"), ("> 5 and < 7", "'and'"), ("sum(1, 2)", "sum(…)"),
        ("between 1 and 2", "'between'"), ('"open', "cannot read"), ("5 5", "should end here"), ("> ", "the end"),
        ("not(5", ") is expected"), ('date("2026-02-30")', "2026-02-30"), ('date("26-01-01")', "written as"),
        ('@"soon"', "no date, time or duration"), ('duration("P")', "written as"), ('duration("P1Y2D")', "not both"),
        ("{a: 1, a: 2}", "stands twice"), ('"\\x"', "means nothing"), ("?", "'?'"), ("1..5", "should end here"),
        ("#", "cannot read '#'"), ("[" * 50, "levels"), ("1" * (MAX_CELL + 1), "characters"), ("not()", "expected"),
        ('time("25:00:00")', "hour"), ('"\\U110000"', "no character"),
    ],
)  # fmt: skip
def test_what_is_not_part_of_it_is_refused_and_named(cell: str, says: str) -> None:
    with pytest.raises(FeelError) as refused:
        read_tests(cell)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 400


_WORDS = st.sampled_from(
    ["5", "-", "..", "[", "]", "(", ")", "{", "}", ":", ",", "not", '"a"', "a", "in", "<", ">=", "=", "date", '@"P1D"',
     "null", "true", ".", "1e999", "9" * 500, "//", '"\\u', "@"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=40), st.lists(_WORDS, max_size=14).map(" ".join)))
@example("[" * 19 + "1" + "]" * 19)
@example("(" * 19 + "[" * 19)
@example("1e400")
@example("((((((((((((((((((((1))))))))))))))))))))")
def test_any_text_is_read_or_refused_and_what_is_read_can_be_asked(text: str) -> None:
    with suppress(FeelError):
        tests = read_tests(text)
        for value in (None, 1, "a", True, (1, "a"), {"a": 1}):
            assert passes(tests, value, {"a": 1}) in (True, False, None)
    with suppress(FeelError):
        evaluate(read_expression(text), {"a": 1})
