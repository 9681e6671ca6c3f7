"""The format of a profile, as a JSON Schema. What it cannot say is checked in `checking`."""

from typing import Any, Final

FORMAT: Final = 1
#: a string that begins so has to be replaced before the profile can be used
MARKER: Final = "FILL IN"
#: requests per second at the peak, seconds in all, and requests in all: what one process can send and remember
MOST_RATE, MOST_SECONDS, MOST_REQUESTS = 5_000, 86_400, 5_000_000
#: requests of `requests`, of `before`, and of what follows one
MOST_BEGUN, MOST_BEFORE, MOST_FOLLOWING = 200, 50, 10
#: seconds between two polls: a session may poll as long as it likes
LEAST_EVERY: Final = 0.05
READS: Final = ("GET",)
METHODS: Final = (*READS, "POST", "PUT", "PATCH", "DELETE")
#: headers that a request may have; the client sends the others
HEADERS: Final = ("Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer")
#: names of drawn and kept values
NAME: Final = "^[a-z][a-z0-9_]{0,62}$"

_HOST: Final = r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$"
_TITLE: Final = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,62}$"}
#: the highest minute of a recorded day is at most 1,440 times its mean
_FACTOR: Final = {"type": "number", "minimum": 0, "maximum": 2_000}
_MILLISECONDS: Final = {"type": "number", "exclusiveMinimum": 0, "maximum": 600_000}
_SECONDS: Final = {"type": "number", "exclusiveMinimum": 0, "maximum": 3_600}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


_THRESHOLDS = _object(
    {
        **dict.fromkeys(("mean", "p50", "p95", "p99"), _MILLISECONDS),
        "errors": {"type": "number", "minimum": 0, "maximum": 100},
    }
)
_STATUS = {"type": "integer", "minimum": 200, "maximum": 599}
_ASKED: dict[str, Any] = {
    "name": _TITLE,
    "method": {"enum": list(METHODS)},
    "path": {"type": "string", "minLength": 1, "maxLength": 2_000},
    "headers": _object({name: {"type": "string", "minLength": 1, "maxLength": 500} for name in HEADERS}),
    "body": True,
    "expect": {"type": "array", "items": _STATUS, "minItems": 1, "maxItems": 20},
    "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 300},
    "keep": {
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "maxProperties": 20,
        "additionalProperties": {"type": "string", "maxLength": 200, "pattern": "^[^.]+(\\.[^.]+)*$"},
    },
}
_VALUES = {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "minItems": 1, "maxItems": 50}
_POLL = _object(
    {
        "every": {"type": "number", "minimum": LEAST_EVERY, "maximum": 3_600},
        "within": _SECONDS,
        "field": {"type": "string", "minLength": 1, "maxLength": 200},
        "until": _VALUES,
        "wrong": _VALUES,
        "thresholds": _THRESHOLDS,
    },
    *("every", "within", "field", "until"),
)
_FOLLOWING = _object(
    {**_ASKED, "thresholds": _THRESHOLDS, "after": {**_SECONDS, "minimum": 0, "exclusiveMinimum": -1}, "poll": _POLL},
    *("name", "method", "path"),
)
_REQUEST = _object(
    {
        **_ASKED,
        "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
        "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_RATE},
        "thresholds": _THRESHOLDS,
        "then": {"type": "array", "items": _FOLLOWING, "minItems": 1, "maxItems": MOST_FOLLOWING},
    },
    *("name", "method", "path"),
)
_PHASE = _object(
    {
        "name": _TITLE,
        "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_SECONDS},
        "factor": _FACTOR,
        "from": _FACTOR,
        "to": _FACTOR,
    },
    "seconds",
)
_WEIGHT = {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}
_DRAWN = _object(
    {
        "one_of": {"type": "array", "minItems": 1, "maxItems": 10_000},
        "weights": {"type": "array", "items": _WEIGHT, "maxItems": 10_000},
        "from": {"type": "number", "minimum": -1e15, "maximum": 1e15},
        "to": {"type": "number", "minimum": -1e15, "maximum": 1e15},
        "decimals": {"type": "integer", "minimum": 0, "maximum": 9},
        "unique": {"type": "string", "pattern": "^[A-Za-z0-9._-]{0,100}$"},
    }
)

DOCUMENT: Final[dict[str, Any]] = _object(
    {
        "format": {"const": FORMAT},
        "about": {"type": "string", "maxLength": 2_000},
        "host": {"type": "string", "maxLength": 260, "pattern": _HOST},
        "writes": {"type": "boolean"},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**31},
        "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_RATE},
        "arrivals": {"enum": ["random", "even"]},
        "in_flight": {"type": "integer", "minimum": 1, "maximum": 10_000},
        "phases": {"type": "array", "items": _PHASE, "minItems": 1, "maxItems": 100},
        "values": {
            "type": "object",
            "propertyNames": {"pattern": NAME},
            "maxProperties": 200,
            "additionalProperties": _DRAWN,
        },
        "before": {
            "type": "array",
            "items": _object(_ASKED, "name", "method", "path", "keep"),
            "maxItems": MOST_BEFORE,
        },
        "requests": {"type": "array", "items": _REQUEST, "minItems": 1, "maxItems": MOST_BEGUN},
        "thresholds": _THRESHOLDS,
    },
    *("format", "phases", "requests"),
)
