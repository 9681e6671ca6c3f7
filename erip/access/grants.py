"""What people, groups and API keys were granted, and what follows for a caller.

Note [Grants]
A grant gives a role to a person, to a group or to an API key: on everything, or in one space. A role is built in
(`catalog`) or an own one (`Role`). A grant of a role that does not exist gives nothing. A grant may end by itself.

Emergency access (Note [Break-glass]) adds single permissions to a person, on everything, while it is in force.

An API key also has the role of its scope on everything, unless its scope is empty. So keys of earlier releases need no
grant. Members of staff also have what Django's own permissions give them, themselves or through groups; these count on
everything.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connections
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject, Now

from erip.audit import operation
from erip.foundation.db.router import reading_alias

from .break_glass_models import giving
from .catalog import EVERYTHING, closed, permissions_of
from .models import Grant, Role


@dataclass(frozen=True, slots=True)
class Held:
    """What a caller may do: everywhere, and in single spaces by their names. With all that is implied.

    emergency: the number of the emergency access that is among it; 0: none
    """

    everywhere: frozenset[str]
    within: Mapping[str, frozenset[str]]
    emergency: int = 0

    @property
    def everything(self) -> bool:
        return EVERYTHING in self.everywhere

    @classmethod
    def of(cls, by_space: Mapping[str, Collection[str]], emergency: int = 0) -> "Held":
        """by_space: permissions by the name of their space; "" is everywhere."""
        return cls(
            closed(by_space.get("", ())),
            {space: closed(permissions) for space, permissions in by_space.items() if space},
            emergency,
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
    if kept.emergency:
        # What this person does now is done under it, and the audit log says so.
        operation.under_emergency(f"user:{user.get_username()}", kept.emergency)  # type: ignore[attr-defined]
    return kept


#: (person, label, name): permissions of Django, roles that were granted, with their space, and emergency access. As it
#: is written here it costs Python nothing; building the same with the ORM took 2 ms for each request.
_RIGHTS = """
SELECT h.user_id, c.app_label, p.codename
FROM auth_user_user_permissions h
JOIN auth_permission p ON p.id = h.permission_id
JOIN django_content_type c ON c.id = p.content_type_id
WHERE h.user_id = ANY (%(pks)s)
UNION ALL
SELECT m.user_id, c.app_label, p.codename
FROM auth_user_groups m
JOIN auth_group_permissions h ON h.group_id = m.group_id
JOIN auth_permission p ON p.id = h.permission_id
JOIN django_content_type c ON c.id = p.content_type_id
WHERE m.user_id = ANY (%(pks)s)
UNION ALL
SELECT g.user_id, 'grant:' || g.space, g.role
FROM access_grant g
WHERE g.user_id = ANY (%(pks)s) AND (g.expires_at IS NULL OR g.expires_at > statement_timestamp())
UNION ALL
SELECT m.user_id, 'grant:' || g.space, g.role
FROM auth_user_groups m
JOIN access_grant g ON g.group_id = m.group_id
WHERE m.user_id = ANY (%(pks)s) AND (g.expires_at IS NULL OR g.expires_at > statement_timestamp())
UNION ALL
SELECT b.holder_id, 'emergency:', b.id::text
FROM access_breakglass b
WHERE b.holder_id = ANY (%(pks)s) AND b.granted_at IS NOT NULL AND b.ended_at IS NULL
  AND b.ends_at > statement_timestamp()
"""
#: marks of what is no permission of Django; no label of an app has a colon
_GRANT, _EMERGENCY = "grant:", "emergency:"


def held_by_users(pks: Collection[Any]) -> dict[Any, Held]:
    """The same for several people: in one statement, and one more each where own roles were granted and where emergency
    access is in force."""
    if not pks:
        return {}
    mine: dict[Any, dict[str, set[str]]] = {pk: {} for pk in pks}
    roles: list[tuple[Any, str, str]] = []
    glass: list[int] = []
    emergencies: dict[Any, int] = {}
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(_RIGHTS, {"pks": list(pks)})
        found = cursor.fetchall()
    for pk, label, name in found:
        if label == _EMERGENCY:
            glass.append(int(name))
        elif label.startswith(_GRANT):
            roles.append((pk, label.removeprefix(_GRANT), name))
        else:
            mine[pk].setdefault("", set()).add(f"{label}.{name}")
    own = _of_own_roles({role for _, _, role in roles if not permissions_of(role)})
    for pk, space, role in roles:
        mine[pk].setdefault(space, set()).update(permissions_of(role) or own.get(role, ()))
    for row in giving(pk__in=glass) if glass else ():
        mine[row.holder_id].setdefault("", set()).update(row.permissions)
        emergencies[row.holder_id] = max(emergencies.get(row.holder_id, 0), row.pk)
    return {pk: Held.of(by_space, emergencies.get(pk, 0)) for pk, by_space in mine.items()}


def _of_own_roles(names: Collection[str]) -> Mapping[str, Collection[str]]:
    return dict(Role.objects.filter(name__in=names).values_list("name", "permissions")) if names else {}
