"""Finds the caller from the headers alone, before any of the request's body is read.

A key that this process has read lately is known at once, on the event loop; any other key, or a session, is looked up
in the database, in a thread (`look_up`). What is found here decides only whether the body is read; the view
authenticates the request again, and says what is wrong with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import parse_cookie
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated

from . import keys
from .authentication import CHALLENGE, principal_of_bearer, unknown_key
from .principals import Principal
from .tokens import checking

#: a request of ours never carries more cookies
_LONGEST_COOKIES = 8_192


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller.

    name: what it uses is counted under this name
    principal: the key's; None for the session of a user who is signed in to the admin
    """

    name: str
    principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a request brings.

    authorization: the header, if it holds a bearer token
    session: the session's key
    address: the client's own; "": unknown
    """

    authorization: bytes | None = None
    session: str | None = None
    address: str = ""


def credentials_of(headers: Iterable[tuple[bytes, bytes]], address: str) -> Credentials | None:
    """The credentials in ASGI's `headers`, brought from this address; None if there are none."""
    session = None
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() == b"bearer ":
                return Credentials(authorization=value, address=address)
        elif name == b"cookie":
            session = session or _session_in(value)
    return Credentials(session=session, address=address) if session else None


def known_at_once(credentials: Credentials) -> Caller | None:
    """The caller, if its key was read lately and is good. None means that it is not known; the database is not
    asked."""
    if credentials.authorization is None:
        return None
    token = _token(credentials.authorization)
    principal = keys.remembered(token, credentials.address) or checking.remembered(token)
    return None if principal is None else Caller(principal.name, principal)


def stranger(headers: Iterable[tuple[bytes, bytes]]) -> APIException:
    """The error with which an unknown caller is refused, the same as in the views."""
    if any(name == b"authorization" and value[:7].lower() == b"bearer " for name, value in headers):
        return unknown_key()
    error = NotAuthenticated()
    error.auth_header = CHALLENGE  # type: ignore[attr-defined]
    return error


def look_up(credentials: Credentials) -> Caller | None:
    """The caller; None for a key or session that opens nothing. Raises NotFromThere and django.db.Error."""
    if credentials.authorization is not None:
        try:
            principal = principal_of_bearer(credentials.authorization, credentials.address)
        except AuthenticationFailed:
            return None
        return None if principal is None else Caller(principal.name, principal)
    if credentials.session is None:
        return None
    stored = import_module(settings.SESSION_ENGINE).SessionStore(credentials.session)
    user = stored.get(SESSION_KEY)
    return None if user is None else Caller(f"user:{user}")


def _token(authorization: bytes) -> str:
    # What is no ASCII is no key, and is not found.
    return authorization[7:].strip().decode("latin-1")


def _session_in(cookies: bytes) -> str | None:
    if len(cookies) > _LONGEST_COOKIES or settings.SESSION_COOKIE_NAME.encode() not in cookies:
        return None
    return parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME) or None
