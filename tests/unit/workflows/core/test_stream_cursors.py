"""Cursors of the event log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.core import cursors
from workflows.core.patterns import fault, matches


@given(st.lists(st.integers(min_value=0, max_value=2**62), min_size=1, max_size=64))
def test_a_cursor_is_read_as_it_was_written(positions: list[int]) -> None:
    text = cursors.encode(dict(enumerate(positions)))
    assert cursors.decode(text) == dict(enumerate(positions))
    assert "\n" not in text


@given(st.text(max_size=40))
def test_whatever_else_is_a_value_error(text: str) -> None:
    try:
        positions = cursors.decode(text)
    except ValueError:
        return
    assert cursors.decode(cursors.encode(positions)) == positions


@pytest.mark.parametrize("text", ["", "AQ", "AYA", "Ag", "!!", "AQD\u00e9", "AQ" + "A" * 20_000])
def test_what_was_not_written_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the id"):
        cursors.decode(text)


def test_patterns_are_texts_or_beginnings() -> None:
    assert matches("*", "")
    assert matches("a.*", "a.b")
    assert matches("a", "a")
    assert not matches("a.*", "a")
    assert not matches("a", "ab")
    assert fault("a*b")
    assert fault("")
    assert fault("a\n")
    assert fault("a*") is None
