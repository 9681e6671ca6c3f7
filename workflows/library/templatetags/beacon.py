"""How reports show amounts, moments and text."""

from datetime import UTC, datetime
from typing import Any

from django import template

from workflows.library.beacon.render import escape_markdown

register = template.Library()


@register.filter
def money(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


@register.filter
def percent(value: float | None) -> str:
    """A share as a percentage: 0.25 is 25 %."""
    return "-" if value is None else f"{100 * value:,.1f} %"


@register.filter
def moment(value: datetime | None) -> str:
    return "-" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


@register.filter
def is_web(url: str) -> bool:
    """Whether a link may lead there: a report is no place for `javascript:`."""
    return url.startswith(("https://", "http://"))


@register.filter
def md(value: Any) -> str:
    """For Markdown, whose templates are not autoescaped: every value that is not a number passes through here."""
    return escape_markdown(value)
