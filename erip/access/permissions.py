"""Whether a caller may do what it asks for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .policy import decide, refusal
from .principals import Principal
from .rules import NOBODY_ELSE, Rule
from .scopes import Scope
from .spaces import LISTS, need

if TYPE_CHECKING:
    # It imports this module, as the settings say.
    from rest_framework.views import APIView

Handler = TypeVar("Handler", bound=Callable[..., Any])


def requires(scope: Scope, *permissions: str) -> Callable[[Handler], Handler]:
    """Mark a view's method with what it needs: all of these permissions (`app.codename`), the same that open its
    counterpart in the admin. scope: the smallest scope of an API key that has them. A method that is not marked is open
    to those alone who may do everything.
    """
    rule = Rule(scope, permissions)

    def mark(handler: Handler) -> Handler:
        handler.rule = rule  # type: ignore[attr-defined]
        return handler

    return mark


def rule_of(view: Any, method: str) -> Rule:
    """What the view's method needs."""
    found: Rule = getattr(getattr(view, method.lower(), None), "rule", NOBODY_ELSE)
    return found


class HasScope(BasePermission):
    """The caller is known, and may do what the view's method is marked with.

    ask_view: it could not be decided on the light path, and Django's view is to be asked
    """

    ask_view = False

    def has_permission(self, request: Request, view: "APIView") -> bool:
        principal = request.user
        if not isinstance(principal, Principal):
            return False
        method = request.method or ""
        if getattr(view, method.lower(), None) is None:
            return True  # answered with 405
        decision = decide(principal, rule_of(view, method).permissions)
        if decision.allowed:
            return True
        about = getattr(getattr(view, method.lower()), "about", "")
        if decision.spaces and about:
            if not hasattr(view, "kwargs"):
                self.ask_view = True  # the light path does not know what the request is about
                return False
            return _in_space(request, view, about, decision.spaces)
        self.message = refusal(decision)
        return False


def _in_space(request: Request, view: "APIView", about: str, spaces: frozenset[str]) -> bool:
    """Whether the object is in one of the spaces. Raises the error of a missing object if it is elsewhere: Note
    [Spaces] in `spaces`."""
    # Also of what is about one object: its answer may list others.
    request.erip_spaces = spaces  # type: ignore[attr-defined]
    if about == LISTS:
        return True
    what, _, parameter = about.partition(":")
    need(what, str(view.kwargs[parameter]), spaces)
    return True
