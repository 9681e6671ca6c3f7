"""How REST framework learns who is calling: an API key, or the session of a member of staff."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from erip.foundation.http.addresses import client_address

from . import keys
from .errors import NotFromThere
from .principals import Principal, of_staff
from .tokens import checking

CHALLENGE = 'Bearer realm="erip"'


def principal_of_bearer(header: bytes, address: str) -> Principal | None:
    """The caller whose key, or token of an issuer, the `Authorization` header holds; None if it holds something else.
    address: the client's own, "" if it is unknown.

    Raises AuthenticationFailed where it opens nothing, NotFromThere where a key opens nothing at this address, and
    IssuerAway.
    """
    scheme, _, token = header.partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    try:
        text = token.strip().decode("ascii")
        principal = checking.authenticate(text) if checking.is_one(text) else keys.authenticate(text, address)
    except UnicodeDecodeError:
        principal = None
    if principal is None:
        raise unknown_key()
    return principal


def unknown_key() -> AuthenticationFailed:
    """The answer to an invalid key."""
    error = AuthenticationFailed("The API key or token is unknown, expired or revoked.")
    # REST framework's views add it themselves; the light path and the front door answer without them.
    error.auth_header = CHALLENGE  # type: ignore[attr-defined]
    return error


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer erip_<prefix>_<secret>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        header, address = get_authorization_header(request), client_address(request._request)
        try:
            principal = principal_of_bearer(header, address)
        except NotFromThere as error:
            request._request.proved = error.who  # type: ignore[attr-defined]  # for the audit log
            raise
        return None if principal is None else (principal, None)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class StaffSessionAuthentication(SessionAuthentication):
    """The session of a member of staff, so that the docs page can call the API. Enforces the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        principal = of_staff(request._request.user)
        if principal is None:
            return None
        self.enforce_csrf(request)
        return principal, None
