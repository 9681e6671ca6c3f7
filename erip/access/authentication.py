"""How REST framework learns who is calling: an API key, or the session of a member of staff."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from . import keys
from .principals import Principal, of_staff


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer erip_<prefix>_<secret>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        try:
            principal = keys.authenticate(token.strip().decode("ascii"))
        except UnicodeDecodeError:
            principal = None
        if principal is None:
            raise AuthenticationFailed("The API key is unknown, expired or revoked.")
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="erip"'


class StaffSessionAuthentication(SessionAuthentication):
    """The session of a member of staff, so that the docs page can call the API. Enforces the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        principal = of_staff(request._request.user)
        if principal is None:
            return None
        self.enforce_csrf(request)
        return principal, None
