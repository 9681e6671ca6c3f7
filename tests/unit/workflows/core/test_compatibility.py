"""A new version of a schema accepts whatever the former one accepted, or every reason why it may not is named."""

from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from workflows.core.compatibility import incompatibilities
from workflows.core.schema import Schema, SchemaInvalid

CLOSED = {
    "type": "object",
    "required": ["cve"],
    "additionalProperties": False,
    "properties": {
        "cve": {"type": "string", "maxLength": 30},
        "severity": {"enum": ["low", "high"]},
        "score": {"type": "number", "minimum": 0, "maximum": 10},
        "tags": {"type": "array", "maxItems": 5, "items": {"type": "string"}},
    },
}


def closed(**properties: Any) -> dict[str, Any]:
    return {**CLOSED, "properties": {**CLOSED["properties"], **properties}}


def paths(old: Any, new: Any) -> list[str]:
    return [fault.path for fault in incompatibilities(old, new)]


@pytest.mark.parametrize(
    "new",
    [
        CLOSED,
        {**CLOSED, "description": "Words."},
        {**CLOSED, "required": []},
        closed(seen={"type": "string"}),
        closed(severity={"enum": ["low", "medium", "high"]}),
        closed(severity={"type": "string"}),
        closed(severity={"type": ["string", "null"], "minLength": 3}),
        closed(score={"type": "number", "minimum": -1, "exclusiveMaximum": 10.5}),
        closed(score={"type": ["number", "string"]}),
        closed(tags={"type": "array", "items": {"type": ["string", "integer"]}}),
        {**CLOSED, "additionalProperties": {"type": "string"}},
        {"anyOf": [{"type": "string"}, CLOSED]},
        {"allOf": [CLOSED]},
        {"$ref": "#/$defs/it", "$defs": {"it": CLOSED}},
        True,
    ],
)
def test_a_schema_that_accepts_as_much_or_more_is_compatible(new: Any) -> None:
    assert incompatibilities(CLOSED, new) == []


@pytest.mark.parametrize(
    ("new", "path"),
    [
        ({**CLOSED, "required": ["cve", "severity"]}, "schema.properties.severity"),
        (closed(cve={"type": "string", "maxLength": 20}), "schema.properties.cve.maxLength"),
        (closed(cve={"type": "string", "maxLength": 30, "pattern": "^CVE"}), "schema.properties.cve.pattern"),
        (closed(cve={"type": "integer"}), "schema.properties.cve.type"),
        (closed(severity={"enum": ["high"]}), "schema.properties.severity"),
        (closed(score={"type": "integer", "minimum": 0, "maximum": 10}), "schema.properties.score.type"),
        (closed(score={"type": "number", "exclusiveMinimum": 0}), "schema.properties.score.exclusiveMinimum"),
        (closed(score={"type": "number", "maximum": 9}), "schema.properties.score.maximum"),
        (closed(score={"type": "number", "multipleOf": 0.5}), "schema.properties.score.multipleOf"),
        (closed(tags={"type": "array", "items": {"minLength": 1}}), "schema.properties.tags.items.minLength"),
        (closed(tags={"type": "array", "uniqueItems": True}), "schema.properties.tags.uniqueItems"),
        (closed(tags={"type": "array", "prefixItems": [{"const": 1}]}), "schema.properties.tags.prefixItems[0].const"),
        ({"anyOf": [{"type": "string"}, {"type": "object", "maxProperties": 1}]}, "schema.anyOf"),
        ({"allOf": [{"required": ["score"]}]}, "schema.allOf[0].properties.score"),
        ({**CLOSED, "not": {"required": ["tags"]}}, "schema.not"),
        ({**CLOSED, "$schema": "http://json-schema.org/draft-07/schema#"}, "schema.$schema"),
        (False, "schema"),
    ],
)  # fmt: skip
def test_a_schema_that_may_refuse_what_was_accepted_is_told_with_its_place(new: Any, path: str) -> None:
    assert path in paths(CLOSED, new)


def test_every_incompatibility_is_told_at_once() -> None:
    new = {**closed(severity={"enum": ["high"]}, cve={"type": "integer"}), "required": ["cve", "tags"]}
    del new["properties"]["score"]
    assert set(paths(CLOSED, new)) == {
        "schema.properties.tags",
        "schema.properties.cve.type",
        "schema.properties.severity",
        "schema.properties.score",
    }


def test_a_property_that_is_new_in_an_open_object_was_accepted_before_whatever_it_held() -> None:
    old = {"type": "object", "properties": {"a": {"type": "string"}}}
    new = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    (fault,) = incompatibilities(old, new)
    assert fault.path == "schema.properties.b"
    assert "was open" in fault.message
    assert incompatibilities(old, {**old, "properties": {**old["properties"], "b": {"description": "Anything."}}}) == []


def test_a_property_that_a_pattern_accepted_is_compared_with_the_pattern() -> None:
    old = {"type": "object", "additionalProperties": False, "patternProperties": {"^x_": {"type": "integer"}}}
    assert paths(old, {**old, "properties": {"x_a": {"type": "string"}}}) == ["schema.properties.x_a.type"]
    assert paths(old, {**old, "properties": {"x_a": {"type": "number"}, "b": {"type": "string"}}}) == []


def test_schemas_that_refer_to_themselves_are_compared() -> None:
    def tree(value: dict[str, Any]) -> dict[str, Any]:
        node = {"type": "object", "properties": {"value": value, "next": {"$ref": "#/$defs/node"}}}
        return {"$defs": {"node": node}, "$ref": "#/$defs/node"}

    assert incompatibilities(tree({"type": "integer"}), tree({"type": "number"})) == []
    assert paths(tree({"type": "number"}), tree({"type": "integer"})) == ["schema.properties.value.type"]


def test_a_schema_that_goes_in_circles_is_refused_and_not_followed_for_ever() -> None:
    circle = {"type": "object", "anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    assert incompatibilities({"type": "object"}, circle)


# --- the law: whatever the old schema accepts, a compatible new one accepts

VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2, -1, 1.5, 10, "", "a", "ab", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner, max_size=3),
    max_leaves=6,
)


def _schemas() -> st.SearchStrategy[Any]:
    leaf = st.one_of(
        st.just(True),
        st.just(False),
        st.just({}),
        st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "number", "boolean", "null", "object"])}),
        st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["a", "ab", 1, None, True]), min_size=1)}),
        st.fixed_dictionaries({"const": st.sampled_from(["a", 1, None])}),
        st.fixed_dictionaries(
            {},
            optional={
                "minimum": st.integers(-1, 3),
                "exclusiveMinimum": st.integers(-1, 3),
                "maximum": st.integers(0, 10),
                "exclusiveMaximum": st.integers(0, 10),
                "multipleOf": st.sampled_from([1, 2, 0.5]),
                "minLength": st.integers(0, 2),
                "maxLength": st.integers(0, 3),
                "minItems": st.integers(0, 2),
                "maxItems": st.integers(0, 3),
                "minProperties": st.integers(0, 2),
                "uniqueItems": st.booleans(),
                "pattern": st.sampled_from(["^a", "b$"]),
            },
        ),
        st.just({"$ref": "#/$defs/d"}),
    )  # fmt: skip

    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, min_size=1, max_size=2)
        return st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["object", "array", ["object", "array"], ["string", "object", "integer"]]),
                "properties": st.dictionaries(st.sampled_from("abx"), inner, max_size=2),
                "patternProperties": st.fixed_dictionaries({"^x": inner}),
                "additionalProperties": inner,
                "required": st.lists(st.sampled_from("abx"), unique=True, max_size=2),
                "items": inner,
                "prefixItems": some,
                "allOf": some,
                "anyOf": some,
                "oneOf": some,
                "not": inner,
                "contains": inner,
                "minContains": st.integers(0, 2),
                "if": inner,
                "then": inner,
                "unevaluatedProperties": st.booleans(),
            },
        )

    tree = st.recursive(leaf, deeper, max_leaves=8)
    return st.builds(_rooted, tree, leaf)


def _rooted(schema: Any, referred_to: Any) -> dict[str, Any]:
    keywords = schema if isinstance(schema, dict) else {}
    return {"allOf": [schema], "$defs": {"d": referred_to}} | keywords


@st.composite
def _versions(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two schemas that have something in common, or few of them would be compatible."""
    old = draw(_schemas())
    new = dict(old)
    for key in draw(st.lists(st.sampled_from(sorted(old)), unique=True, max_size=3)) if old else []:
        if draw(st.booleans()):
            new.pop(key)
        else:
            other = draw(_schemas())
            new[key] = other.get(key, new[key])
    new.setdefault("$defs", {"d": True})
    return old, new


@settings(max_examples=250, deadline=None)
@given(_versions(), st.lists(VALUES, max_size=12))
def test_whatever_the_old_schema_accepts_a_compatible_new_one_accepts(
    versions: tuple[Any, Any], values: list[Any]
) -> None:
    old, new = versions
    if incompatibilities(old, new):
        return
    try:
        before, after = Schema.compile(old), Schema.compile(new)
    except SchemaInvalid:
        reject()  # a circle of references, say: neither could have been registered
    for value in values:
        if not before.violations(value):
            assert not after.violations(value), (old, new, value)
