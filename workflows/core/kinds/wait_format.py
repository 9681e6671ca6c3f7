"""The format of `wait`: for, until, signal, and several of them."""

from typing import Any

from workflows.core.format import DURATION, SIGNAL_NAME

#: parts of one `any` or `all`
MAX_PARTS = 16
#: a wait has exactly one of these
WAYS = ("for", "until", "signal", "any", "all")
#: a part of `any` or `all` has exactly one of these
WAYS_OF_A_PART = ("for", "until", "signal")
#: these go only with one of those
GO_WITH = {"schema": ("signal",), "timeout": ("signal", "any", "all"), "on_timeout": ("signal", "any", "all")}

_PART: dict[str, Any] = {
    "type": "object",
    "title": "an object with for, until or signal",
    "additionalProperties": False,
    "properties": {
        "for": {
            "title": "a duration (10m, 4h, a number of seconds), or a text that holds ${{ expressions }}",
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "minLength": 1, "maxLength": 2000}],
            "description": "Go on so long after the steps that this one needs have ended.",
        },
        "until": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "title": "a moment with its time zone, or a text that holds ${{ expressions }}",
            "description": "Go on at this moment, such as 2026-11-30T12:00:00Z; at once if it has passed.",
        },
        "signal": {
            "type": "string",
            "pattern": SIGNAL_NAME,
            "title": "the name of a signal (a lower-case letter, then letters, digits, _, . and -, at most 63)",
            "description": "Go on when this signal is sent to the run; one that came earlier counts.",
        },
        "schema": {
            "type": "object",
            "title": "a JSON Schema",
            "description": "With signal: JSON Schema (2020-12) of its payload. References only within it.",
        },
    },
}


def _parts(description: str) -> dict[str, Any]:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_PARTS,
        "items": _PART,
        "title": f"a list of 1 to {MAX_PARTS} objects with for, until or signal",
        "description": description,
    }


WAIT: dict[str, Any] = {
    **_PART,
    "title": "an object with for, until, signal, any or all",
    "description": "Go on after a while, at a moment, when a signal comes, or at the first or the last of several.",
    "properties": {
        **_PART["properties"],
        "any": _parts("Go on at the first of these signals and times."),
        "all": _parts("Go on when all of these signals and times have come."),
        "timeout": {**DURATION, "description": "With signal, any or all: how long to wait. Default: no limit."},
        "on_timeout": {
            "enum": ["fail", "continue"],
            "default": "fail",
            "title": "fail or continue",
            "description": "With timeout: what becomes of the step. continue: its output has timed_out: true.",
        },
    },
}
