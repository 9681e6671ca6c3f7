"""What is made from the declarations of settings: the page of the reference, and a JSON Schema."""

import json
from typing import Any

from erip.settings.declared import CALL, DECLARED, NUMBERS, Declared

_HEAD = """# Settings

Read from the environment. A secret `NAME` may stand in a file that `NAME_FILE` names; with `erip.settings.local` the
rest comes from `<state directory>/env`, which the local stack writes ([which source wins](../how-to/configuration.md)).
A value that is wrong stops the start, with every such value and its place named. An empty value is as good as none.

A new value takes effect when the process that reads it is restarted. *All at once*: stop all processes first, because
they must agree. *Each call*: a command reads it. All settings are there since 0.1.0, unless the row names a release.

This page is made by `manage.py settings reference`; a test compares them. `manage.py settings schema` prints a JSON
Schema.
"""


def reference() -> str:
    """docs/reference/settings.md"""
    sections: dict[str, list[Declared]] = {}
    for one in DECLARED.values():
        sections.setdefault(one.section, []).append(one)
    lines = [_HEAD]
    for section in sorted(sections):
        lines += [f"## {section}", "", "| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
        for one in sections[section]:
            default = f"`{one.default}`" if one.default else "none"
            lines.append(f"| `{one.name}` | {_type(one)} | {default} | {_about(one)} |")
        lines.append("")
    return "\n".join(lines)


def _type(one: Declared) -> str:
    """Such as `whole number, s, from 1 to 60`."""
    parts = [one.kind, one.unit, one.bounds]
    if one.choices:
        parts.append("one of " + ", ".join(f"`{each}`" for each in one.choices))
    return ", ".join(part for part in parts if part)


def _about(one: Declared) -> str:
    words = [one.about]
    if one.required and "Production has no default" not in one.about:
        words.append("Production has no default.")
    if one.secret:
        words.append("Secret." if one.by_file else "Secret, not by file.")
    if one.applies == CALL:
        words.append("*Each call.*")
    elif one.applies != "restart":
        words.append("*All at once.*")
    if one.since != "0.1.0":
        words.append(f"Since {one.since}.")
    return " ".join(words)


def schema() -> str:
    """A JSON Schema: an object with settings, as a JSON or YAML file of them has it."""
    properties: dict[str, Any] = {}
    for one in DECLARED.values():
        properties[one.name] = setting_schema(one)
        if one.by_file:
            properties[f"{one.name}_FILE"] = {
                "type": "string",
                "pattern": "^/",
                "description": f"A file that holds {one.name}.",
            }
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of ERIP",
        "type": "object",
        "properties": properties,
        # Both at once is a fault.
        "allOf": [{"not": {"required": [one.name, f"{one.name}_FILE"]}} for one in DECLARED.values() if one.by_file],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def setting_schema(one: Declared) -> dict[str, Any]:
    """What a JSON Schema says of one setting."""
    found: dict[str, Any] = {"description": one.about}
    if one.kind in NUMBERS:
        number: dict[str, Any] = {"type": "integer" if one.kind == "whole number" else "number"}
        for key, bound in (("minimum", one.least), ("exclusiveMinimum", one.above), ("maximum", one.most)):
            if bound is not None:
                number[key] = int(bound) if float(bound).is_integer() else bound
        digits = (
            "^[+-]?[0-9][0-9_]*$"
            if one.kind == "whole number"
            else r"^[+-]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][+-]?[0-9]+)?$"
        )
        found["anyOf"] = [number, {"type": "string", "pattern": digits}]
        if one.unit:
            found["x-unit"] = one.unit
    elif one.kind == "yes or no":
        found["anyOf"] = [
            {"type": "boolean"},
            {"type": "string", "pattern": "^(?i:true|yes|on|1|y|t|false|no|off|0|n|f)$"},
        ]
    elif one.choices:
        found["enum"] = list(one.choices)
    else:
        found["type"] = "string"
    if one.default:
        found["default"] = one.default
    if one.secret:
        found["writeOnly"] = True
    if one.applies != "restart":
        found["x-applies"] = one.applies
    return found
