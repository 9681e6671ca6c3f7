"""Sign-ins: who came in, and who tried."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest


@receiver(user_login_failed)
def failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """A name is recorded only if there is such an account: people type passwords into the wrong field."""
    operation = getattr(request, "audited", None)
    if operation is None:
        return
    operation.detail["outcome"] = "refused"
    model = get_user_model()
    name = str(credentials.get(model.USERNAME_FIELD, ""))[:150]
    if "\0" not in name and model._default_manager.filter(**{model.USERNAME_FIELD: name}).exists():
        operation.object = f"user:{name}"


@receiver(user_logged_in)
def succeeded(request: HttpRequest | None = None, user: Any = None, **_: Any) -> None:
    operation = getattr(request, "audited", None)
    if operation is None or user is None:
        return
    operation.detail.pop("outcome", None)
    operation.object = f"user:{user.get_username()}"
