"""The format of `wait`: for, until, signal, and several of them."""

from typing import Any

from workflows.core.format import DURATION, SIGNAL_NAME

#: parts of one `any` or `all`
MAX_PARTS = 16
#: signals, times and conditions of one wait: what has come is written with its row
MAX_IN_ALL = 32
#: how deep groups stand in each other, the outermost counted
MAX_DEPTH = 3
#: a wait has exactly one of these
WAYS = ("for", "until", "signal", "any", "all")
#: a part of `any` or `all` has exactly one of these
WAYS_OF_A_PART = ("for", "until", "signal", "when", "any", "all")
#: these go only with one of those
GO_WITH = {"schema": ("signal",), "timeout": ("signal", "any", "all"), "on_timeout": ("signal", "any", "all")}

_PART: dict[str, Any] = {
    "type": "object",
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


_WHEN: dict[str, Any] = {
    "type": ["string", "boolean"],
    "minLength": 1,
    "maxLength": 2000,
    "title": "an expression",
    "description": "Go on once this expression over other steps gives true. It is decided again whenever something "
    "happens to the run.",
}


def _groups(depth: int) -> dict[str, Any]:
    """`any` and `all`, in which further ones stand up to a depth."""
    names = "for, until, signal, when, any or all" if depth > 1 else "for, until, signal or when"
    inner = _groups(depth - 1) if depth > 1 else {}
    parts: dict[str, Any] = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_PARTS,
        "items": {
            **_PART,
            "title": f"an object with {names}",
            "properties": {**_PART["properties"], "when": _WHEN, **inner},
        },
        "title": f"a list of 1 to {MAX_PARTS} objects with {names}",
    }
    return {
        "any": {**parts, "description": "Go on at the first of these."},
        "all": {**parts, "description": "Go on when all of these have come."},
    }


WAIT: dict[str, Any] = {
    **_PART,
    "title": "an object with for, until, signal, any or all",
    "description": "Go on after a while, at a moment, when a signal comes, or at the first or the last of several.",
    "properties": {
        **_PART["properties"],
        **_groups(MAX_DEPTH),
        "timeout": {**DURATION, "description": "With signal, any or all: how long to wait. Default: no limit."},
        "on_timeout": {
            "enum": ["fail", "continue"],
            "default": "fail",
            "title": "fail or continue",
            "description": "With timeout: what becomes of the step. continue: its output has timed_out: true.",
        },
    },
}
