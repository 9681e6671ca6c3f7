"""Signing in, step by step.

Note [No session before all is shown]
A person who has a second factor, or needs one, is signed in when they have shown it, and not before: after the password
the browser's session holds only who wants to come in, and none of the platform's doors takes that for a session. So no
door has to ask for the second factor, and none can forget to. Who needs one and has none sets it up in this step.
What is pending ends after minutes, with the password's change, and with the account.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth import get_user_model, login
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from ..backends import SIGNED_IN
from . import factors
from .sessions import PROVED_AT, THROUGH

#: seconds in which the second step has to be done
PENDING_FOR: Final = 600
_PENDING: Final = "erip_pending"
_BACKEND: Final = "erip.access.backends.SlowedBackend"


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody whose password was right. next: where they wanted to go."""

    user: Any
    next: str


@dataclass(frozen=True, slots=True)
class Through:
    """An identity provider, and how it names the sign-in."""

    provider: str
    session: str


def begin(
    request: HttpRequest, user: Any, next: str, *, proved: float | None = None, through: Through | None = None
) -> bool:
    """The password was right, or a provider has shown who it is. Returns whether a second step follows; otherwise they
    are signed in. proved: when a second factor was shown at the provider, in seconds since 1970, 0 if it does not say;
    None: none was."""
    # With a key of its own from here on: what signs in is noted under it.
    request.session.flush()
    if through is not None:
        request.session[THROUGH] = {"provider": through.provider, "session": through.session}
    if proved is not None:
        finish(request, user, proved)
        return False
    if not factors.has(user) and not factors.needs(user):
        login(request, user, backend=_BACKEND)
        return False
    request.session[_PENDING] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "at": int(time.time()),
        "next": next,
    }
    return True


def pending(request: HttpRequest) -> Pending | None:
    """Who wants to come in, if their password was right a while ago."""
    found = request.session.get(_PENDING)
    if not found or time.time() - found["at"] > PENDING_FOR:
        return None
    user = get_user_model()._default_manager.filter(pk=found["user"], is_active=True, is_staff=True).first()
    if user is None or not constant_time_compare(found["hash"], user.get_session_auth_hash()):
        return None
    return Pending(user, found["next"])


def finish(request: HttpRequest, user: Any, at: float | None = None) -> None:
    """The second factor was right: they are signed in. at: as of `prove`."""
    request.session.pop(_PENDING, None)
    prove(request, at)
    login(request, user, backend=_BACKEND)
    setattr(request, SIGNED_IN, user)


def prove(request: HttpRequest, at: float | None = None) -> None:
    """They have shown a second factor. at: when, in seconds since 1970; None: just now."""
    now = time.time()
    request.session[PROVED_AT] = int(now if at is None else min(at, now))


def proved_lately(request: HttpRequest, minutes: float) -> bool:
    """Whether they have shown a second factor within these minutes."""
    at = request.session.get(PROVED_AT)
    return isinstance(at, int) and time.time() - at < minutes * 60
