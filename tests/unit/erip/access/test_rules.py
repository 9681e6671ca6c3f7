from erip.access.principals import Principal
from erip.access.rules import Rule
from erip.access.scopes import Scope

LOOK = Rule(Scope.VIEWER, ("app.view_thing",))
BOTH = Rule(Scope.OPERATOR, ("app.view_thing", "app.add_other"))
UNMARKED = Rule(Scope.ADMIN)


def test_a_principal_that_is_nothing_in_particular_may_do_nothing():
    nobody = Principal("user:ada")

    assert [nobody.may(rule) for rule in (LOOK, BOTH, UNMARKED)] == [False, False, False]


def test_a_key_is_judged_by_its_scope_alone():
    key = Principal("key:ci", key_scope=Scope.OPERATOR)

    assert [key.may(rule) for rule in (LOOK, BOTH, UNMARKED)] == [True, True, False]
    assert key.refusal(UNMARKED) == 'This needs the scope "admin"; the caller has "operator".'


def test_a_member_of_staff_needs_every_permission():
    member = Principal("user:ada", permissions=frozenset({"app.view_thing"}))

    assert member.may(LOOK)
    assert member.refusal(BOTH) == "This needs the permission app.add_other."


def test_who_may_change_something_may_look_at_it():
    assert Principal("user:ada", permissions=frozenset({"app.change_thing"})).may(LOOK)


def test_a_rule_without_permissions_is_for_superusers():
    everything = frozenset({"app.view_thing", "app.add_other"})

    assert Principal("user:ada", permissions=everything).refusal(UNMARKED) == "This is open to superusers only."
    assert Principal("user:root", superuser=True).may(UNMARKED)
