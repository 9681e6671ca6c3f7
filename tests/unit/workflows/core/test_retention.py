"""How long data is kept, and what keeps it longer: plain decisions."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.core import definition
from workflows.core.definition import DefinitionInvalid
from workflows.core.retention import CLASSES, OF_WORKFLOWS, UNREADABLE, Held, Item, Rules, judge, keeping, said_in

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = 86_400.0
RUN, PERSON = UUID(int=7), b"p"

days = st.integers(0, 50)
moments = days.map(lambda ago: NOW - timedelta(days=ago))
items = st.builds(
    lambda began, lasted, workflow, run, person: Item(
        "k", began + timedelta(days=lasted), began, workflow, run, person
    ),
    moments, st.integers(0, 3), st.sampled_from(["a", "b", "broken"]),
    st.sampled_from([RUN, UUID(int=8)]), st.sampled_from([PERSON, b"q", None]),
)  # fmt: skip
rules = st.builds(
    lambda own, site: Rules({"a": own, "broken": None}, site),
    st.dictionaries(st.sampled_from(OF_WORKFLOWS), days.map(lambda n: n * DAY)),
    st.dictionaries(st.sampled_from(CLASSES), days.map(lambda n: n * DAY)),
)
holds = st.builds(
    lambda what, kinds, since, until: Held("1", kinds, since, until, **what),
    st.sampled_from([{}, {"workflow": "a"}, {"run": RUN}, {"person": PERSON}]),
    st.sampled_from([(), ("runs",), ("audit", "reports")]), st.none() | moments, st.none() | moments,
)  # fmt: skip


@settings(max_examples=60)
@given(st.sampled_from(CLASSES), items, rules, st.lists(holds, max_size=3))
def test_what_goes_is_past_its_time_and_held_by_nobody(kind, item, said, held) -> None:
    verdict = judge(kind, item, said, held, NOW)

    rule = said.of(kind, item.workflow)
    past = rule.seconds is not None and item.since <= NOW - timedelta(seconds=rule.seconds)
    assert verdict.goes == (past and not any(hold.keeps(kind, item) for hold in held))
    assert not (verdict.goes and item.workflow == "broken")
    # What goes is never younger than what a look reads.
    shortest = said.shortest(kind)
    assert not verdict.goes or (shortest is not None and item.since <= NOW - timedelta(seconds=shortest))
    # One more hold keeps no less.
    assert not judge(kind, item, said, [*held, Held("all")], NOW).goes


@settings(max_examples=60)
@given(st.sampled_from(CLASSES), items, holds)
def test_a_span_that_goes_as_a_whole_holds_nothing_that_is_held(kind, item, hold) -> None:
    if hold.keeps(kind, item):
        assert keeping([hold], kind, item.began, item.since) is hold


def test_what_cannot_be_read_keeps() -> None:
    for document in ([], {"runs": "soon"}, {"runs": None}, {"events": "1d"}, "30d"):
        assert said_in(document) is None
    assert said_in(None) == {}
    assert said_in({"runs": "1d", "reports": 60}) == {"runs": DAY, "reports": 60.0}
    assert Rules({"w": None}, {"runs": 1.0}).of("runs", "w") is UNREADABLE


def test_a_definition_says_how_long() -> None:
    def graph(retention: object) -> object:
        steps = {"a": {"wait": {"for": "1s"}}}
        return definition.validate({"name": "w", "retention": retention, "steps": steps}, {})

    found = graph({"runs": "730d", "sensitive": "90d"})
    assert (found.retention, found.level) == ({"runs": 730 * DAY, "sensitive": 90 * DAY}, 8)  # type: ignore[attr-defined]
    for wrong, where in (
        ({"events": "1d"}, "retention"),
        ({"runs": "x"}, "retention.runs"),
        ({"runs": "9999d"}, "ten years"),
    ):
        with pytest.raises(DefinitionInvalid, match=where):
            graph(wrong)
