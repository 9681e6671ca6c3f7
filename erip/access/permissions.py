"""Whether a caller's scope is enough for what it asks."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .principals import Principal
from .scopes import Scope

if TYPE_CHECKING:
    # Which imports this module, as the settings say.
    from rest_framework.views import APIView

Handler = TypeVar("Handler", bound=Callable[..., Any])


def requires(scope: Scope) -> Callable[[Handler], Handler]:
    """Mark a view's method with the scope that it needs. One that is not marked needs `admin`."""

    def mark(handler: Handler) -> Handler:
        handler.scope = scope  # type: ignore[attr-defined]
        return handler

    return mark


class HasScope(BasePermission):
    """The caller is known, and its scope includes the one that the view's method is marked with."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        principal = request.user
        if not isinstance(principal, Principal):
            return False
        handler = getattr(view, (request.method or "").lower(), None)
        if handler is None:
            return True  # answered with 405
        required: Scope = getattr(handler, "scope", Scope.ADMIN)
        if principal.scope.includes(required):
            return True
        self.message = f'This needs the scope "{required}"; the caller has "{principal.scope}".'
        return False
