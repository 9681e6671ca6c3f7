"""Whether a caller may do what it asks for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .principals import Principal
from .rules import NOBODY_ELSE, Rule, register
from .scopes import Scope

if TYPE_CHECKING:
    # It imports this module, as the settings say.
    from rest_framework.views import APIView

Handler = TypeVar("Handler", bound=Callable[..., Any])


def requires(scope: Scope, *permissions: str) -> Callable[[Handler], Handler]:
    """Mark a view's method with what it needs: the scope of an API key, and all the permissions (`app.codename`) of a
    member of staff, the same that open its counterpart in the admin. A method that is not marked is open to keys of
    scope `admin` and to superusers alone.
    """
    rule = register(Rule(scope, permissions))

    def mark(handler: Handler) -> Handler:
        handler.rule = rule  # type: ignore[attr-defined]
        return handler

    return mark


def rule_of(view: Any, method: str) -> Rule:
    """What the view's method needs."""
    found: Rule = getattr(getattr(view, method.lower(), None), "rule", NOBODY_ELSE)
    return found


class HasScope(BasePermission):
    """The caller is known, and may do what the view's method is marked with."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        principal = request.user
        if not isinstance(principal, Principal):
            return False
        method = request.method or ""
        if getattr(view, method.lower(), None) is None:
            return True  # answered with 405
        refusal = principal.refusal(rule_of(view, method))
        if refusal is None:
            return True
        self.message = refusal
        return False
