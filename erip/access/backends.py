"""How the admin authenticates users: by password, with a limit on attempts."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from . import logins

#: where a request stores the result of its attempt: see `middleware.Logins`
TOO_SOON, SIGNED_IN = "erip_too_soon", "erip_signed_in"


class SlowedBackend(ModelBackend):
    """Django's own, with Note [Slowing logins]. Without a request (a command, a test) nothing is slowed.

    It has the last word: no other backend is asked about what it refuses.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        try:
            attempt = logins.begin(request, username)
        except logins.TooSoon as error:
            setattr(request, TOO_SOON, error.seconds)
            raise PermissionDenied from error
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            raise PermissionDenied
        logins.succeeded(attempt)
        setattr(request, SIGNED_IN, user)
        return user
