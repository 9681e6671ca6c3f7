"""What each operation needs: a scope for an API key, Django's permissions for a member of staff.

Apps state their rules where their operations are (`permissions.requires`); this package knows nothing of their domain.
A rule is registered when it is stated, so the scopes can be compared with the permissions of a person.
"""

from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module

from django.conf import settings

from .scopes import Scope


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do something.

    scope: the scope that an API key needs
    permissions: `app.codename` of every permission that a member of staff needs; none: superusers alone
    """

    scope: Scope
    permissions: tuple[str, ...] = ()

    def opened_by(self, permissions: Collection[str]) -> bool:
        """Whether a member of staff with these permissions may do it."""
        return bool(self.permissions) and all(holds(permissions, one) for one in self.permissions)


#: the rule that applies where none is stated
NOBODY_ELSE = Rule(Scope.ADMIN)

_rules: set[Rule] = set()


def holds(permissions: Collection[str], needed: str) -> bool:
    """As in the admin: a user who may change something may also look at it."""
    return needed in permissions or (".view_" in needed and needed.replace(".view_", ".change_", 1) in permissions)


def register(rule: Rule) -> Rule:
    _rules.add(rule)
    return rule


def scope_of(permissions: Collection[str]) -> Scope | None:
    """The largest scope all of whose operations these permissions open; None if there is none. It is the most that a
    member of staff may give to an API key. `admin` is open to superusers alone.
    """
    # The rules are stated in the views, which a process without the URLs has not imported.
    import_module(settings.ROOT_URLCONF)
    found = None
    for scope in (Scope.METRICS, Scope.VIEWER, Scope.OPERATOR, Scope.AUTHOR):
        rules = [rule for rule in _rules if rule.scope == scope]
        if not all(rule.opened_by(permissions) for rule in rules):
            break
        found = scope
    return found
