"""Give roles and take them away. Nobody hands on more than they have: Note [One policy] in `policy`."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from erip.foundation.errors import EripError

from . import keys
from .catalog import BUILT_IN, closed, is_declared, permissions_of
from .models import ApiKey, Grant, Role, Space
from .policy import covers
from .principals import Principal


class NotGranted(EripError):
    """The grant cannot be made, or there is none to take away. The message says what is missing."""

    status = 422
    code = "not_granted"


def permissions_of_role(name: str) -> frozenset[str] | None:
    """What a role holds, built in or own; None if there is no such role."""
    if name in BUILT_IN:
        return permissions_of(name)
    own = Role.objects.filter(name=name).values_list("permissions", flat=True).first()
    return None if own is None else closed(own)


def roles_to_give(caller: Principal | None) -> list[str]:
    """The roles of which a caller holds everything, everywhere: those that it may hand on."""
    if caller is None:
        return []
    built_in = [role for role in BUILT_IN if covers(caller, permissions_of(role))]
    own = [role.name for role in Role.objects.all() if covers(caller, closed(role.permissions))]
    return [*built_in, *own]


def role_faults(caller: Principal | None, name: str, permissions: Collection[str]) -> list[str]:
    """What is wrong with an own role that a caller wants to store."""
    faults = []
    if name in BUILT_IN:
        faults.append(f"{name} is a built-in role.")
    if unknown := sorted(one for one in permissions if not is_declared(one)):
        faults.append(f"There are no permissions {', '.join(unknown)}.")
    if caller is None or not covers(caller, closed(permissions)):
        beyond = [one for one in sorted(permissions) if caller is None or not covers(caller, [one])]
        faults.append(f"You do not have what you would give: {', '.join(beyond)}.")
    return faults


def grant(role: str, holder: str, *, space: str = "", by: str, expires_at: datetime | None = None) -> Grant:
    """Give a role to `user:…`, `group:…` or `key:…`, on everything or in a space. Raises NotGranted."""
    found = _holder(holder)
    if permissions_of_role(role) is None:
        raise NotGranted(f'There is no role "{role}".')
    if space and not Space.objects.filter(name=space).exists():
        raise NotGranted(f'There is no space "{space}".')
    try:
        with transaction.atomic():
            made = Grant.objects.create(role=role, space=space, granted_by=by, expires_at=expires_at, **found)
    except IntegrityError as error:
        raise NotGranted(f"{holder} has the role {role} {_where(space)} already.") from error
    changed()
    return made


def take_away(role: str, holder: str, *, space: str = "") -> None:
    """Raises NotGranted if there is no such grant."""
    count, _ = Grant.objects.filter(role=role, space=space, **_holder(holder)).delete()
    if not count:
        raise NotGranted(f"{holder} does not have the role {role} {_where(space)}.")
    changed()


def make_space(name: str, description: str = "") -> Space:
    """Raises NotGranted if the name cannot be one, or is taken."""
    made = Space(name=name, description=description)
    try:
        made.full_clean()
    except ValidationError as error:
        raise NotGranted(" ".join(error.messages)) from error
    made.save()
    return made


def changed() -> None:
    """Grants or roles were changed: this process reads them anew at once, the others within
    ERIP_API_KEY_CACHE_SECONDS."""
    keys.forget_cached()


def _where(space: str) -> str:
    return f"in {space}" if space else "on everything"


def _holder(named: str) -> dict[str, Any]:
    kind, _, name = named.partition(":")
    users = get_user_model()
    found: Any = None
    if kind == "user":
        found = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
    elif kind == "group":
        found = Group.objects.filter(name=name).first()
    elif kind == "key":
        found = ApiKey.objects.filter(name=name).first()
    else:
        raise NotGranted(f'"{named}" is none of user:NAME, group:NAME and key:NAME.')
    if found is None:
        raise NotGranted(f'There is no {kind} "{name}".')
    return {kind: found}
