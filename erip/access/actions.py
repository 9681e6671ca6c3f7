"""What an action needs, however it is named: a permission, or a request such as `POST /api/v1/runs/{id}/cancel`."""

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from erip.foundation.errors import EripError

from .catalog import is_declared
from .permissions import rule_of
from .rules import Rule

_METHODS = ("get", "post", "put", "patch", "delete")


class UnknownAction(EripError):
    """There is no such permission or operation. Write `app.permission`, or a method and an address."""

    code = "unknown_action"
    status = 404


def operations() -> Iterator[tuple[str, str, Any, Rule]]:
    """Every operation of the API: its method, its address as in the OpenAPI document, the view and its rule; those that
    say what they need."""
    for address, pattern in _patterns(get_resolver(), ""):
        view = getattr(pattern.callback, "view_class", None)
        for method in _METHODS:
            handler = getattr(view, method, None)
            if handler is not None and hasattr(handler, "rule"):
                yield method.upper(), address, view, rule_of(view, method)


def needs_of(action: str) -> tuple[str, ...]:
    """The permissions that an action needs. Raises UnknownAction."""
    if is_declared(action):
        return (action,)
    method, _, address = action.partition(" ")
    wanted = [part for part in address.partition("?")[0].split("/") if part]
    best: tuple[int, Rule] | None = None
    for known, template, _view, rule in operations():
        parts = [part for part in template.split("/") if part]
        if known != method.upper() or len(parts) != len(wanted):
            continue
        if all(_fits(part, given) for part, given in zip(parts, wanted, strict=True)):
            named = sum(part == given for part, given in zip(parts, wanted, strict=True))
            # `/runs/cancel` is an operation of its own, and not the run `cancel`.
            if best is None or named > best[0]:
                best = named, rule
    if best is None:
        raise UnknownAction
    return best[1].permissions


def _fits(part: str, given: str) -> bool:
    return part == given or "{" in part


def _patterns(resolver: URLResolver, before: str) -> Iterator[tuple[str, URLPattern]]:
    for each in resolver.url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            if each.app_name != "admin":
                yield from _patterns(each, route)
        else:
            yield "/" + re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", route), each
