"""The definition format as a JSON Schema; served at /api/v1/schemas/workflow, so that editors can check while an author
types.

`title`s are worded to complete "… is not", because the checks put them into their messages.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from workflows.core.durations import PATTERN
from workflows.core.kind import Kind

LANES = ("critical", "high", "standard", "bulk")
DEFAULT_LANE = "standard"
MAX_STEPS = 200
#: rules of `on`
MAX_RULES = 50
STEP_ID = r"^[a-z][a-z0-9_]{0,62}$"
SIGNAL_NAME = r"^[a-z][a-z0-9_.-]{0,62}$"
#: named deadlines of a definition
MAX_DEADLINES = 20
#: events that one run may be started with
MAX_GATHERED = 1_000

DURATION: dict[str, Any] = {
    "title": "a duration (500ms, 10s, 4h, 1h30m, or a number of seconds)",
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "minLength": 2, "maxLength": 64, "pattern": PATTERN},
    ],
}

#: keys of every step, whatever its kind
STEP_KEYS: dict[str, Any] = {
    "needs": {
        "title": "a list of different step ids",
        "description": "Steps that must end before this one starts. None: it starts at once.",
        "type": "array",
        "items": {"type": "string", "title": "a step id"},
        "uniqueItems": True,
        "maxItems": MAX_STEPS,
    },
    "if": {
        "type": ["string", "boolean"],
        "title": "an expression",
        "description": "An expression that gives true (run) or false (skip).",
    },
    "essential": {
        "type": "boolean",
        "title": "true or false",
        "default": True,
        "description": "false: runs after the run's outcome is known, and its failure never fails the run.",
    },
}

_CASE_KEY: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 2000,
    "title": "a text that may hold ${{ expressions }}",
    "description": "What tells cases apart. Default: the business key.",
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
            "title": "an action: start, drop or signal",
            "description": "start: start a run. drop: start none, and ask no further rule. signal: send a signal to a "
            "run.",
        },
        "input": {
            "type": ["object", "string"],
            "title": "an object, or one ${{ expression }} that gives an object",
            "description": "The run's input; strings may hold ${{ expressions }} over `event`, and over `count` and "
            "`events` where events are gathered.",
        },
        "business_key": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "title": "a text that may hold ${{ expressions }}",
            "description": "The run's business key, and what dedupe, debounce and collect tell cases apart by. With "
            "signal: the business key of the run that is given the signal.",
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
        "dedupe": {**DURATION, "description": "Start nothing more for the same business key so long after a start."},
        "debounce": {
            "title": "a duration, or an object with for and max",
            "description": "A duration: start at the first event, and no more until no event has come for so long. An "
            "object: start one run when no event has come for so long, with the last event.",
            "if": {"type": "object"},
            "then": {
                "required": ["for", "max"],
                "additionalProperties": False,
                "properties": {
                    "for": {**DURATION, "description": "The run starts when no event has come for so long."},
                    "max": {**DURATION, "description": "It starts so long after the first event at the latest."},
                    "key": _CASE_KEY,
                },
            },
            "else": DURATION,
        },
        "collect": {
            "type": "object",
            "title": "an object with for and max",
            "description": "Start one run with all events that come within a while.",
            "required": ["for", "max"],
            "additionalProperties": False,
            "properties": {
                "for": {**DURATION, "description": "The run starts so long after the first event."},
                "max": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_GATHERED,
                    "title": f"a whole number from 1 to {MAX_GATHERED:,}",
                    "description": "It starts at once with so many events.",
                },
                "each": {
                    "title": "a value whose strings may hold ${{ expressions }}",
                    "description": "What is kept of each event, and is an item of `events`. Default: the whole event.",
                },
                "key": _CASE_KEY,
            },
        },
        "signal": {
            "type": "string",
            "pattern": SIGNAL_NAME,
            "title": "a signal name (a lower-case letter, then letters, digits and _.-, at most 63)",
            "description": "With the action signal: the signal that the run is given.",
        },
        "payload": {
            "title": "a value whose strings may hold ${{ expressions }}",
            "description": "With the action signal: its payload. Default: the event's data.",
        },
        "run": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "title": "a text that may hold ${{ expressions }}",
            "description": "With the action signal, in place of business_key: the id of the run that is given it.",
        },
        "if_none": {
            "enum": ["dead_letter", "ignore"],
            "default": "dead_letter",
            "title": "dead_letter or ignore",
            "description": "With the action signal: what becomes of an event for which no run is under way, or wants "
            "the signal.",
        },
    },
}


def step_schema(kinds: Sequence[type[Kind]], default: type[Kind]) -> dict[str, Any]:
    """The format of one step, whatever its kind. default: the kind of a step without any kind's marker.

    The check reports keys that do not go together, because its messages are better.
    """
    keys = {key: schema for kind in (default, *kinds) for key, schema in kind.keys.items()}
    others = [kind for kind in kinds if not set(default.required) <= set(kind.required)]
    needed: dict[str, Any] = {"required": list(default.required)}
    for kind in others:
        needed = {
            "if": {"required": [kind.marker]},
            "then": {"required": list(kind.required)},
            "else": needed,
        }
    markers = " or ".join([default.marker, *(kind.marker for kind in others)])
    return {
        "type": "object",
        "title": f"an object with {markers}",
        **needed,
        "additionalProperties": False,
        "properties": {**keys, **STEP_KEYS},
    }


def definition_schema(
    kinds: Sequence[type[Kind]], default: type[Kind], more: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """The format of a definition whose steps may be of these kinds. more: keys that stand beside the steps."""
    step = step_schema(kinds, default)
    steps = {**_STEPS, "patternProperties": {STEP_ID: step}}
    return {**_DEFINITION, "properties": {**_DEFINITION["properties"], **more, "steps": steps}}


_STEPS: dict[str, Any] = {
    "title": "an object of steps by id",
    "type": "object",
    "minProperties": 1,
    "maxProperties": MAX_STEPS,
    "additionalProperties": False,
}

_DEFINITION: dict[str, Any] = {
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
        "timeout": {**DURATION, "description": "How long a run may take in all. Default: no limit."},
        "business_key": {
            "type": "object",
            "title": "an object with sensitive",
            "required": ["sensitive"],
            "additionalProperties": False,
            "properties": {
                "sensitive": {
                    "type": "boolean",
                    "title": "true or false",
                    "description": "true: runs are stored with a keyed hash of their business key. They are found by "
                    "the key, and show the hash.",
                }
            },
        },
        "retention": {
            "type": "object",
            "title": "an object with runs, sensitive or reports",
            "description": "How long what runs leave is kept, counted from their end. The newest version decides, also "
            "about runs of others. Default: as the site keeps it.",
            "additionalProperties": False,
            "properties": {
                "runs": {**DURATION, "description": "Runs, with their steps and events."},
                "sensitive": {**DURATION, "description": "What is sealed of them: the rest of the run stays."},
                "reports": {**DURATION, "description": "Reports, counted from when they were made."},
            },
        },
        "deadlines": {
            "type": "object",
            "title": "an object with a deadline for each name",
            "description": "Times by which steps must have ended, compared with the longest way when it is published.",
            "maxProperties": MAX_DEADLINES,
            "propertyNames": {"pattern": r"^[A-Za-z0-9_-]{1,60}$"},
            "additionalProperties": {
                "type": "object",
                "title": "an object with by",
                "required": ["by"],
                "additionalProperties": False,
                "properties": {
                    "by": {"type": "string", "title": "a step id", "description": "The step that must have ended."},
                    "within": {
                        **DURATION,
                        "description": "So long after the start. Default: the time that the obligation of this name "
                        "leaves.",
                    },
                },
            },
        },
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
        "steps": _STEPS,
        "output": {
            "title": "a value whose strings may hold ${{ expressions }}",
            "description": "The run's output.",
        },
    },
}
