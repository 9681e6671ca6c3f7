"""No schema and no value keeps a process busy: Note [Why schemas are guarded] in `core/schema_cost`."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.core import schema_cost
from workflows.core.compatibility import incompatibilities
from workflows.core.schema import Schema, SchemaInvalid
from workflows.core.schema_cost import BUDGET, TEXT_BUDGET, cost_of

SECONDS = 2.0


def doubling(inner: Any, last: Any = None, length: int = 40) -> dict[str, Any]:
    """Definitions that each hold the next one, as `inner` has it."""
    definitions = {f"d{i}": inner({"$ref": f"#/$defs/d{i + 1}"}) for i in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": last or {"type": "string"}}}


def dynamic(length: int = 40) -> dict[str, Any]:
    definitions = {
        f"d{i}": {"$dynamicAnchor": f"a{i}", "allOf": [{"$dynamicRef": f"#a{i + 1}"}] * 2} for i in range(length)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, "last": {"$dynamicAnchor": f"a{length}", "type": "string"}}}


def nested(container: Any, levels: int = 60, last: Any = "x") -> Any:
    for _ in range(levels):
        last = container(last)
    return last


def in_list(value: Any) -> Any:
    return [value]


def in_object(value: Any) -> Any:
    return {"a": value}


def pair(value: Any) -> Any:
    return {"a": value, "b": value}


OBJECT = {"type": "object", "properties": {"a": True}}
WIDE = {"properties": {f"a{i}": {"minimum": i} for i in range(900)}}
BOMBS: dict[str, tuple[dict[str, Any], Any]] = {
    "allOf": (doubling(lambda r: {"allOf": [r, r]}), "x"),
    "anyOf": (doubling(lambda r: {"anyOf": [r, r]}), 1),
    "oneOf": (doubling(lambda r: {"oneOf": [r, r]}), 1),
    "not": (doubling(lambda r: {"not": {"anyOf": [{"not": r}, {"not": r}]}}), "x"),
    "if": (doubling(lambda r: {"if": r, "then": r, "else": r}), "x"),
    "dependentSchemas": (doubling(lambda r: {"dependentSchemas": {"a": r, "b": r}}, OBJECT), {"a": 1, "b": 2}),
    "dependencies": (doubling(lambda r: {"dependencies": {"a": r, "b": r}}, OBJECT), {"a": 1, "b": 2}),
    "unevaluatedProperties": (doubling(lambda r: {"allOf": [r], "unevaluatedProperties": {}}, OBJECT), {"a": 1}),
    "unevaluatedItems": (doubling(lambda r: {"allOf": [r], "unevaluatedItems": {}}, {"items": True}), [1, 2]),
    "$dynamicRef": (dynamic(), "x"),
    "items": (doubling(lambda r: {"allOf": [{"items": r}, {"items": r}]}), nested(in_list)),
    "items of itself": ({"type": ["array", "string"], "allOf": [{"items": {"$ref": "#"}}] * 2}, nested(in_list)),
    "items and contains": (doubling(lambda r: {"contains": r, "items": r}), nested(in_list)),
    "prefixItems": (doubling(lambda r: {"allOf": [{"prefixItems": [r]}, {"prefixItems": [r]}]}), nested(in_list)),
    "additionalProperties": (doubling(lambda r: {"allOf": [{"additionalProperties": r}] * 2}), nested(in_object)),
    "patternProperties": (doubling(lambda r: {"patternProperties": {"a": r, "^a": r}}), nested(in_object)),
    "properties": (doubling(lambda r: {"allOf": [{"properties": {"a": r}}] * 2}), nested(in_object)),
    "properties and the rest": ({"allOf": [{"properties": {"a": {"$ref": "#"}}}] * 2}, nested(in_object, 200)),
    "propertyNames": (doubling(lambda r: {"propertyNames": {"allOf": [r, r]}, "allOf": [r]}), {"a": "x"}),
    "anchors": (
        {
            "$ref": "#a0",
            "$defs": {
                **{f"d{i}": {"$anchor": f"a{i}", "allOf": [{"$ref": f"#a{i + 1}"}] * 2} for i in range(40)},
                "last": {"$anchor": "a40"},
            },
        },
        "x",
    ),
    "pointers with escapes": (
        {
            "$ref": "#/$defs/a~1%250",
            "$defs": {
                **{f"a/%{i}": {"allOf": [{"$ref": f"#/$defs/a~1%25{i + 1}"}] * 2} for i in range(40)},
                "a/%40": {},
            },
        },
        "x",
    ),
    "unknown keywords": (
        {"$ref": "#/x0", **{f"x{i}": {"allOf": [{"$ref": f"#/x{i + 1}"}] * 2} for i in range(40)}, "x40": {}},
        "x",
    ),
    "an inner $id": (
        {
            "$ref": "#/$defs/in",
            "$defs": {
                "in": {
                    "$id": "https://example.com/in",
                    "$ref": "#/$defs/d0",
                    "$defs": doubling(lambda r: {"allOf": [r, r]})["$defs"],
                }
            },
        },
        "x",
    ),
    "draft 7": (
        {"$schema": "http://json-schema.org/draft-07/schema#", **doubling(lambda r: {"allOf": [r, r]})},
        "x",
    ),
    "recursiveRef": (
        {
            "$schema": "https://json-schema.org/draft/2019-09/schema",
            "allOf": [{"items": {"$recursiveRef": "#"}}] * 3,
        },
        nested(in_list),
    ),
    "itself": ({"allOf": [{"$ref": "#"}]}, "x"),
    "each other": ({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"allOf": [{"$ref": "#"}]}}}, "x"),
    "a long way": (doubling(lambda r: {"allOf": [r]}, length=90), "x"),
    "a pattern that is large": ({"pattern": "[01]*1[01]{4000}2"}, "01" * 500_000),
    "a pattern that goes back": ({"items": {"pattern": "[01]*1[01]{300}2"}}, ["01" * 500_000]),
    "patterns of keys": ({"patternProperties": {f"[01]*1[01]{{{i}}}2": True for i in range(300)}}, {"01" * 400_000: 1}),
    "an enumeration": ({"items": {"enum": [{"a": i} for i in range(1000)]}}, [{"a": 999}] * 100_000),
    "wide": ({"allOf": [{"$ref": "#/$defs/d"}] * 4000, "$defs": {"d": WIDE}}, {}),
    "many ways": (doubling(lambda r: {"items": {"allOf": [r, r]}}), nested(lambda v: [v] * 2, 16)),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_no_schema_keeps_a_process_busy(name: str) -> None:
    document, value = BOMBS[name]
    began = time.process_time()
    try:
        schema = Schema.compile(document, at="input")
    except SchemaInvalid:
        with pytest.raises(SchemaInvalid, match=r"^input\S*: \w"):
            Schema.compile(document, at="input")
    else:
        schema.accepts(value)
        schema.violations(value)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("name", ["allOf", "anyOf", "oneOf", "not", "if", "unevaluatedProperties", "$dynamicRef"])
def test_what_would_never_end_is_refused_where_it_is_published(name: str) -> None:
    document, _ = BOMBS[name]
    assert len(json.dumps(document)) < 5_000
    with pytest.raises(SchemaInvalid, match=r"checks|references"):
        Schema.compile(document)


CHEAP: dict[str, Any] = {
    "a tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
    "an expression": {
        "oneOf": [
            {"type": "number"},
            {"properties": {"add": {"items": {"$ref": "#"}}}, "required": ["add"], "additionalProperties": False},
            {"properties": {"times": {"items": {"$ref": "#"}}}, "required": ["times"], "additionalProperties": False},
        ]
    },
    "a large one": {
        "type": "object",
        "properties": {f"p{i}": {"type": "string", "maxLength": 200, "pattern": "^[a-z]+$"} for i in range(500)},
        "unevaluatedProperties": False,
    },
    "any JSON, described": {
        "$defs": {
            "json": {
                "anyOf": [
                    {"type": ["null", "boolean", "number", "string"]},
                    {"type": "array", "items": {"$ref": "#/$defs/json"}},
                    {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}},
                ]
            }
        },
        "$ref": "#/$defs/json",
    },
}


@pytest.mark.parametrize("name", CHEAP)
def test_ordinary_schemas_are_taken_and_so_is_a_megabyte_of_data(name: str) -> None:
    schema = Schema.compile(CHEAP[name])
    assert schema.cost.is_small_for(20_000)
    steps, texts, _ = schema.cost.of([{"id": "CVE-2026-1", "score": 9.8, "tags": ["a", "b"]}] * 20_000, enough=BUDGET)
    assert steps < BUDGET
    assert texts < TEXT_BUDGET


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "null"}}]},
        {"type": "object", "additionalProperties": False},
        {"propertyNames": {"maxLength": 1}},
    ],
)
@pytest.mark.parametrize("value", [[1] * 400_000, {f"key{i}": i for i in range(90_000)}, {"k" * 4000: [1] * 400_000}])
def test_a_value_with_very_many_faults_is_refused_quickly(schema: Any, value: Any) -> None:
    compiled = Schema.compile(schema)
    began = time.process_time()
    found = compiled.violations(value)
    faults = compiled.faults(value, at="input")
    assert time.process_time() - began < SECONDS
    assert bool(found) is not compiled.accepts(value)
    assert len(found) <= 51
    assert sum(len(fault.path) for fault in faults) < 25_000


schemas = st.recursive(
    st.sampled_from([{"type": "integer"}, {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}, {"minimum": 3}, True]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({}, optional={"allOf": st.lists(inner, min_size=1, max_size=3), "not": inner}),
        st.fixed_dictionaries(
            {"anyOf": st.lists(inner, min_size=1, max_size=3)}, optional={"if": inner, "then": inner}
        ),
        st.fixed_dictionaries({}, optional={"items": inner, "contains": inner, "additionalProperties": inner}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("xy"), inner)}),
    ),
    max_leaves=12,
)
data = st.recursive(
    st.integers(0, 5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner)
)


class Counting:
    """How often a plain evaluation without short-cuts comes to a place: what `cost_of` must be above of."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.steps = document, 0

    def check(self, schema: Any, value: Any) -> None:
        self.steps += 1
        assert self.steps < 100_000
        if not isinstance(schema, dict):
            return
        if "$ref" in schema:
            self.check(schema_cost.pointed_to(self.document, schema["$ref"]), value)
        for keyword in ("allOf", "anyOf"):
            for inner in schema.get(keyword, []):
                self.check(inner, value)
        for keyword in ("not", "if", "then"):
            if keyword in schema:
                self.check(schema[keyword], value)
        if isinstance(value, list):
            for keyword in ("items", "contains"):
                for item in value if keyword in schema else ():
                    self.check(schema[keyword], item)
        if isinstance(value, dict):
            for key, item in value.items():
                if key in schema.get("properties", {}):
                    self.check(schema["properties"][key], item)
                elif "additionalProperties" in schema:
                    self.check(schema["additionalProperties"], item)


@settings(max_examples=300, deadline=None)
@given(schemas, schemas, schemas, data)
def test_no_check_takes_more_steps_than_were_counted(top: Any, a: Any, b: Any, value: Any) -> None:
    document = {"allOf": [top], "$defs": {"a": a, "b": b}}
    cost, faults = cost_of(document)
    if faults:
        return
    counting = Counting(document)
    counting.check(document, value)
    assert counting.steps <= cost.of(value, enough=10**15)[0]


@pytest.mark.parametrize("name", BOMBS)
def test_comparing_two_versions_of_a_schema_ends(name: str) -> None:
    document, _ = BOMBS[name]
    began = time.process_time()
    incompatibilities(document, {**document, "title": "next"})
    incompatibilities({"properties": {}, "patternProperties": {"^(a+)+$": True}}, {"properties": {"a" * 40 + "b": {}}})
    incompatibilities({"enum": list(range(30_000))}, document)
    assert time.process_time() - began < 3 * SECONDS
