from itertools import pairwise

import pytest
from django.contrib.auth.models import AnonymousUser, User

from erip.access.catalog import EVERYTHING, permissions_of
from erip.access.principals import of_staff
from erip.access.scopes import Scope


def test_each_scope_includes_those_before_it_and_not_those_after_it():
    for smaller, larger in pairwise(Scope):
        assert larger.includes(smaller)
        assert not smaller.includes(larger)


def test_each_scope_includes_itself():
    assert all(scope.includes(scope) for scope in Scope)


def test_the_role_of_a_scope_has_all_that_those_before_it_have():
    roles = [permissions_of(scope.role) for scope in Scope]

    assert all(roles)
    assert all(fewer < more for fewer, more in pairwise(roles[:-1]))
    assert roles[-1] == {EVERYTHING}


@pytest.mark.parametrize(
    "user",
    [
        AnonymousUser(),
        User(username="customer", is_staff=False, is_active=True),
        User(username="left", is_staff=True, is_superuser=True, is_active=False),
    ],
    ids=["anonymous", "not staff", "inactive"],
)
def test_only_active_staff_are_principals(user):
    assert of_staff(user) is None


def test_a_superuser_may_do_everything():
    principal = of_staff(User(username="root", is_staff=True, is_superuser=True))

    assert principal is not None
    assert (principal.name, principal.superuser) == ("user:root", True)
