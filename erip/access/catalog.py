"""The named permissions: what each means, and which built-in roles have it.

A name is `app.codename`, as Django's permissions are named, so that the API, the admin and the console ask for the same
thing. Each app declares its own in its module `permissions`, next to the operations that ask for them; this package
knows nothing of their domain. The page `docs/reference/access.md` shows all of them in one place.

Note [Implied permissions]
Who may change something may also see it, as in the admin. Some operations have a permission of their own, such as
`workflows.cancel_run`, which a broader one (`workflows.change_workflowrun`) includes: so a role can hold the one alone,
and whoever was given the broader one before may do what they could do.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

#: stands for every permission, also those of apps to come
EVERYTHING = "*"

METRICS, PROVISIONER = "metrics", "provisioner"
VIEWER, OPERATOR, AUTHOR, APPROVER = "viewer", "operator", "author", "approver"
AUDITOR, SECURITY_ADMIN, PLATFORM_ADMIN = "auditor", "security-admin", "platform-admin"

#: the built-in roles, and what each is for
BUILT_IN = {
    METRICS: "reads GET /metrics, and nothing else: for whoever scrapes",
    PROVISIONER: "brings people and groups by SCIM, and nothing else: for an identity provider",
    VIEWER: "sees what daily work needs",
    OPERATOR: "sees that, and does daily work: starts, stops and repairs",
    AUTHOR: "does that, and changes what daily work goes by: definitions, triggers, schedules, alert rules",
    APPROVER: "sees what a viewer sees, and answers runs that wait for a person",
    AUDITOR: "sees everything, also who has access, and changes nothing",
    SECURITY_ADMIN: "sees that, and manages who has access: people, API keys, roles",
    PLATFORM_ADMIN: "may do everything",
}

#: the groups of built-in roles that permissions are given to; the platform admin has them all
SCRAPERS = frozenset({METRICS})
PROVISIONERS = frozenset({PROVISIONER})
VIEWERS = frozenset({VIEWER, OPERATOR, AUTHOR, APPROVER, AUDITOR, SECURITY_ADMIN})
OPERATORS = frozenset({OPERATOR, AUTHOR})
AUTHORS = frozenset({AUTHOR})
APPROVERS = frozenset({OPERATOR, AUTHOR, APPROVER})
AUDITORS = frozenset({AUDITOR, SECURITY_ADMIN})
SECURITY_ADMINS = frozenset({SECURITY_ADMIN})
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that may be granted.

    name: `app.codename`
    meaning: completes "May …"
    roles: the built-in roles that have it, besides the platform admin
    implied_by: broader permissions that include it, besides the `change_` of a `view_`
    dangerous: people show their second factor once more before they use it: Note [Step-up] in `sign_in.step_up`
    """

    name: str
    meaning: str
    roles: frozenset[str]
    implied_by: tuple[str, ...] = ()
    dangerous: bool = False


_declared: dict[str, Permission] = {}
_implied: dict[str, set[str]] = {}


def permission(
    name: str, meaning: str, roles: Collection[str], *, implied_by: Iterable[str] = (), dangerous: bool = False
) -> None:
    """Declare a permission. roles: built-in ones; an unknown one is a ValueError."""
    if unknown := set(roles) - set(BUILT_IN):
        raise ValueError(f"{name}: there is no built-in role {', '.join(sorted(unknown))}")
    _declared[name] = Permission(name, meaning, frozenset(roles), tuple(implied_by), dangerous)
    for broader in implied_by:
        _implied.setdefault(broader, set()).add(name)
    permissions_of.cache_clear()


def declared() -> list[Permission]:
    """All of them, by name."""
    return [_declared[name] for name in sorted(_declared)]


def is_declared(name: str) -> bool:
    return name in _declared


def find(name: str) -> Permission | None:
    return _declared.get(name)


@cache
def permissions_of(role: str) -> frozenset[str]:
    """What a built-in role holds, with all that is implied; nothing for another name."""
    if role == PLATFORM_ADMIN:
        return frozenset({EVERYTHING})
    return closed(one.name for one in _declared.values() if role in one.roles)


def closed(permissions: Iterable[str]) -> frozenset[str]:
    """These permissions and those that they imply: Note [Implied permissions]."""
    found: set[str] = set()
    left = list(permissions)
    while left:
        one = left.pop()
        if one in found:
            continue
        found.add(one)
        left += implied(one)
    return frozenset(found)


def implied(one: str) -> set[str]:
    """What a permission includes directly."""
    app, _, codename = one.partition(".")
    seen = {f"{app}.view_{codename.removeprefix('change_')}"} if codename.startswith("change_") else set()
    return seen | _implied.get(one, set())


def broader(one: str) -> set[str]:
    """The permissions that include this one, also by way of another, itself among them."""
    found: set[str] = set()
    left = [one]
    while left:
        one = left.pop()
        if one in found:
            continue
        found.add(one)
        app, _, codename = one.partition(".")
        if codename.startswith("view_"):
            left.append(f"{app}.change_{codename.removeprefix('view_')}")
        known = _declared.get(one)
        left += known.implied_by if known is not None else ()
    return found


def holders(one: str) -> list[str]:
    """The built-in roles that hold a permission, in their order."""
    return [role for role in BUILT_IN if role == PLATFORM_ADMIN or one in permissions_of(role)]
