"""Words a violation of one of our own formats for its author, using the `title`s of the format."""

import difflib
from collections.abc import Iterable
from typing import Any

from erip.foundation.faults import Fault
from workflows.core.schema import Violation, place


def fault_of(violation: Violation, schema: dict[str, Any], *, at: str = "") -> Fault:
    """A violation of `schema`, its path under `at`."""
    title, subschema = "", schema
    for key in violation.schema_path[:-1]:
        step = subschema.get(str(key)) if isinstance(subschema, dict) else None
        subschema = step if isinstance(step, dict) else {}
        if "title" in subschema:
            title = str(subschema["title"])
    path, key = place(at, violation.location), violation.location[-1] if violation.location else ""
    if violation.keyword == "additionalProperties":
        if violation.location[:-1] == ("steps",):
            return Fault(path, "not a step id: a lower-case letter, then letters, digits and _, at most 63")
        known = subschema.get("properties", {})
        return Fault(path, f"unknown key{did_you_mean(str(key), known)}; known are {', '.join(known)}")
    if violation.keyword == "required":
        return Fault(path, "is required")
    if violation.keyword == "minProperties" and violation.location == ("steps",):
        return Fault(path, "at least one step is needed")
    if violation.keyword in ("minItems", "maxItems", "maxProperties", "uniqueItems", "maxLength"):
        return Fault(path, violation.message)
    return Fault(path, f"is not {title}" if title else violation.message)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "…"?)`, or nothing if no known key is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
