"""Tables in the form that CLEARANCE had of its own, until its tables became decision tables.

`workflows.library.migrations` rewrites what is stored by this; `fields` and `rows` are as they were checked when they
were published. Nothing else reads that form.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from workflows.core.tables import values

_KINDS: Final = {"number": "number", "integer": "integer", "flag": "boolean", "word": "string"}
_OUTPUTS: Final = {
    "level": "string",
    "urgency": "string",
    "sla_hours": "number",
    "approvers": "list",
    "reason": "string",
}


def as_document(former: Mapping[str, Any], *, description: str = "") -> dict[str, Any]:
    """The decision table, as `workflows.core.tables.document` reads it, that decides every case alike: the first row
    that matches decides, and a fact that is not known passes only the cells that ask nothing."""
    fields = former["fields"]
    rules = []
    for row in former["rows"]:
        when = {name: _cell(fields[name], condition) for name, condition in row.get("when", {}).items()}
        rules.append({"id": row["id"], **({"when": when} if when else {}), "then": _then(row["then"])})
    document: dict[str, Any] = {"description": description} if description else {}
    return document | {
        "inputs": [_input(name, field) for name, field in fields.items()],
        "outputs": [{"name": name, "type": kind} for name, kind in _OUTPUTS.items()],
        "hit_policy": "FIRST",
        "rules": rules,
    }


def _input(name: str, field: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "type": _KINDS[field["type"]]}
    if field["type"] == "word":
        found["values"] = list(field["values"])
    elif field.get("min") is not None:
        found["values"] = f">= {values.written(field['min'])}"
    return found | {"optional": True}


def _then(then: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "level": values.written(then["level"]),
        "urgency": values.written(then["urgency"]),
        "sla_hours": then["sla_hours"],
        "approvers": values.written(list(then.get("approvers", []))),
        "reason": values.written(then.get("reason", "")),
    }


def _cell(field: Mapping[str, Any], condition: Any) -> Any:
    if field["type"] == "flag":
        return condition
    if field["type"] == "word":
        return _words(field["values"], condition)
    return _numbers(condition)


def _words(listed: Sequence[str], condition: Any) -> str:
    if isinstance(condition, str):
        return values.written(condition)
    low = listed.index(condition["at_least"]) if "at_least" in condition else 0
    high = listed.index(condition["at_most"]) if "at_most" in condition else len(listed)
    fit = [word for at, word in enumerate(listed) if low <= at <= high and word in condition.get("in", listed)]
    return ", ".join(values.written(word) for word in fit)


def _numbers(condition: Mapping[str, Any]) -> str:
    """All of the comparisons in one test. That a number fulfils them was checked when they were published."""
    if "eq" in condition:
        return values.written(condition["eq"])
    # Of the same limit, the one that leaves it out is the tighter one.
    lows = [(condition[key], key == "gt") for key in ("gt", "gte") if key in condition]
    highs = [(-condition[key], key == "lt") for key in ("lt", "lte") if key in condition]
    low, high = max(lows, default=None), max(highs, default=None)
    if low is not None and high is not None:
        ends = f"{values.written(low[0])}..{values.written(-high[0])}"
        return f"{'(' if low[1] else '['}{ends}{')' if high[1] else ']'}"
    if low is not None:
        return f"{'>' if low[1] else '>='} {values.written(low[0])}"
    if high is not None:
        return f"{'<' if high[1] else '<='} {values.written(-high[0])}"
    return "-"
