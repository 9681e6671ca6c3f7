"""Make API keys, change them, exchange their secrets: what the admin, the API and the command do in common.

Note [Key owners]
Each new key has an owner: an active person, who answers for what it does. While they are not active, the key opens
nothing. Keys of earlier releases have none, and are shown with an unknown owner until they are given one. Who
starts a run with a key does not approve what it asks: neither who owns it or has owned it, nor who made it or has
exchanged its secret, as they have seen one (`ApiKey.behind`, `workflows.store.approvals`).

Note [Rotation]
A key's secret is exchanged for a new one, under the same name, with the same rights. The former one opens everything
until a moment that is named, so that its users can be moved one by one; a further exchange ends it. Only who may do all
that the key may do gets a secret of it: nobody hands on more than they have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from erip.foundation.faults import Fault

from . import keys
from .catalog import permissions_of
from .errors import BeyondYours, KeyRefused, KeyRevoked, KeyTaken, UnknownKey
from .models import MOST_RATE, ApiKey
from .networks import MOST, canonical
from .policy import covers
from .principals import Principal
from .references import ANY
from .scopes import Scope

#: how long the former secret opens something, at the most, and if nothing is said
LONGEST_OVERLAP = timedelta(days=90)
OVERLAP = timedelta(days=1)
#: patterns of one key
MOST_PATTERNS = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key that is to be made. owner: a username. allowed: networks. rate: requests a minute."""

    name: str
    owner: str
    scope: Scope | str = ""
    expires_at: datetime | None = None
    sources: Sequence[str] = (ANY,)
    types: Sequence[str] = (ANY,)
    allowed: Sequence[str] = ()
    rate: int | None = None


def make(wanted: Wanted, *, by: str, caller: Principal | None = None) -> keys.NewKey:
    """Make a key. caller: who asks; None: somebody at the machine, who may do everything.

    Raises KeyRefused with every fault, BeyondYours, KeyTaken.
    """
    faults = _name_faults(wanted.name)
    owner = _owner(wanted.owner, faults)
    faults += _faults(wanted.expires_at, wanted.rate, wanted.sources, wanted.types, wanted.allowed)
    if faults:
        raise KeyRefused(faults=faults)
    scope = Scope(wanted.scope) if wanted.scope else None
    if caller is not None and scope is not None and not covers(caller, permissions_of(scope.role)):
        raise BeyondYours
    try:
        with transaction.atomic():
            return keys.create(
                name=wanted.name,
                scope=scope or "",
                expires_at=wanted.expires_at,
                created_by=by,
                sources=wanted.sources,
                types=wanted.types,
                owner=owner,
                allowed=wanted.allowed,
                rate=wanted.rate,
            )
    except IntegrityError as error:
        raise KeyTaken(f'There is an API key named "{wanted.name}" already; choose another name.') from error


def change(number: int, changes: Mapping[str, Any], *, caller: Principal | None = None) -> ApiKey:
    """Change a key. changes: some of owner (a username), expires_at, networks, rate, sources, types. caller: who asks;
    None: somebody at the machine. Only who may do all that the key may do changes it: another owner, other networks or
    a later end would open it to somebody.

    Raises UnknownKey, KeyRevoked, BeyondYours, KeyRefused with every fault.
    """
    faults: list[Fault] = []
    fields = dict(changes)
    if "owner" in fields:
        fields["owner"] = _owner(fields["owner"], faults)
    with transaction.atomic():
        row = locked(number)
        _covered(row, caller)
        expires_at = fields.get("expires_at") if fields.get("expires_at") != row.expires_at else None
        faults += _faults(
            expires_at,
            fields.get("rate"),
            fields.get("sources", ()),
            fields.get("types", ()),
            fields.get("networks", ()),
        )
        if faults:
            raise KeyRefused(faults=faults)
        if "networks" in fields:
            fields["networks"] = canonical(fields["networks"])
        for name, value in fields.items():
            setattr(row, name, value)
        if fields:
            row.save(update_fields=list(fields))
    keys.forget(row.prefix)
    return row


def rotate(number: int, *, by: str, caller: Principal | None = None, old_until: datetime | None = None) -> keys.NewKey:
    """Exchange a key's secret: Note [Rotation]. old_until: until when the former one opens something; None: a day;
    a moment that has passed ends it now.

    Raises UnknownKey, KeyRevoked, BeyondYours, KeyRefused.
    """
    now = timezone.now()
    until = now + OVERLAP if old_until is None else old_until
    if until > now + LONGEST_OVERLAP:
        raise KeyRefused(faults=[Fault("old_until", f"is more than {LONGEST_OVERLAP.days} days from now")])
    secret = keys.new_secret()
    with transaction.atomic():
        row = locked(number)
        _covered(row, caller)
        row.previous_digest, row.previous_until = row.digest, until
        row.digest = keys.digest_of(secret)
        row.rotated_at, row.rotated_by = now, by
        row.save(update_fields=["digest", "previous_digest", "previous_until", "rotated_at", "rotated_by"])
    keys.forget(row.prefix)
    return keys.NewKey(row=row, token=keys.token_of(row.prefix, secret))


def revoke(number: int) -> ApiKey:
    """Close a key for good; one that is revoked stays so. Raises UnknownKey."""
    row = find(number)
    keys.revoke(row.prefix)
    return find(number)


def find(number: int) -> ApiKey:
    """Raises UnknownKey."""
    row = ApiKey.objects.select_related("owner").filter(pk=number).first()
    if row is None:
        raise UnknownKey
    return row


def named(name: str) -> ApiKey:
    """Raises UnknownKey."""
    row = ApiKey.objects.select_related("owner").filter(name=name).first()
    if row is None:
        raise UnknownKey(f'There is no API key named "{name}".')
    return row


def locked(number: int) -> ApiKey:
    """A key that is about to be changed. Raises UnknownKey, KeyRevoked."""
    row = ApiKey.objects.select_for_update().filter(pk=number).first()
    if row is None:
        raise UnknownKey
    if row.revoked_at is not None:
        raise KeyRevoked
    return row


def covered(row: ApiKey, caller: Principal) -> bool:
    """Whether the caller may do all that the key may do, wherever it may do it."""
    held = keys.principal_of(keys.with_grants().get(pk=row.pk))
    return covers(caller, held.permissions.union(*held.within.values()))


def _covered(row: ApiKey, caller: Principal | None) -> None:
    if caller is not None and not covered(row, caller):
        raise BeyondYours


def _owner(username: str, faults: list[Fault]) -> Any:
    users = get_user_model()
    found = None
    if username.isprintable():  # PostgreSQL stores no NUL, and UTF-8 has no half of a pair
        found = users._default_manager.filter(**{users.USERNAME_FIELD: username}, is_active=True).first()
    if found is None:
        faults.append(Fault("owner", "is nobody who is active: name the person who answers for the key"))
    return found


def _name_faults(name: str) -> list[Fault]:
    fits = 1 <= len(name) <= 100 and name.isprintable() and name == name.strip()
    return [] if fits else [Fault("name", "must have 1 to 100 printable characters, and no space at its ends")]


def _faults(
    expires_at: datetime | None, rate: int | None, sources: Sequence[str], types: Sequence[str], allowed: Sequence[str]
) -> list[Fault]:
    faults = []
    if expires_at is not None and expires_at <= timezone.now():
        faults.append(Fault("expires_at", "has passed"))
    if rate is not None and not 1 <= rate <= MOST_RATE:
        faults.append(Fault("rate", f"must be 1 to {MOST_RATE:,} a minute"))
    limits = (("sources", sources, MOST_PATTERNS), ("types", types, MOST_PATTERNS), ("networks", allowed, MOST))
    for field, given, most in limits:
        if len(given) > most:
            faults.append(Fault(field, f"are more than {most:,}"))
            return faults
    try:
        keys.check_binding(sources, types, allowed)
    except keys.NotBindable as error:
        faults += [Fault(place, fault) for place, fault in error.faults]
    return faults
