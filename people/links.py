"""Links by which one person votes once on one approval, without signing in.

Note [Links to vote]
A link is a text that this installation has signed (`django.core.signing`, ERIP_SECRET_KEY); nothing is stored for it.
It names the approval, the SHA-256 of its content, the person and the moment at which it ends. What it says of the
person is a digest of their address and password: so a link that went to an address is worthless when that address, or
the password, is another one. Everything else is asked when it is used: whether the person is active, may vote here, is
in a group that is asked, has let nobody else vote in their place, and has not voted. A vote uses it up, as nobody votes
twice. To read a link changes nothing, however often and by whomever that is done, mail scanners included.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from erip.access import policy, principals
from people import inbox, persons, voting
from people.errors import LinkInvalid
from people.models import Delegation
from workflows.models import ApprovalTask

#: characters of the longest link's token
LONGEST: Final = 600
_SALT: Final = "people.links"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Held:
    """A link that is valid. me: the principal of its person; ends_at: aware."""

    asked: inbox.Asked
    me: str
    content_hash: str
    ends_at: datetime


def lifetime() -> timedelta | None:
    """For how long a link is valid; None: there are none here."""
    hours = settings.ERIP_APPROVAL_LINK_HOURS
    return timedelta(hours=min(hours, 24 * 366)) if hours > 0 else None


def token_for(task: ApprovalTask, person: str, *, due_at: datetime | None = None) -> tuple[str, datetime] | None:
    """(token, when it ends) for a person; None: there are no links here, or they could not vote by one.

    due_at: when the approval expires; None: never.
    """
    lives = lifetime()
    user = get_user_model().objects.filter(username=person.removeprefix(persons.PREFIX)).first()
    if lives is None or user is None or not _may_vote(user) or _stands_back(person):
        return None
    ends_at = timezone.now() + lives
    if due_at is not None:
        ends_at = min(ends_at, due_at)
    told = [_VERSION, task.pk, user.pk, task.content_hash, _bound(user), int(ends_at.timestamp())]
    return signing.dumps(told, salt=_SALT), ends_at


def held(token: str) -> Held:
    """What this link opens, as of now. Raises LinkInvalid; a token that was not signed here costs no statement."""
    number, user_id, content_hash, bound, ends = _read(token)
    ends_at = datetime.fromtimestamp(ends, tz=timezone.get_current_timezone())
    if lifetime() is None or ends_at <= timezone.now():
        raise LinkInvalid("This link has expired. Sign in to vote.")
    user = get_user_model().objects.filter(pk=user_id).first()
    if user is None or not constant_time_compare(_bound(user), bound) or not _may_vote(user):
        raise LinkInvalid
    me = persons.principal_of_user(user)
    asked = inbox.one(number)
    if asked.task.closed_at is not None:
        raise LinkInvalid("This approval has ended.")
    if any(me in (vote.voter, vote.on_behalf_of) for vote in asked.votes):
        raise LinkInvalid("This link was used, or a vote was cast elsewhere. Each person votes once.")
    if _stands_back(me):
        raise LinkInvalid("Somebody else votes in this person's place now. Sign in to vote all the same.")
    if asked.task.content_hash != content_hash or "" not in inbox.votes_of(asked, me):
        raise LinkInvalid
    return Held(asked, me, content_hash, ends_at)


def vote(link: Held, *, choice: str, comment: str, form: Any = None) -> voting.Counted:
    """Vote by a link that is valid. Raises what `voting.vote` raises."""
    ballot = voting.Ballot(link.me, choice, link.content_hash, "link", comment=comment, form=form)
    return voting.vote(link.asked.task.pk, ballot)


def _read(token: str) -> tuple[int, int, str, str, int]:
    if len(token) > LONGEST:
        raise LinkInvalid
    try:
        told = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError):
        raise LinkInvalid from None
    if not isinstance(told, list) or len(told) != 6 or told[0] != _VERSION:
        # Another release signed it.
        raise LinkInvalid
    _, number, user_id, content_hash, bound, ends = told
    return number, user_id, content_hash, bound, ends


def _bound(user: AbstractBaseUser) -> str:
    """What changes with the person's address and password."""
    told = f"{getattr(user, 'email', '')}\n{user.password}"
    return salted_hmac(_SALT, told, algorithm="sha256").hexdigest()[:32]


def _may_vote(user: AbstractBaseUser) -> bool:
    """Whether they could vote if they signed in."""
    caller = principals.of_staff(user)
    return caller is not None and policy.decide(caller, (persons.TO_VOTE,)).allowed


def _stands_back(person: str) -> bool:
    """Whether they have let somebody else vote in their place, as of now."""
    now = Now()
    given = Delegation.objects.filter(delegator=person, revoked_at__isnull=True, starts_at__lte=now, ends_at__gt=now)
    return given.exists()
