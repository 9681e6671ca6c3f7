"""Whether a caller may do what it asks for: asked by Django REST framework, before each view.

Apart from `permissions`, which every process loads: only web processes need that framework.
"""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .permissions import rule_of
from .policy import decide, refusal
from .principals import Principal
from .spaces import LISTS, need

if TYPE_CHECKING:
    # It imports this module, as the settings say.
    from rest_framework.views import APIView


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
