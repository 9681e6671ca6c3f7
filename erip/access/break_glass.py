"""Ask for rights in an emergency, grant, end and review them: what the API and the command do in common. Note
[Break-glass] in `break_glass_models`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import InternalError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.errors import EripError
from erip.foundation.faults import Fault

from .break_glass_models import GRANTABLE_MINUTES, MOST_MINUTES, BreakGlass
from .catalog import EVERYTHING, find
from .policy import decide
from .principals import Principal

#: permissions of one request; characters of a reason and of a review
MOST_PERMISSIONS, MOST_TEXT = 20, 1_000
#: who may do what is not changed in an emergency: whoever could would stay in
_SHUT = ("access", "auth")


class UnknownBreakGlass(EripError):
    """There is no emergency access of that number."""

    code = "unknown_break_glass"
    status = 404


class BreakGlassRefused(EripError):
    """This cannot be asked for. Fix what `faults` names."""

    code = "break_glass_refused"
    status = 422


class OnlyPeople(EripError):
    """Only people ask for emergency access, grant it, end it and review it: sign in, and use no key."""

    code = "only_people"
    status = 403


class SamePerson(EripError):
    """Whoever asks for emergency access does not grant or review it."""

    code = "same_person"
    status = 403


class NotYours(EripError):
    """Emergency access of somebody else is ended by security alone."""

    code = "not_yours"
    status = 403


class BreakGlassOver(EripError):
    """It is granted already, or over, or nothing to review yet."""

    code = "break_glass_over"
    status = 409


def ask(by: str, permissions: Sequence[str], reason: str, minutes: int) -> BreakGlass:
    """Ask for permissions. by: a principal. Raises OnlyPeople, BreakGlassRefused with every fault."""
    holder = _person(by)
    faults = [
        Fault(f"permissions[{place}]", fault)
        for place, one in enumerate(permissions[: MOST_PERMISSIONS + 1])
        if (fault := _fault(one))
    ]
    if not 1 <= len(permissions) <= MOST_PERMISSIONS:
        faults.append(Fault("permissions", f"must be 1 to {MOST_PERMISSIONS}"))
    if not reason.strip() or len(reason) > MOST_TEXT:
        faults.append(Fault("reason", f"must have 1 to {MOST_TEXT:,} characters"))
    if not 1 <= minutes <= MOST_MINUTES:
        faults.append(Fault("minutes", f"must be 1 to {MOST_MINUTES}"))
    if faults:
        raise BreakGlassRefused(faults=sorted(faults))
    made = BreakGlass.objects.create(
        holder=holder, permissions=sorted(set(permissions)), reason=reason, minutes=minutes
    )
    return find_one(made.pk)


def grant(number: int, by: str) -> BreakGlass:
    """Grant what was asked for, from now on. Raises OnlyPeople, SamePerson, UnknownBreakGlass, BreakGlassOver."""
    with transaction.atomic():
        row = _locked(number)
        granter = _person(by)
        if row.holder_id == granter.pk:
            raise SamePerson
        if row.granted_at or row.ended_at:
            raise BreakGlassOver("It is granted already, or was taken back.")
        if not row.holder.is_active:
            raise BreakGlassOver("Whoever asked for it is not active any more.")
        late = Q(asked_at__lt=Now() - timedelta(minutes=GRANTABLE_MINUTES))
        if BreakGlass.objects.filter(late, pk=row.pk).exists():
            raise _late()
        try:
            with transaction.atomic():
                BreakGlass.objects.filter(pk=row.pk).update(granted_by=by, granted_at=Now())
        except InternalError as error:  # a trigger: the hour, or somebody's account, ended at this moment
            raise _late() from error
        row.refresh_from_db()
        BreakGlass.objects.filter(pk=row.pk).update(seal=row.sealed())
    return find_one(number)


def _late() -> BreakGlassOver:
    return BreakGlassOver(f"It was asked for more than {GRANTABLE_MINUTES} minutes ago: ask again.")


def end(number: int, by: str, caller: Principal | None) -> BreakGlass:
    """End it now, or take the request back; what is over stays so. caller: None: somebody at the machine.

    Raises OnlyPeople, NotYours, UnknownBreakGlass.
    """
    with transaction.atomic():
        row = _locked(number)
        person = _person(by)
        security = caller is None or decide(caller, ("access.end_breakglass",)).allowed
        if row.holder_id != person.pk and not security:
            raise NotYours
        open_ones = BreakGlass.objects.filter(Q(ends_at=None) | Q(ends_at__gt=Now()), pk=row.pk, ended_at=None)
        open_ones.update(ended_at=Now(), ended_by=by)
    return find_one(number)


def review(number: int, by: str, text: str) -> BreakGlass:
    """Say afterwards whether it was right. Raises OnlyPeople, SamePerson, UnknownBreakGlass, BreakGlassOver,
    BreakGlassRefused."""
    person = _person(by)
    if not text.strip() or len(text) > MOST_TEXT:
        raise BreakGlassRefused(faults=[Fault("review", f"must have 1 to {MOST_TEXT:,} characters")])
    with transaction.atomic():
        row = _locked(number)
        if row.holder_id == person.pk:
            raise SamePerson
        over = BreakGlass.objects.filter(Q(ended_at__isnull=False) | Q(ends_at__lte=Now()), pk=row.pk, reviewed_at=None)
        if not over.exclude(granted_at=None).update(reviewed_by=by, reviewed_at=Now(), review=text):
            raise BreakGlassOver("It is not over yet, was never granted, or is reviewed.")
    return find_one(number)


def find_one(number: int) -> BreakGlass:
    """With `now`, by the database's clock. Raises UnknownBreakGlass."""
    row: BreakGlass | None = listed().filter(pk=number).first()
    if row is None:
        raise UnknownBreakGlass
    return row


def listed() -> Any:
    """Newest first, each with the moment at which it was read (`now`)."""
    return BreakGlass.objects.select_related("holder").annotate(now=Now()).order_by("-id")


def take_unsaid(limit: int) -> list[tuple[BreakGlass, bool]]:
    """What has begun or is over and was not said: (it, whether it begins), at most `limit`. It counts as said once the
    caller's transaction is committed."""
    over = Q(ended_at__isnull=False) | Q(ends_at__lte=Now())
    found = list(
        BreakGlass.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("holder")
        .filter(Q(begin_said_at=None) | over, granted_at__isnull=False, end_said_at=None)
        .order_by("id")[:limit]
    )
    begun = [row.pk for row in found if row.begin_said_at is None]
    ended = [row.pk for row in found if row.begin_said_at is not None]
    if begun:
        BreakGlass.objects.filter(pk__in=begun).update(begin_said_at=Now())
    if ended:
        BreakGlass.objects.filter(pk__in=ended).update(end_said_at=Now())
    return [(row, row.begin_said_at is None) for row in found]


def state_of(row: BreakGlass) -> str:
    """`asked`, `lapsed`, `withdrawn`, `active`, `ended` or `reviewed`. row: of `listed`."""
    now = row.now  # type: ignore[attr-defined]
    if row.reviewed_at:
        return "reviewed"
    if row.granted_at is None:
        if row.ended_at:
            return "withdrawn"
        return "lapsed" if (now - row.asked_at).total_seconds() > GRANTABLE_MINUTES * 60 else "asked"
    return "ended" if row.ended_at or row.ends_at <= now else "active"


def _fault(one: str) -> str | None:
    app, _, codename = one.partition(".")
    if one == EVERYTHING or find(one) is None:
        return "is no permission"
    if app in _SHUT and not codename.startswith("view_"):
        return "changes who may do what, which no emergency needs"
    return None


def _person(principal: str) -> Any:
    kind, _, name = principal.partition(":")
    users = get_user_model()
    found = users._default_manager.filter(**{users.USERNAME_FIELD: name}, is_active=True).first()
    if kind != "user" or found is None:
        raise OnlyPeople
    return found


def _locked(number: int) -> BreakGlass:
    row = BreakGlass.objects.select_for_update(of=("self",)).select_related("holder").filter(pk=number).first()
    if row is None:
        raise UnknownBreakGlass
    return row
