"""How the admin authenticates users: by password, with a limit on attempts."""

from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from . import grants, logins
from .catalog import declared

#: where a request stores the result of its attempt: see `middleware.Logins`
TOO_SOON, SIGNED_IN = "erip_too_soon", "erip_signed_in"


class SlowedBackend(ModelBackend):
    """Django's own, with Note [Slowing logins]. Without a request (a command, a test) nothing is slowed.

    It has the last word: no other backend is asked about what it refuses. Rights are those of Note [One policy]: what
    was granted on everything counts in the admin as Django's own permissions do.
    """

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        kept: set[str] | None = getattr(user_obj, "_perm_cache", None)
        if kept is None:
            held = None if user_obj.is_superuser else grants.held_by_user(user_obj)
            kept = set(every_permission()) if held is None or held.everything else set(held.everywhere)
            # Where Django's own backend, which is asked next, keeps what it found: it then asks nothing.
            user_obj._perm_cache = kept
        return kept

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


@cache
def every_permission() -> frozenset[str]:
    """All that there are: those of the tables, and those that apps declare."""
    found = {one.name for one in declared()}
    for model in apps.get_models():
        label, name = model._meta.app_label, model._meta.model_name
        found |= {f"{label}.{verb}_{name}" for verb in model._meta.default_permissions}
        found |= {f"{label}.{codename}" for codename, _ in model._meta.permissions}
    return frozenset(found)
