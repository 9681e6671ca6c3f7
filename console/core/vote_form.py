"""The form that a vote fills in, as fields of a page: made of its JSON Schema, and read back.

Texts, numbers, choices, dates, and yes or no have fields of their own; what else a form may hold is typed as JSON. What
is left empty is not in the form. Whether it fits the schema is for `voting` to say.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from erip.foundation import json_values
from erip.foundation.faults import Fault

#: fields of a form; one with more is typed as JSON in one piece
MOST: Final = 40
#: characters of a text that is typed into one line
SHORT: Final = 200
LONGEST: Final = 20_000
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Field:
    """key: its name on the page; name: in the form. kind: `text`, `long`, `choice`, `yes`, `date`, `integer`, `number`
    or `json`. schema: what it may hold, where that is typed as JSON."""

    key: str
    name: str
    kind: str
    title: str
    required: bool = False
    choices: Sequence[str] = ()
    most: int = LONGEST
    schema: str = ""


def fields(schema: Mapping[str, Any] | None) -> list[Field]:
    """The fields of a form; none: there is no form, or it is typed as JSON in one piece."""
    properties = (schema or {}).get("properties")
    if schema is None or schema.get("type") != "object" or not isinstance(properties, Mapping):
        return []
    if not 0 < len(properties) <= MOST or any(
        key in schema for key in ("oneOf", "anyOf", "allOf", "if", "$ref", "not")
    ):
        return []
    required = schema.get("required", ())
    return [_field(number, name, what, name in required) for number, (name, what) in enumerate(properties.items())]


def _field(number: int, name: str, what: Any, required: bool) -> Field:
    key, about = f"field-{number}", what if isinstance(what, Mapping) else {}
    called = about.get("title")
    title: str = called if isinstance(called, str) else name.replace("_", " ").strip() or name
    type_ = about.get("type")
    if isinstance(type_, list):
        type_ = next((one for one in type_ if one != "null"), None)
    choices = about.get("enum")
    if isinstance(choices, list):
        texts = [one for one in choices if isinstance(one, str) and one]
        if texts and len(texts) == sum(one is not None for one in choices):
            return Field(key, name, "choice", title, required, texts)
    elif type_ == "string":
        most = about.get("maxLength")
        most = min(most, LONGEST) if isinstance(most, int) else LONGEST
        kind = "date" if about.get("format") == "date" else "text" if most <= SHORT else "long"
        return Field(key, name, kind, title, required, most=most)
    elif type_ in ("integer", "number"):
        return Field(key, name, type_, title, required, most=40)
    elif type_ == "boolean":
        return Field(key, name, "yes", title, required)
    schema = orjson.dumps(what, option=orjson.OPT_INDENT_2).decode()
    return Field(key, name, "json", title, required, schema=schema)


def read(some: Sequence[Field], given: Mapping[str, str]) -> tuple[dict[str, Any], list[Fault]]:
    """The form that was filled in, and what of it cannot be read."""
    form: dict[str, Any] = {}
    faults: list[Fault] = []
    for one in some:
        text = given.get(one.key, "").replace("\r\n", "\n")
        if not text.strip():
            continue
        try:
            form[one.name] = _read(one, text)
        except ValueError as error:
            faults.append(Fault(f"form.{one.name}", str(error)))
    return form, faults


def _read(field: Field, text: str) -> Any:
    """Raises ValueError."""
    if field.kind == "integer":
        if not _WHOLE.fullmatch(text.strip()):
            raise ValueError("is no whole number of at most 15 digits")
        return int(text)
    if field.kind == "number":
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError("is no number")
        return number
    if field.kind == "yes":
        if text not in ("true", "false"):
            raise ValueError("must be true or false")
        return text == "true"
    if field.kind == "json":
        try:
            return json_values.read(text)
        except json_values.NotJson as error:
            raise ValueError(f"is {error}") from error
        except json_values.NotAValue as error:
            raise ValueError("; ".join(str(fault) for fault in error.faults)) from error
    return text
