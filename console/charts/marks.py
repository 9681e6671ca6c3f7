"""Icons of states and severities: a shape for each, so that none is told by its colour alone."""

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

_SHAPES = {
    # a filled disc with a tick
    "ok": '<circle cx="8" cy="8" r="7"/><path class="ink" d="m4.8 8.2 2.2 2.2 4.2-4.6"/>',
    # a triangle
    "degraded": '<path d="M8 1.2 15.4 14.4H.6z"/><path class="ink" d="M8 6v4M8 12v.6"/>',
    # a square with a cross
    "down": '<rect x="1" y="1" width="14" height="14" rx="2"/><path class="ink" d="m5 5 6 6M11 5l-6 6"/>',
    # an empty disc with a question mark
    "unknown": '<circle class="hollow" cx="8" cy="8" r="6.6"/>'
    '<path class="line" d="M6 6.4c0-2.6 4-2.6 4-.1 0 1.6-2 1.5-2 3.2M8 11.6v.6"/>',
    # an hourglass
    "pending": '<path class="line" d="M4 2h8M4 14h8M5 2c0 4 6 5 6 12M11 2c0 4-6 5-6 12"/>',
    "resolved": '<circle class="hollow" cx="8" cy="8" r="6.6"/><path class="line" d="m4.8 8.2 2.2 2.2 4.2-4.6"/>',
}
_LIKE = {"page": "down", "ticket": "degraded", "firing": "down"}


def icon(state: str) -> SafeString:
    """An icon for what stands beside it as a word: readers of the screen skip it."""
    shape = _SHAPES.get(_LIKE.get(state, state), _SHAPES["unknown"])
    return format_html(
        '<svg class="icon is-{}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">{}'
        "</svg>",
        _LIKE.get(state, state),
        mark_safe(shape),  # noqa: S308  # nosec B308 B703  (from above)
    )
