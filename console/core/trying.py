"""A case that somebody types in to try a decision table: from the fields of a form to facts. Plain Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from workflows.core.tables import values
from workflows.core.tables.columns import Input
from workflows.core.tables.values import Kind

_PLAIN = (Kind.DATE, Kind.TIME, Kind.DATE_TIME, Kind.DAYS, Kind.MONTHS, Kind.STRING)


@dataclass(frozen=True, slots=True)
class Asked:
    """A field for an input. choices: all that may be said; (): anything. given: what was said. fault: what is wrong."""

    key: str
    name: str
    hint: str
    choices: Sequence[str]
    given: str
    fault: str = ""


def fields(inputs: Sequence[Input], said: Mapping[str, str], faults: Mapping[str, str]) -> list[Asked]:
    """faults: by the input's name."""
    return [
        Asked(f"t{at}", one.name, _hint(one), _choices(one), said.get(f"t{at}", ""), faults.get(one.name, ""))
        for at, one in enumerate(inputs)
    ]


def _hint(one: Input) -> str:
    kind = {Kind.LIST: "list, as JSON", Kind.CONTEXT: "object, as JSON", None: "any, as JSON"}.get(one.kind, one.kind)
    whole = "whole number" if one.whole else str(kind)
    return f"{whole}, may be empty" if one.optional else whole


def _choices(one: Input) -> tuple[str, ...]:
    if one.kind is Kind.BOOLEAN:
        return ("true", "false")
    if one.kind is Kind.STRING and one.allowed and all(isinstance(value, str) for value in one.allowed):
        return tuple(one.allowed)
    return ()


def facts(inputs: Sequence[Input], said: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """(the facts, what cannot be read by the input's name). An empty field is a fact that is not known."""
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for at, one in enumerate(inputs):
        try:
            value = _value(one, said.get(f"t{at}", ""))
        except (ValueError, ArithmeticError):
            faults[one.name] = f"cannot be read as a {one.kind or 'value of JSON'}"
            continue
        inner = found
        for name in one.path[:-1]:
            inner = inner.setdefault(name, {}) if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner[one.path[-1]] = value
    return found, faults


def _value(one: Input, text: str) -> Any:
    if not text.strip():
        return None
    if one.kind in _PLAIN:
        return text if one.kind is Kind.STRING else text.strip()
    if one.kind is Kind.NUMBER:
        return values.number(text.strip())
    if one.kind is Kind.BOOLEAN:
        if text.strip() not in ("true", "false"):
            raise ValueError(text)
        return text.strip() == "true"
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if one.kind is None:
            return text
        raise
