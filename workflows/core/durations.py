"""Durations as people write them: `500ms`, `10s`, `4h`, `1h30m`, `2d`, or a number of seconds."""

import math
import re

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = r"[0-9]{1,9}(?:\.[0-9]{1,6})?"
#: the JSON Schema pattern of a duration: units in falling order, each at most once
PATTERN = rf"^(?:{_PART}d)?(?:{_PART}h)?(?:{_PART}m)?(?:{_PART}s)?(?:{_PART}ms)?$"
_FORM = re.compile(rf"(?:({_PART})d)?(?:({_PART})h)?(?:({_PART})m)?(?:({_PART})s)?(?:({_PART})ms)?", re.ASCII)

#: bounds of a duration in a definition, and the message beyond them
MIN_SECONDS, MAX_SECONDS = 0.001, 3660 * 86_400.0
OUT_OF_BOUNDS = "a duration must be at least 1ms and at most ten years"


class NotADuration(ValueError):
    """Write a duration such as 500ms, 10s, 4h or 1h30m, or a number of seconds."""


def parse_duration(value: object) -> float:
    """`value` in seconds, finite and not negative; raises NotADuration."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value) and value >= 0:
            return float(value)
    elif isinstance(value, str):
        match = _FORM.fullmatch(value.strip())
        if match and any(match.groups()):
            parts = zip(match.groups(), _UNITS.values(), strict=True)
            return sum(float(amount) * unit for amount, unit in parts if amount)
    raise NotADuration(f"{value!r} is not a duration: write 500ms, 10s, 4h or 1h30m, or a number of seconds")
