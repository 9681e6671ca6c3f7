"""The definition format as a JSON Schema; served at /api/v1/schemas/workflow, so that editors can check as one types.

`title`s are worded to complete "… is not", because the checks put them into their messages.
"""

from typing import Any

from workflows.core.durations import PATTERN

LANES = ("critical", "high", "standard", "bulk")
DEFAULT_LANE = "standard"
MAX_STEPS = 200
#: rules of `on`
MAX_RULES = 50
#: items of one fan-out
MAX_ITEMS = 10_000
DEFAULT_MAX_PARALLEL = 100
STEP_ID = r"^[a-z][a-z0-9_]{0,62}$"

_DURATION: dict[str, Any] = {
    "title": "a duration (500ms, 10s, 4h, 1h30m, or a number of seconds)",
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "minLength": 2, "maxLength": 64, "pattern": PATTERN},
    ],
}

_RETRY: dict[str, Any] = {
    "type": "object",
    "title": "an object with max_attempts, backoff, factor, max_delay",
    "description": "Attempts, and the rest in between: backoff * factor^(attempt-1), at most max_delay.",
    "additionalProperties": False,
    "properties": {
        "max_attempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "title": "a number of attempts from 1 to 100",
            "description": "Attempts in all; 1 is never try again.",
        },
        "backoff": {**_DURATION, "description": "Rest before the second attempt."},
        "factor": {"type": "number", "minimum": 1, "maximum": 100, "title": "a factor from 1 to 100"},
        "max_delay": {**_DURATION, "description": "The longest rest."},
    },
}

_STEP: dict[str, Any] = {
    "type": "object",
    "title": "an object with uses",
    "required": ["uses"],
    "additionalProperties": False,
    "properties": {
        "uses": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "title": "the name of a registered step",
            "description": "Name of the registered step that does the work, such as nexus.enrich_threat.",
        },
        "needs": {
            "title": "a list of different step ids",
            "description": "Steps that must end before this one starts. None: it starts at once.",
            "type": "array",
            "items": {"type": "string", "title": "a step id"},
            "uniqueItems": True,
            "maxItems": MAX_STEPS,
        },
        "with": {
            "type": ["object", "string"],
            "title": "an object, or one ${{ expression }} that gives an object",
            "description": "The step's input; strings may hold ${{ expressions }}.",
        },
        "if": {
            "type": ["string", "boolean"],
            "title": "an expression",
            "description": "An expression that gives true (run) or false (skip).",
        },
        "foreach": {
            "type": ["string", "array"],
            "maxItems": MAX_ITEMS,
            "title": "a list, or one ${{ expression }} that gives a list",
            "description": "Do the step once for each item; its `with` may read item and index. At most 10,000 items.",
        },
        "max_parallel": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_ITEMS,
            "default": DEFAULT_MAX_PARALLEL,
            "title": "a number of items from 1 to 10,000",
            "description": "With foreach: how many items may be under way at once.",
        },
        "tolerated_failures": {
            "title": "a number of items, or a share of them from 0% to 100%",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_ITEMS},
                {"type": "string", "pattern": r"^(100|[0-9]{1,2}(\.[0-9]{1,3})?)%$"},
            ],
            "default": 0,
            "description": "With foreach: how many items may fail and the step still succeeds, as 3 or 5%.",
        },
        "essential": {
            "type": "boolean",
            "title": "true or false",
            "default": True,
            "description": "false: runs after the run's outcome is known, and its failure never fails the run.",
        },
        "timeout": {**_DURATION, "description": "How long one attempt may take. Default: that of the registered step."},
        "retry": _RETRY,
        "idempotent": {
            "type": "boolean",
            "title": "true or false",
            "description": "false: never blindly run again after an unknown outcome. May only tighten the step's own.",
        },
    },
}

RULE: dict[str, Any] = {
    "type": "object",
    "title": "an object with event",
    "required": ["event"],
    "additionalProperties": False,
    "properties": {
        "event": {
            "type": "string",
            "pattern": r"^[^\s*]+(\.\*)?$",
            "maxLength": 250,
            "title": "a type of events, or the beginning of types with .* behind it",
            "description": "Type of the events, such as nexus.threat.detected; atlas.vulnerability.* is all below it.",
        },
        "source": {
            "type": "string",
            "pattern": r"^[^\s*]+\*?$",
            "maxLength": 1000,
            "title": "a source, or the beginning of sources with * behind it",
            "description": "Only events from this source. Default: from any.",
        },
        "if": {
            "type": ["string", "boolean"],
            "title": "an expression",
            "description": "An expression over `event` that gives true or false. Default: true.",
        },
        "action": {
            "enum": ["start", "drop", "signal"],
            "default": "start",
            "title": "an action: start or drop",
            "description": "start: start a run. drop: start none, and ask no further rule. signal: reserved.",
        },
        "input": {
            "type": ["object", "string"],
            "title": "an object, or one ${{ expression }} that gives an object",
            "description": "The run's input; strings may hold ${{ expressions }} over `event`.",
        },
        "business_key": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "title": "a text that may hold ${{ expressions }}",
            "description": "The run's business key, and what dedupe and debounce tell cases apart by.",
        },
        "lane": {
            "enum": list(LANES),
            "title": "a lane: critical, high, standard or bulk",
            "description": "How urgent the run is. Default: the definition's lane.",
        },
        "deadline": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "title": "a moment or a date, or a text that holds ${{ expressions }}",
            "description": "When the run is given up, in place of the definition's timeout, if it is still to come.",
        },
        "dedupe": {**_DURATION, "description": "Start nothing more for the same business key so long after a start."},
        "debounce": {**_DURATION, "description": "Start once, and no more until no event has come for so long."},
        "signal": {"title": "reserved", "description": "Reserved for signals to waiting runs."},
    },
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "an ERIP workflow definition",
    "type": "object",
    "required": ["name", "steps"],
    "additionalProperties": False,
    "properties": {
        "name": {
            "type": "string",
            "pattern": r"^[a-z][a-z0-9-]{0,62}$",
            "title": "a workflow name (a lower-case letter, then letters, digits and -, at most 63)",
        },
        "description": {"type": "string", "maxLength": 4000, "title": "a text of at most 4,000 characters"},
        "lane": {
            "enum": list(LANES),
            "default": DEFAULT_LANE,
            "title": "a lane: critical, high, standard or bulk",
            "description": "How urgent runs are, unless a run says otherwise.",
        },
        "timeout": {**_DURATION, "description": "How long a run may take in all. Default: no limit."},
        "input": {
            "type": "object",
            "title": "a JSON Schema",
            "description": "JSON Schema (2020-12) of the run's input. References only within it.",
        },
        "on": {
            "type": ["array", "object"],
            "title": "a rule, or a list of rules",
            "description": "Events that start runs. The first rule that matches an event decides.",
            "maxItems": MAX_RULES,
            "if": {"type": "array"},
            "then": {"items": RULE},
            "else": {"if": {"type": "object"}, "then": RULE},
        },
        "steps": {
            "type": "object",
            "title": "an object of steps by id",
            "minProperties": 1,
            "maxProperties": MAX_STEPS,
            "patternProperties": {STEP_ID: _STEP},
            "additionalProperties": False,
        },
        "output": {
            "title": "a value whose strings may hold ${{ expressions }}",
            "description": "The run's output.",
        },
    },
}
