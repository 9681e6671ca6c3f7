"""The second wall: the statements lead from whatever policies a table has to those that it should have."""

import re

from hypothesis import given
from hypothesis import strategies as st

from erip.access import tables
from erip.foundation.db.walls import SPACES, policy_name, statements
from workflows.walls import WORKFLOWS

ROLE = "app_limited"
conditions = st.none() | st.sampled_from(["a = 1", "b = 2"])
policies = st.frozensets(
    st.sampled_from(["erip_everybody", policy_name("a = 1", ROLE), policy_name("c = 3", ROLE), "of_the_site"])
)


def executed(enabled: bool, held: frozenset[str], said: list[str]) -> tuple[bool, frozenset[str]]:
    now = set(held)
    for statement in said:
        if found := re.match(r'DROP POLICY "(\w+)" ON "t"', statement):
            now.remove(found[1])
        elif found := re.match(r'CREATE POLICY (\w+) ON "t" (USING \(true\)|AS RESTRICTIVE)', statement):
            assert found[1] not in now
            assert (found[2] == "AS RESTRICTIVE") == (found[1] != "erip_everybody")
            now.add(found[1])
        else:
            enabled = statement == 'ALTER TABLE "t" ENABLE ROW LEVEL SECURITY'
            assert enabled or statement == 'ALTER TABLE "t" DISABLE ROW LEVEL SECURITY'
    return enabled, frozenset(now)


@given(using=conditions, enabled=st.booleans(), held=policies)
def test_the_statements_lead_to_the_policies_and_leave_those_of_others_alone(using, enabled, held) -> None:
    def said(now: bool, there: frozenset[str]) -> list[str]:
        return statements("t", using, enabled=now, policies=there, role=ROLE)

    now, there = executed(enabled, held, said(enabled, held))
    site = held & {"of_the_site"}
    if using is None:
        assert there == site
        assert not now or enabled
    else:
        assert now
        assert there == site | {"erip_everybody", policy_name(using, ROLE)}
    assert said(now, there) == []


def test_without_the_role_there_are_no_policies() -> None:
    assert statements("t", "a = 1", enabled=False, policies=(), role="") == []


def test_every_condition_follows_from_the_spaces_that_were_named() -> None:
    walled = tables.rules().walled
    assert len(walled) > 30
    # The settings that the wall makes of the spaces: none of them is there unless the wall was entered.
    roots = {table for table, using in walled.items() if SPACES in using or WORKFLOWS in using}
    assert {"access_space", "workflows_workflowdefinition", "workflows_workflowrun"} < roots
    known = set(roots)
    while following := {
        table
        for table, using in walled.items()
        if table not in known and any(re.search(rf"FROM {one}\b", using) for one in known)
    }:
        known |= following
    assert known == walled.keys()
    assert not walled.keys() & tables.rules().open_to_all
