"""The caller, in the one form that permissions and the engine's audit fields use."""

from dataclasses import dataclass
from functools import cached_property

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin

from .origins import NOTHING, UNBOUND, Origins
from .rules import Rule, holds, scope_of
from .scopes import Scope


@dataclass(frozen=True)
class Principal:
    """A caller that proved who it is.

    name: `key:<name of the API key>` or `user:<username>`; recorded with what the caller does
    key_scope: the most that an API key may do; None for a person
    permissions: Django's permissions of a member of staff (`app.codename`)
    superuser: a member of staff who may do everything
    origins: the sources and types of the events that the caller may send
    """

    name: str
    key_scope: Scope | None = None
    permissions: frozenset[str] = frozenset()
    superuser: bool = False
    origins: Origins = NOTHING

    # What Django, REST framework and django-structlog read from `request.user`.
    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False

    @property
    def pk(self) -> str:
        return self.name

    @cached_property
    def scope(self) -> Scope | None:
        """The most that the caller may do, as a scope. For a member of staff it is the scope that they may give to a
        key."""
        if self.key_scope is not None:
            return self.key_scope
        return Scope.ADMIN if self.superuser else scope_of(self.permissions)

    def may(self, rule: Rule) -> bool:
        """Whether this caller may do what the rule is about."""
        return self.refusal(rule) is None

    def refusal(self, rule: Rule) -> str | None:
        """Why this caller may not do it, for the caller to read; None if it may."""
        if self.key_scope is not None:
            if self.key_scope.includes(rule.scope):
                return None
            return f'This needs the scope "{rule.scope}"; the caller has "{self.key_scope}".'
        if self.superuser or rule.opened_by(self.permissions):
            return None
        if not rule.permissions:
            return "This is open to superusers only."
        missing = [permission for permission in rule.permissions if not holds(self.permissions, permission)]
        return f"This needs the permission{'s' if len(missing) > 1 else ''} {', '.join(missing)}."

    def __str__(self) -> str:
        return self.name


def of_staff(user: AbstractBaseUser | AnonymousUser) -> Principal | None:
    """The principal of a signed-in member of staff, else None. Costs two queries unless it is a superuser."""
    if not isinstance(user, PermissionsMixin) or not user.is_active or not getattr(user, "is_staff", False):
        return None
    name = f"user:{user.get_username()}"
    if user.is_superuser:
        return Principal(name, superuser=True, origins=UNBOUND)
    return Principal(name, permissions=frozenset(user.get_all_permissions()), origins=UNBOUND)
