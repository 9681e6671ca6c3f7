"""The caller, in the one form that permissions and the engine's audit fields use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin

from . import grants, policy
from .origins import NOTHING, UNBOUND, Origins
from .rules import Rule

_NOWHERE: Mapping[str, frozenset[str]] = MappingProxyType({})


@dataclass(frozen=True)
class Principal:
    """A caller that proved who it is.

    name: `key:<name of the API key>`, `token:<name>` or `user:<username>`; recorded with what the caller does
    permissions: what it may do everywhere (`app.codename`), with all that is implied
    superuser: it may do everything
    origins: the sources and types of the events that the caller may send
    within: what it may do in single spaces, by their names
    emergency: the number of the emergency access that is among it (Note [Break-glass]); 0: none
    """

    name: str
    permissions: frozenset[str] = frozenset()
    superuser: bool = False
    origins: Origins = NOTHING
    within: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NOWHERE, hash=False)
    emergency: int = 0

    # What Django, REST framework and django-structlog read from `request.user`.
    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False

    @property
    def pk(self) -> str:
        return self.name

    @property
    def is_key(self) -> bool:
        """Whether it is a machine: an API key, or a token of an issuer."""
        return not self.name.startswith("user:")

    def may(self, rule: Rule) -> bool:
        """Whether this caller may do what the rule is about."""
        return policy.decide(self, rule.permissions).allowed

    def refusal(self, rule: Rule) -> str | None:
        """Why this caller may not do it, for the caller to read; None if it may."""
        return policy.refusal(policy.decide(self, rule.permissions))

    def __str__(self) -> str:
        return self.name


def of_held(name: str, held: grants.Held, origins: Origins) -> Principal:
    """The caller of this name who holds that."""
    return Principal(name, held.everywhere, held.everything, origins, held.within or _NOWHERE, held.emergency)


def of_staff(user: AbstractBaseUser | AnonymousUser) -> Principal | None:
    """The principal of a signed-in member of staff, else None. Costs a query unless it is a superuser."""
    if not isinstance(user, PermissionsMixin) or not user.is_active or not getattr(user, "is_staff", False):
        return None
    return rights_of(user)


def rights_of(user: PermissionsMixin) -> Principal:
    """What a person may do once they are signed in, whether or not they can sign in now."""
    name = f"user:{user.get_username()}"  # type: ignore[attr-defined]
    if user.is_superuser:
        return Principal(name, superuser=True, origins=UNBOUND)
    return of_held(name, grants.held_by_user(user), UNBOUND)
