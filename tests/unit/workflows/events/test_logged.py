"""The events of a round made from columns are those that were made one by one, and so are their lines in the log."""

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from workflows.core.blocks import Entry, columns, encode, entries
from workflows.events.effects import LoggedEvent, Round
from workflows.events.logged import FreshEvents, Part
from workflows.events.store.rounds import log_line, log_lines

_NOW = datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC)
_MARK = b'"$sealed"'
#: attributes hold no control characters
_TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=5) | st.sampled_from(
    ["\\", "\\N"]
)


@st.composite
def _entries(draw: st.DrawFn) -> Entry:
    type_, id_ = draw(st.sampled_from("abc")), draw(_TEXTS)
    data = draw(st.sampled_from([1, "\\", "line\nbreak", {"$sealed": "x"}, None]))
    text = orjson.dumps({"type": type_, "id": id_, "data": data})
    sender = draw(st.none() | st.sampled_from(["key:a", "key:b\t\\\n"]))
    return Entry(type_, draw(_TEXTS), draw(st.none() | _TEXTS), id_, text, None, sender)


@st.composite
def _pieces(draw: st.DrawFn) -> tuple[list[Entry], int, int]:
    found = draw(st.lists(_entries(), min_size=1, max_size=6))
    first = draw(st.integers(0, len(found) - 1))
    return found, first, draw(st.integers(first + 1, len(found)))


def _made(pieces: Sequence[tuple[list[Entry], int, int]]) -> tuple[FreshEvents, list[LoggedEvent]]:
    """The events of these pieces from columns, and one by one."""
    parts, plainly = [], []
    for number, (found, first, upto) in enumerate(pieces):
        parts.append(Part(number, 10, _NOW, _NOW, columns(encode(found)), first, upto))
        for place, (type_, source, subject, id_, text, _, sender) in enumerate(found[first:upto], 10):
            plainly.append(
                LoggedEvent(number, place, _NOW, _NOW, type_, source, subject, id_, text, None, sender)
            )  # fmt: skip
    return FreshEvents(parts), plainly


def _values(events: Sequence[LoggedEvent]) -> list[tuple[object, ...]]:
    return [
        (e.partition, e.position, e.logged_at, e.accepted_at, e.type, e.source, e.subject, e.id, e.text, e.sender)
        for e in events
    ]


@given(st.lists(_pieces(), min_size=1, max_size=4), st.sets(st.sampled_from("abc")))
def test_fresh_events_are_those_made_one_by_one(pieces: list[tuple[list[Entry], int, int]], wanted: set[str]) -> None:
    fresh, plainly = _made(pieces)

    assert _values(fresh.of_types(wanted.__contains__)) == _values([e for e in plainly if e.type in wanted])
    assert _values(fresh.holding(_MARK)) == _values([e for e in plainly if _MARK in e.text])
    assert _values(list(fresh)) == _values(plainly)
    assert len(fresh) == len(plainly)
    assert _values([fresh[index] for index in range(-len(plainly), len(plainly))]) == _values(plainly * 2)
    # Effects share what they know of an event, and the consumer tells events apart by the object.
    assert all(one is other for one, other in zip(fresh, fresh[:], strict=True))


@given(st.lists(_pieces(), min_size=1, max_size=4), st.sets(st.sampled_from("abc")))
def test_a_round_answers_alike_about_fresh_events_and_about_a_list(
    pieces: list[tuple[list[Entry], int, int]], wanted: set[str]
) -> None:
    fresh, plainly = _made(pieces)
    one, other = Round(fresh, 1), Round(plainly, 1)

    assert _values(one.of_types(wanted.__contains__)) == _values(other.of_types(wanted.__contains__))
    assert _values(one.holding(_MARK)) == _values(other.holding(_MARK))
    assert not one.has_replays
    assert not other.has_replays


@given(_pieces())
def test_the_lines_of_a_block_are_those_of_its_events(piece: tuple[list[Entry], int, int]) -> None:
    found, first, upto = piece
    of = columns(encode(found))

    assert entries(of) == found
    assert log_lines(3, 7, "L", "A", of, first, upto) == "".join(
        log_line(3, place, "L", "A", one.type, one.source, one.subject, one.id, one.text.decode(), one.sender)
        for place, one in enumerate(found[first:upto], 7)
    )
