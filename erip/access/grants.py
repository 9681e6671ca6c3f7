"""What people, groups and API keys were granted, and what follows for a caller.

Note [Grants]
A grant gives a role to a person, to a group or to an API key: on everything, or in one space. A role is built in
(`catalog`) or an own one (`Role`). A grant of a role that does not exist gives nothing. A grant may end by itself.

An API key also has the role of its scope on everything, unless its scope is empty. So keys of earlier releases need no
grant. Members of staff also have what Django's own permissions give them, themselves or through groups; these count on
everything.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Permission, PermissionsMixin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Concat, JSONObject, Now

from .catalog import EVERYTHING, closed, permissions_of
from .models import Grant, Role


@dataclass(frozen=True, slots=True)
class Held:
    """What a caller may do: everywhere, and in single spaces by their names. With all that is implied."""

    everywhere: frozenset[str]
    within: Mapping[str, frozenset[str]]

    @property
    def everything(self) -> bool:
        return EVERYTHING in self.everywhere

    @classmethod
    def of(cls, by_space: Mapping[str, Collection[str]]) -> "Held":
        """by_space: permissions by the name of their space; "" is everywhere."""
        return cls(
            closed(by_space.get("", ())),
            {space: closed(permissions) for space, permissions in by_space.items() if space},
        )


#: permissions of an own role, as a column of grants
_OWN_ROLE = Subquery(Role.objects.filter(name=OuterRef("role")).values("permissions")[:1])


def current() -> QuerySet[Grant]:
    """The grants that count now, by the database's clock."""
    return Grant.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))


def of_key_column() -> ArraySubquery:
    """The grants of a key, as a column of API keys: a list for `held`."""
    mine = current().filter(key=OuterRef("pk")).annotate(own=_OWN_ROLE).order_by()
    return ArraySubquery(mine.values(found=JSONObject(role=F("role"), space=F("space"), own=F("own"))))


def held(granted: Iterable[Mapping[str, Any]]) -> Held:
    """What grants give. granted: `role`, `space` and `own`, the permissions of the role if it is an own one."""
    by_space: dict[str, set[str]] = {}
    for one in granted:
        by_space.setdefault(one["space"], set()).update(permissions_of(one["role"]) or one["own"] or ())
    return Held.of(by_space)


def of_user(user: PermissionsMixin) -> Q:
    """The grants of a person, as a condition: their own and those of their groups."""
    return Q(user=user.pk) | Q(group__user=user.pk)


def held_by_user(user: PermissionsMixin) -> Held:
    """What a person may do, who is no superuser: by grants and by Django's permissions, themselves or through groups.
    Remembered with the user, as Django does with its permissions."""
    kept: Held | None = getattr(user, "_erip_held", None)
    if kept is None:
        kept = held_by_users([user.pk])[user.pk]
        user._erip_held = kept  # type: ignore[attr-defined]
    return kept


#: marks a grant among Django's permissions; no label of an app has a colon
_GRANT = "grant:"


def held_by_users(pks: Collection[Any]) -> dict[Any, Held]:
    """The same for several people: in one statement, and one more where own roles were granted."""
    if not pks:
        return {}
    mine: dict[Any, dict[str, set[str]]] = {pk: {} for pk in pks}
    roles: list[tuple[Any, str, str]] = []
    parts: list[QuerySet[Any, Any]] = []
    for path in ("user", "group__user"):
        of_django = Permission.objects.filter(**{f"{path}__in": pks}).order_by()
        parts.append(of_django.values_list(path, "content_type__app_label", "codename"))
        granted = current().filter(**{f"{path}__in": pks}).order_by()
        parts.append(granted.values_list(path, Concat(Value(_GRANT), F("space")), "role"))
    for pk, label, name in parts[0].union(*parts[1:]):
        if pk not in mine:
            continue  # somebody else of the same group
        if label.startswith(_GRANT):
            roles.append((pk, label.removeprefix(_GRANT), name))
        else:
            mine[pk].setdefault("", set()).add(f"{label}.{name}")
    own = _of_own_roles({role for _, _, role in roles if not permissions_of(role)})
    for pk, space, role in roles:
        mine[pk].setdefault(space, set()).update(permissions_of(role) or own.get(role, ()))
    return {pk: Held.of(by_space) for pk, by_space in mine.items()}


def _of_own_roles(names: Collection[str]) -> Mapping[str, Collection[str]]:
    return dict(Role.objects.filter(name__in=names).values_list("name", "permissions")) if names else {}
