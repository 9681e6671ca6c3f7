"""Who stands in for whom: made by the person who is away, or by somebody who may do so for everybody."""

from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from people.errors import DelegationInvalid, OnlyPeopleVote, UnknownDelegation
from people.models import Delegation
from people.persons import is_person

#: the longest delegation
LONGEST = timedelta(days=366)


def delegate(
    delegator: str, to: str, *, ends_at: datetime, by: str, starts_at: datetime | None = None, reason: str = ""
) -> Delegation:
    """Let `to` (a username) vote in place of `delegator` (a principal).

    Raises OnlyPeopleVote, DelegationInvalid (every fault).
    """
    if not is_person(delegator):
        raise OnlyPeopleVote
    now = timezone.now()
    begin = starts_at or now
    faults: list[Fault] = []
    if not get_user_model().objects.filter(username=to, is_active=True).exists():
        faults.append(Fault("to", "is not the name of an active user"))
    elif f"user:{to}" == delegator:
        faults.append(Fault("to", "is the person who delegates"))
    if ends_at <= max(now, begin):
        faults.append(Fault("ends_at", "has passed, or is not after the beginning"))
    elif ends_at - begin > LONGEST:
        faults.append(Fault("ends_at", f"is more than {LONGEST.days} days after the beginning"))
    if faults:
        raise DelegationInvalid(faults=faults)

    def make(attempt: Attempt) -> Delegation:
        made, _ = Delegation.objects.get_or_create(
            delegator=delegator,
            delegate=f"user:{to}",
            starts_at=begin,
            ends_at=ends_at,
            revoked_at=None,
            defaults={"reason": reason, "made_by": by},
        )
        return made

    return retry.run(make)


def revoke(number: int, *, by: str, of: str | None) -> Delegation:
    """End a delegation now; one that has ended already stays as it is. of: only one that this person made or was given;
    None: any. Raises UnknownDelegation."""

    def end(_: Attempt) -> Delegation:
        with transaction.atomic():
            found = Delegation.objects.select_for_update().filter(pk=number).first()
            if found is None or of not in (None, found.delegator, found.delegate):
                raise UnknownDelegation
            if found.revoked_at is None:
                found.revoked_at, found.revoked_by = Now(), by
                found.save(update_fields=["revoked_at", "revoked_by"])
                found.refresh_from_db()
            return found

    return retry.run(end)
