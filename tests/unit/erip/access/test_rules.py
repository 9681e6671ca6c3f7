from erip.access.catalog import EVERYTHING, permissions_of
from erip.access.principals import Principal
from erip.access.rules import Rule
from erip.access.scopes import Scope

LOOK = Rule(Scope.VIEWER, ("app.view_thing",))
BOTH = Rule(Scope.OPERATOR, ("app.view_thing", "app.add_other"))
START = Rule(Scope.OPERATOR, ("workflows.start_run",))
UNMARKED = Rule(Scope.ADMIN)


def test_a_principal_that_is_nothing_in_particular_may_do_nothing():
    nobody = Principal("user:ada")

    assert [nobody.may(rule) for rule in (LOOK, BOTH, UNMARKED)] == [False, False, False]


def test_everybody_needs_every_permission():
    member = Principal("user:ada", permissions=frozenset({"app.view_thing"}))

    assert member.may(LOOK)
    assert member.refusal(BOTH) == "This needs the permission app.add_other (role platform-admin)."


def test_a_refusal_names_the_roles_that_would_do():
    viewer = Principal("key:ci", permissions=permissions_of("viewer"))

    assert viewer.refusal(START) == (
        "This needs the permission workflows.start_run (roles operator, author, platform-admin)."
    )


def test_what_needs_no_permission_is_for_those_who_may_do_everything():
    most = Principal("user:ada", permissions=frozenset({"app.view_thing", "app.add_other"}))

    assert most.refusal(UNMARKED) == "This is open to superusers only."
    assert Principal("user:root", superuser=True).may(UNMARKED)
    assert Principal("key:root", superuser=True, permissions=frozenset({EVERYTHING})).may(BOTH)
