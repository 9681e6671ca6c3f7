"""The format of `approval`."""

from typing import Any

from workflows.core.format import DURATION

#: seats of one quorum, roles of a list, rungs of a ladder
MAX_SEATS, MAX_ROLES, MAX_RUNGS = 20, 20, 20
ROLE = r"^[^\s,](?:[^\n\r\t,]{0,78}[^\s,])?$"

_ROLE: dict[str, Any] = {
    "type": "string",
    "pattern": ROLE,
    "title": "the name of a group of people",
}


def _roles(description: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": _ROLE,
        "minItems": 1,
        "maxItems": MAX_ROLES,
        "uniqueItems": True,
        "title": f"a list of 1 to {MAX_ROLES} different groups of people",
        "description": description,
    }


def _way_out(description: str) -> dict[str, Any]:
    return {"enum": ["fail", "continue"], "default": "fail", "title": "fail or continue", "description": description}


APPROVAL: dict[str, Any] = {
    "type": "object",
    "title": "an object with title and quorum",
    "description": "Go on when people have approved.",
    "required": ["title", "quorum"],
    "additionalProperties": False,
    "properties": {
        "title": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "title": "a text that may hold ${{ expressions }}",
            "description": "What is to be approved, in one line.",
        },
        "description": {
            "type": "string",
            "maxLength": 20_000,
            "title": "a text that may hold ${{ expressions }}",
            "description": "What approvers should know before they decide.",
        },
        "evidence": {
            "title": "a value whose strings may hold ${{ expressions }}",
            "description": "What approvers see, and what their votes are bound to.",
        },
        "form": {
            "type": "object",
            "title": "a JSON Schema",
            "description": "JSON Schema (2020-12) of the form that a vote fills in. References only within it.",
        },
        "quorum": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_ROLES,
            "title": f"a list of 1 to {MAX_ROLES} objects with role",
            "description": "How many people of which groups must approve. Each person counts once.",
            "items": {
                "type": "object",
                "title": "an object with role",
                "required": ["role"],
                "additionalProperties": False,
                "properties": {
                    "role": {**_ROLE, "description": "The group that they belong to."},
                    "count": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_SEATS,
                        "default": 1,
                        "title": f"a whole number from 1 to {MAX_SEATS}",
                        "description": "How many of them must approve.",
                    },
                },
            },
        },
        "veto": _roles(
            "Groups whose members can refuse for everybody. Default: each person who may vote can. With this list, "
            "only these can."
        ),
        "sla": {**DURATION, "description": "How long there is to decide; then it has expired, which never approves."},
        "on_expiry": _way_out("With sla: what becomes of the step. continue: its output has approved: false."),
        "on_refusal": _way_out("What becomes of the step if it is refused. continue: its output has approved: false."),
        "remind": {
            "type": "array",
            "items": DURATION,
            "minItems": 1,
            "maxItems": MAX_RUNGS,
            "title": f"a list of 1 to {MAX_RUNGS} durations",
            "description": "So long after the beginning, those who have not voted are reminded.",
        },
        "escalate": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_RUNGS,
            "title": f"a list of 1 to {MAX_RUNGS} objects with after and to",
            "description": "Whom to notify if nobody has decided so long after the beginning.",
            "items": {
                "type": "object",
                "title": "an object with after and to",
                "required": ["after", "to"],
                "additionalProperties": False,
                "properties": {
                    "after": {**DURATION, "description": "So long after the beginning."},
                    "to": {**_ROLE, "description": "The group that is notified."},
                },
            },
        },
    },
}

GUARDED_BY: dict[str, Any] = {
    "type": "string",
    "title": "the id of an approval step",
    "description": "Run only if that approval was given, and only with the input that was approved.",
}
