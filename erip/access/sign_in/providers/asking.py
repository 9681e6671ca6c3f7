"""What a browser was sent to an identity provider with, and how it is known again when it comes back.

Note [Sent away]
Whoever begins a sign-in needs no session yet, and must not cost a row: what was asked is in a cookie, encrypted, for
ten minutes, sent to the pages of sign-in alone. An answer counts for the browser that asked, once, and for what it
asked: to come in, to link an account, to prove once more. So nobody can have another browser signed in as themselves by
sending it an answer of theirs.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from .. import once, sealing
from .shown import Refused

SECONDS: Final = 600
COOKIE: Final = "erip_sign_in"
_PATH: Final = "/admin/sign-in/"
_KIND: Final = "sign-in at a provider"
_AGAIN: Final = "This sign-in was begun in another window, was finished before, or took too long. Please begin again."

Purpose = Literal["sign-in", "link", "prove"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked.

    state: names it; the provider sends it back. nonce, verifier: of OIDC
    next: where the person goes then; user: who asks, if they are signed in; at: seconds since 1970
    """

    provider: str
    purpose: Purpose
    next: str
    user: Any
    state: str
    nonce: str
    verifier: str
    at: float


def begin(provider: str, purpose: Purpose, next: str, user: Any) -> Asked:
    chance = secrets.token_urlsafe
    return Asked(provider, purpose, next[:2_000], user, f"_{chance(32)}", chance(32), chance(48), time.time())


def remember(response: HttpResponseBase, asked: Asked) -> None:
    sealed = sealing.seal(json.dumps(asdict(asked)).encode()).decode()
    secure = settings.SESSION_COOKIE_SECURE
    response.set_cookie(COOKIE, sealed, max_age=SECONDS, path=_PATH, httponly=True, secure=secure, samesite="Lax")


def forget(response: HttpResponseBase) -> None:
    response.delete_cookie(COOKIE, path=_PATH, samesite="Lax")


def recall(request: HttpRequest, provider: str, state: str | None = None) -> Asked:
    """What this browser asked for, by the name that the provider sent back; None: the answer itself names it, and is
    looked at then. Raises Refused."""
    try:
        asked = Asked(**json.loads(sealing.unseal(request.COOKIES.get(COOKIE, "").encode())))
    except (sealing.Unreadable, ValueError, TypeError) as error:
        raise Refused(_AGAIN, "no cookie") from error
    fits = asked.provider == provider
    if state is not None:
        fits = fits and secrets.compare_digest(asked.state.encode(), state.encode("utf-8", "replace"))
    if not fits or not 0 <= time.time() - asked.at <= SECONDS:
        raise Refused(_AGAIN, "state")
    if asked.purpose != "sign-in" and asked.user != request.user.pk:
        raise Refused(_AGAIN, "another person")
    return asked


def need_unused(asked: Asked) -> None:
    """Before the provider is asked. Raises Refused if it is used up."""
    if once.is_used(_KIND, asked.state):
        raise Refused(_AGAIN, "used before")


def use(asked: Asked) -> None:
    """From here on it is used up. Only what the provider has proved gets this far: it costs a row. Raises Refused if it
    was used up before."""
    if not once.first_time(_KIND, asked.state, seconds=2 * SECONDS):
        raise Refused(_AGAIN, "used before")
