"""Privileges: the statements lead from whatever is held to what should be, and touch nobody else."""

import re

from hypothesis import given
from hypothesis import strategies as st

from erip.foundation.db.privileges import (
    APPEND,
    PUBLIC,
    READ,
    WRITE,
    Grant,
    Roles,
    Rules,
    Thing,
    creation,
    excess,
    quoted,
    statements,
    wanted,
)

ROLES = Roles("own", "app", "app_read", "app_monitor")
RULES = Rules(looked_up=frozenset({"a"}), append_only=frozenset({"a", "b"}), confidential=frozenset({"c"}))
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

things = st.builds(
    Thing,
    kind=st.sampled_from(["TABLE", "VIEW", "SEQUENCE", "FUNCTION", "SCHEMA", "DATABASE"]),
    name=st.sampled_from("abcd"),
    place=st.just("x"),
    owner=st.just("own"),
    partition=st.booleans(),
)
grants = st.frozensets(
    st.builds(Grant, st.sampled_from(["app", "app_read", "app_monitor", PUBLIC, "site"]), st.sampled_from(VERBS))
)


def executed(held: frozenset[Grant], said: list[str]) -> frozenset[Grant]:
    now = set(held)
    for statement in said:
        verb, privileges, role = re.fullmatch(r"(GRANT|REVOKE) (.+) ON \w+ x (?:TO|FROM) (.+)", statement).groups()
        change = {Grant(role.strip('"'), one) for one in privileges.split(", ")}
        now = now | change if verb == "GRANT" else now - change
    return frozenset(now)


@given(thing=things, held=grants)
def test_the_statements_lead_to_what_should_be_and_leave_other_roles_alone(thing, held) -> None:
    now = executed(held, statements(thing, held, ROLES, RULES))
    site = {grant for grant in held if grant.grantee == "site"}
    assert now == wanted(thing, ROLES, RULES) | site
    assert statements(thing, now, ROLES, RULES) == []
    assert excess(thing, now, ROLES, RULES) == []


@given(thing=things)
def test_nobody_may_empty_a_table_or_touch_its_triggers(thing) -> None:
    assert not {grant.privilege for grant in wanted(thing, ROLES, RULES)} & {"TRUNCATE", "TRIGGER", "REFERENCES"}
    assert not [grant for grant in wanted(thing, ROLES, RULES) if grant.grantee in (PUBLIC, ROLES.owner)]


def test_the_strictest_rule_wins() -> None:
    assert [RULES.of(table) for table in "abcd"] == [READ, APPEND, WRITE, WRITE]


def test_a_partition_is_reached_through_its_table_only() -> None:
    assert wanted(Thing("TABLE", "d", "x", "own", partition=True), ROLES, RULES) == frozenset()


def test_names_are_quoted() -> None:
    said = creation(Roles('o"; DROP', "a'b"), "d")
    assert quoted('o"; DROP') == '"o""; DROP"'
    assert all('o"; DROP' not in one.replace('"o""; DROP"', "").replace("'o\"; DROP'", "") for one in said)
    assert "rolname = 'a''b'" in said[1]
