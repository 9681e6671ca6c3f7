"""How a report shows names and values of any shape: readable, with nothing lost but what is empty."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.library.beacon.contract import ReportInput
from workflows.library.beacon.facts import LEVELS, Row, rows, shown
from workflows.library.beacon.render import Origin, pages
from workflows.library.compass.contract import ComplianceOutput

SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text("abc ", max_size=5)
JSON: Any = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
VOTE = {
    "by": "user:cia", "on_behalf_of": None, "choice": "approve", "roles": ["ciso"], "comment": "", "form": None,
    "at": "2026-11-26T17:20:36.097819+01:00",
}  # fmt: skip


def test_votes_are_a_line_each_and_what_is_empty_is_not_there() -> None:
    approval = {"approved": True, "expired": False, "guards": {}, "votes": [VOTE, {**VOTE, "comment": "Go on"}]}
    line = "By: user:cia; Choice: approve; Roles: ciso; At: 2026-11-26 16:20 UTC"
    assert rows({"manager": None, "executive": approval}) == [
        Row("Executive", [], 0),
        Row("Approved", ["yes"], 1),
        Row("Expired", ["no"], 1),
        Row("Votes", [line, line.replace("; At", "; Comment: Go on; At")], 1),
    ]


def test_the_order_of_the_database_is_not_that_of_people() -> None:
    stored = {"undo": "Put it back", "place": 0, "state": "by_hand", "action": "Cut it off", "target": "Gateway"}
    assert shown(stored) == "Place: 0; Action: Cut it off; Target: Gateway; State: by_hand; Undo: Put it back"
    last = rows({"b": {"content": "5f", "guards": {"x": "5f"}, "other": 1, "expired": False, "approved": True}, "a": 1})
    assert [row.label for row in last] == ["B", "Approved", "Expired", "Other", "Content", "Guards", "X", "A"]


def test_a_moment_that_is_none_is_shown_as_it_is() -> None:
    for text in ("2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:00-14:00", "2026-01-01"):
        assert shown(text) == text
    assert shown("2026-01-01T00:00Z") == "2026-01-01 00:00 UTC"


def test_only_duties_say_as_of_when_they_are() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    origin = Origin("run-1", "breach-response", None, began)
    for text in pages(ReportInput(title="Addendum"), origin):
        assert "run begun 2026-01-01" in text
        assert "as of" not in text.lower()
    later = ReportInput(compliance=ComplianceOutput(as_of=began + timedelta(days=9)))
    for text in pages(later, origin):
        assert "begun 2026-01-01 00:00 UTC · as of 2026-01-10" in text
        assert "run begun" not in text


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [] if value in (None, "") else [shown(value)]


@settings(max_examples=150)
@given(st.dictionaries(st.text("xyz", min_size=1, max_size=3), JSON, max_size=4))
def test_every_value_is_shown_and_no_row_is_empty(facts: dict[str, Any]) -> None:
    found = rows(facts)
    said = "\n".join(line for row in found for line in row.lines)
    assert all(leaf in said for leaf in leaves(facts))
    assert "None" not in said
    assert all(all(row.lines) and 0 <= row.level <= LEVELS for row in found)
    for row, following in zip(found, [*found[1:], None], strict=False):
        assert row.lines or (following is not None and following.level == row.level + 1), "a heading has parts"
