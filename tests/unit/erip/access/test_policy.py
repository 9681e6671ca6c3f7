"""The laws of the one policy function, and what the catalogue of permissions must hold."""

from importlib import import_module

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from erip.access import catalog
from erip.access.actions import UnknownAction, needs_of
from erip.access.backends import every_permission
from erip.access.catalog import AUDITOR, BUILT_IN, EVERYTHING, PLATFORM_ADMIN, SECURITY_ADMIN, permissions_of
from erip.access.grants import held
from erip.access.origins import NOTHING
from erip.access.policy import covers, decide
from erip.access.principals import of_held

import_module(settings.ROOT_URLCONF)
NAMES = [one.name for one in catalog.declared()]
SPACES = ["", "north", "south"]
granted = st.fixed_dictionaries(
    {
        "role": st.sampled_from([*BUILT_IN, "own", "gone"]),
        "space": st.sampled_from(SPACES),
        "own": st.lists(st.sampled_from(NAMES), max_size=5),
    }
).map(lambda one: {**one, "own": one["own"] if one["role"] == "own" else None})
many = st.lists(granted, max_size=4)
needs = st.lists(st.sampled_from([*NAMES, "no.such"]), max_size=3)
space = st.sampled_from([None, "north", "south", "elsewhere"])


def caller(grants):
    return of_held("key:x", held(grants), NOTHING)


@given(many, needs, space)
def test_a_grant_more_never_takes_anything_away(grants, needs, space):
    if decide(caller(grants[:-1]), needs, space=space).allowed:
        assert decide(caller(grants), needs, space=space).allowed


@given(many, needs, space)
def test_what_is_allowed_on_everything_is_allowed_in_each_space_and_not_the_other_way_round(grants, needs, space):
    asked = decide(caller(grants), needs)
    here = decide(caller(grants), needs, space=space)
    if asked.allowed:
        assert here.allowed
        assert asked.spaces is None
    elif space is not None:
        assert here.allowed == (space in asked.spaces)


@given(many, needs, space)
def test_without_a_grant_that_gives_it_nothing_is_allowed(grants, needs, space):
    """The definition, written once more and slowly."""

    def gives(one, needed):
        permissions = permissions_of(one["role"]) or catalog.closed(one["own"] or ())
        return one["space"] in ("", space) and bool({needed, EVERYTHING} & permissions)

    everywhere = any(one["space"] == "" and one["role"] == PLATFORM_ADMIN for one in grants)
    expected = everywhere or (bool(needs) and all(any(gives(one, need) for one in grants) for need in needs))

    assert decide(caller(grants), needs, space=space).allowed == expected


@given(many, st.lists(st.sampled_from(NAMES), max_size=3))
def test_nobody_covers_what_they_have_in_one_space_only(grants, wanted):
    everywhere = [one for one in grants if one["space"] == ""]

    assert covers(caller(grants), wanted) == covers(caller(everywhere), wanted)
    assert covers(caller(grants), [EVERYTHING]) == caller(everywhere).superuser


def test_what_is_declared_exists():
    assert sorted(set(NAMES) - every_permission()) == []
    assert [one.name for one in catalog.declared() if set(one.implied_by) - set(NAMES)] == []


def test_auditors_change_nothing_and_security_admins_do_no_daily_work():
    changing = [one for one in permissions_of(AUDITOR) if ".view_" not in one and one != "monitoring.scrape_metrics"]
    daily = [
        one
        for one in permissions_of(SECURITY_ADMIN) - permissions_of(AUDITOR)
        if not one.startswith(("access.", "auth.", "secrets."))
    ]

    assert changing == []
    assert daily == []


def test_an_unknown_role_in_a_declaration_is_refused():
    with pytest.raises(ValueError, match="no built-in role chef"):
        catalog.permission("app.view_thing", "see things", {"chef"})


def test_an_action_is_a_permission_or_a_request():
    assert needs_of("workflows.cancel_run") == ("workflows.cancel_run",)
    assert needs_of("POST /api/v1/runs/cancel") == ("workflows.cancel_run",)
    assert needs_of("post /api/v1/runs/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b/pause?x=1") == ("workflows.pause_run",)
    assert needs_of("GET /api/v1/workflows/x") == ("workflows.view_workflowdefinition",)
    for wrong in ("", "GET", "GET /", "DELETE /api/v1/runs/x", "no.such_permission", "GET /api/v1/nowhere"):
        with pytest.raises(UnknownAction):
            needs_of(wrong)
