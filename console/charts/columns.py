"""Counts by the hour, as columns."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDE, HIGH = 240, 28


def columns(counts: Sequence[int], *, label: str) -> SafeString:
    """A column for each count, from 0 to the largest; what is not 0 can be seen, however small it is."""
    most, step = max(counts, default=0) or 1, WIDE / max(1, len(counts))
    tops = [(number, min(HIGH - 2.0, HIGH - count / most * (HIGH - 2))) for number, count in enumerate(counts) if count]
    shapes = "".join(f"M{number * step + 1:.1f} {HIGH}V{top:.1f}h{step - 2:.1f}V{HIGH}z" for number, top in tops)
    return format_html(
        '<svg class="columns-of" width="100%" height="{0}" viewBox="0 0 {1} {0}" preserveAspectRatio="none" role="img"'
        ' aria-label="{2}"><path class="floor" d="M0 {0}h{1}"/><path class="count" d="{3}"/></svg>',
        HIGH,
        WIDE,
        label,
        shapes,
    )
