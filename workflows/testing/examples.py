"""An example of a JSON Schema: the least that fits, in place of what a body would have given."""

from collections.abc import Mapping
from typing import Any

_TEXTS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "uri": "https://example.org/",
    "email": "somebody@example.org",
}
#: schemas within schemas
_DEPTH = 20


def example_of(schema: Mapping[str, Any]) -> Any:
    """What fits most schemas that models give; a schema with a pattern, say, may refuse it."""
    return _of(schema, schema, 0)


def _of(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return None
    if "$ref" in schema:
        found: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return _of(found, root, depth + 1)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _of(schema[key][0], root, depth + 1)
    kinds = schema.get("type", "object")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _of(properties.get(name), root, depth + 1) for name in schema.get("required", ())}
    if kind == "array":
        return [_of(schema.get("items"), root, depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    if kind == "string":
        return _TEXTS.get(schema.get("format", ""), "x" * schema.get("minLength", 1))
    return False if kind == "boolean" else None
