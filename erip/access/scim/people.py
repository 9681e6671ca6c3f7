"""People: where their attributes are kept, and what follows when they go. Note [Provisioned people] in `scim`."""

from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from typing import Any

import orjson
from django.contrib.auth.models import User as Account
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from scim2_models import (
    ForbiddenException,
    InvalidValueException,
    Meta,
    NotFoundException,
    UniquenessException,
    default_comparison_key,
)
from scim2_models import Path as ScimPath

from .. import keys
from ..models import ApiKey, Identity, ScimUser
from ..sign_in import factors, sessions
from .filters import as_uuid, flag, identity, one_of, text
from .schemas import Email, Membership, Name, User

#: what is kept as it was sent, by the names of SCIM
_KEPT = ("name", "displayName", "emails")

COLUMNS = {
    ("id", None): identity("id"),
    ("user_name", None): text("folded"),
    ("external_id", None): text("external_id"),
    ("active", None): flag("user__is_active"),
    ("emails", "value"): one_of("addresses"),
    ("groups", "value"): identity("user__groups__scim__id", exact=False),
}


def found(condition: Q) -> QuerySet[ScimUser]:
    """Those whom the identity provider has not removed, in the order in which they came."""
    return ScimUser.objects.filter(condition, gone_at=None).select_related("user").order_by("created_at", "id")


def get(number: str, *, lock: bool = False) -> User:
    """Raises NotFoundException. lock: nobody else changes them until the transaction ends."""
    return shown([_row(number, lock=lock)])[0]


def shown(rows: Iterable[ScimUser]) -> list[User]:
    """As SCIM shows them."""
    rows = list(rows)
    groups = _groups([row.user_id for row in rows])
    return [_shown(row, groups.get(row.user_id, [])) for row in rows]


def create(wanted: User) -> User:
    """Raises InvalidValueException, UniquenessException, ForbiddenException."""
    name = wanted.user_name or ""
    folded = fold("userName", name)
    earlier = ScimUser.objects.select_for_update().select_related("user").filter(folded=folded).first()
    if earlier is not None and (earlier.gone_at is None or earlier.user.get_username() != name):
        raise UniquenessException(detail=f"There is a person with the userName {name}.")
    if earlier is not None:
        account = earlier.user
        _need_ours(account)
        earlier.delete()
    elif Account.objects.filter(username__iexact=name).exists():
        # Were it taken over, the identity provider would decide about somebody who was let in here.
        raise UniquenessException(detail=f"{name} was made in ERIP, and is not provisioned.")
    else:
        account = Account(username=name, is_staff=True)
        account.set_unusable_password()
        try:
            account.clean_fields(exclude=["password", "email", "first_name", "last_name"])
        except ValidationError as error:
            raise InvalidValueException(detail=f"userName: {' '.join(error.messages)}") from error
        if account.normalize_username(name) != name:
            raise InvalidValueException(detail="userName: must be in Unicode's form NFKC")
    row = ScimUser(user=account, folded=folded)
    _take(row, wanted)
    try:
        with transaction.atomic():
            account.save()
            row.user = account
            row.save(force_insert=True)
    except IntegrityError as error:  # somebody else was faster
        raise UniquenessException(detail=f"There is a person with the userName {name}.") from error
    return get(str(row.pk))


def update(wanted: User) -> User:
    """Replace what is kept of a person. Raises NotFoundException, ForbiddenException."""
    row = _row(str(wanted.id), lock=True)
    _need_ours(row.user)
    was_active = row.user.is_active
    _take(row, wanted)
    row.user.save(update_fields=["first_name", "last_name", "email", "is_active"])
    row.changed_at = Now()
    row.save(update_fields=["external_id", "attributes", "addresses", "changed_at"])
    if was_active and not row.user.is_active:
        _out(row.user)
    elif not was_active:
        forget()
    return get(str(row.pk))


def remove(number: str) -> None:
    """Raises NotFoundException, ForbiddenException."""
    row = _row(number, lock=True)
    _need_ours(row.user)
    account = row.user
    account.is_active = False
    account.first_name = account.last_name = account.email = ""
    account.set_unusable_password()
    account.save(update_fields=["is_active", "first_name", "last_name", "email", "password"])
    account.groups.remove(*account.groups.filter(scim__gone_at=None, scim__isnull=False))
    factors.remove(account)
    # Who comes again under this userName may be another one at the provider: this way in ends, too.
    Identity.objects.filter(user=account).delete()
    ApiKey.objects.filter(owner=account, revoked_at=None).update(revoked_at=Now())
    row.external_id, row.attributes, row.addresses, row.gone_at = "", {}, [], Now()
    row.save(update_fields=["external_id", "attributes", "addresses", "gone_at"])
    _out(account)


def fold(attribute: str, value: str) -> str:
    """The form in which SCIM compares values of this attribute of a person."""
    binding = ScimPath[User](attribute).resolve()
    return default_comparison_key(binding, value)


def version(content: Mapping[str, Any]) -> str:
    """An entity tag that changes with anything that is shown (RFC 7644, section 3.14)."""
    return f'W/"{sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]}"'


def forget() -> None:
    """Whether the owner of a key is active is kept with the key: this process reads them anew."""
    keys.forget_cached()
    transaction.on_commit(keys.forget_cached)


def _row(number: str, *, lock: bool) -> ScimUser:
    known = as_uuid(number)
    rows = found(Q(pk=known)) if known else ScimUser.objects.none()
    row = (rows.select_for_update(of=("self", "user")) if lock else rows).first()
    if row is None:
        raise NotFoundException(detail="There is no person of this id.")
    return row


def _need_ours(account: Account) -> None:
    """Raises ForbiddenException for those whom only people here change."""
    if account.is_superuser:
        raise ForbiddenException(detail=f"{account.get_username()} is a superuser, whom only people in ERIP change.")


def _take(row: ScimUser, wanted: User) -> None:
    sent = wanted.model_dump()
    name = wanted.name or Name.model_validate({})
    emails = wanted.emails or []
    row.external_id = wanted.external_id or ""
    row.attributes = {key: sent[key] for key in _KEPT if sent.get(key) is not None}
    row.addresses = sorted({fold("emails.value", one.value) for one in emails if one.value})
    account = row.user
    account.first_name, account.last_name = name.given_name or "", name.family_name or ""
    account.email = _address(emails)
    account.is_active = wanted.active is not False


def _address(emails: Collection[Email]) -> str:
    """The one that ERIP writes to: the primary one, else the first."""
    usable = [one for one in emails if one.value]
    return next((one.value for one in usable if one.primary), usable[0].value if usable else "") or ""


def _out(account: Account) -> None:
    """Whoever is not active any more is out at once."""
    sessions.end_all(account)
    forget()


def _groups(accounts: Collection[int]) -> dict[int, list[Membership]]:
    through = Account.groups.through.objects.filter(user__in=accounts, group__scim__gone_at=None)
    pairs = through.exclude(group__scim=None).order_by("group__scim__created_at", "group__scim__id")
    groups: dict[int, list[Membership]] = {}
    for account, number, name in pairs.values_list("user_id", "group__scim__id", "group__name"):
        groups.setdefault(account, []).append(
            Membership.model_validate({"value": str(number), "$ref": f"Groups/{number}", "display": name})
        )
    return groups


def _shown(row: ScimUser, groups: list[Membership]) -> User:
    made: User = User.model_validate(
        {
            "id": str(row.pk),
            "externalId": row.external_id or None,
            "userName": row.user.get_username(),
            **row.attributes,
            "active": row.user.is_active,
        }
    )
    made.groups = groups or None
    made.meta = Meta(
        resource_type="User",
        created=row.created_at,
        last_modified=row.changed_at,
        version=version(made.model_dump()),
    )
    return made
