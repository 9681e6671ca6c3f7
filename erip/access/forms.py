"""The form by which people sign in to the admin."""

from math import ceil
from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from .backends import TOO_SOON


class LoginForm(AuthenticationForm):
    """Says that an attempt came too soon, rather than that the password is wrong, because the password was not
    checked."""

    def get_invalid_login_error(self) -> Any:
        seconds: float | None = getattr(self.request, TOO_SOON, None)
        if seconds is None:
            return super().get_invalid_login_error()
        minutes = ceil(seconds / 60)
        span = f"{max(1, ceil(seconds))} seconds" if seconds < 90 else f"{minutes} minutes"
        return ValidationError(f"Too many attempts failed. Try again in {span}.", code="too_soon")
