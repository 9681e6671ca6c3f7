"""What the console's templates need."""

from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import assets
from console.charts import marks, units
from console.viewers import may as viewer_may
from console.viewers import reach

register = template.Library()


@register.simple_tag
def asset(name: str) -> str:
    return assets.address(name)


@register.simple_tag
def icon(state: str) -> SafeString:
    return marks.icon(state)


#: kinds of things that who has the permission in their space may change here
_CHANGED_IN_SPACES = frozenset({"approval", "clock"})


@register.simple_tag(takes_context=True)
def may(context: Any, permission: str) -> bool:
    """Whether the viewer has it: everywhere, or, on the page of a thing of a space, in a space. (The target of a form
    looks at whose space it is.)"""
    viewer = context.get("viewer")
    if viewer is None or viewer_may(viewer, permission):
        return viewer is not None
    return context.get("of") in _CHANGED_IN_SPACES and bool(reach(viewer, permission))


@register.filter
def moment(at: Any) -> SafeString | str:
    """A moment in UTC; a number is seconds since the epoch."""
    if at in (None, ""):
        return units.UNKNOWN
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if isinstance(at, int | float):
        at = datetime.fromtimestamp(at, UTC)
    at = at.astimezone(UTC)
    text = at.strftime("%Y-%m-%d %H:%M:%S")
    return format_html('<time datetime="{}Z">{}</time>', at.strftime("%Y-%m-%dT%H:%M:%S"), text)


@register.filter
def number(value: float | None) -> str:
    return units.number(value)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    return mapping.get(key) if mapping else None


@register.filter
def grouped(value: int) -> str:
    return f"{value:,}"
