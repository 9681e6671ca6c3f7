"""What a caller must be allowed to do for each method of a view; `has_scope` asks whether it is."""

from collections.abc import Callable
from typing import Any, TypeVar

from .rules import NOBODY_ELSE, Rule
from .scopes import Scope

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
