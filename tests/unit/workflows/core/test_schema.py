"""JSON Schema: places of faults, and that no reference leaves the schema."""

import pytest

from erip.foundation.faults import Fault
from workflows.core.schema import MAX_FAULTS, Schema, SchemaInvalid

INPUT = {
    "type": "object",
    "required": ["breach_id"],
    "additionalProperties": False,
    "properties": {
        "breach_id": {"type": "string", "pattern": "^[A-Z]+-[0-9]+$"},
        "cves": {"type": "array", "items": {"$ref": "#/$defs/cve"}},
    },
    "$defs": {"cve": {"type": "string"}},
}


def test_every_fault_has_its_place():
    faults = Schema.compile(INPUT).faults({"cves": [5, "a", None], "extra": 1, "other key": 2}, at="input")
    assert [fault.path for fault in faults] == [
        "input.breach_id",
        "input.cves[0]",
        "input.cves[2]",
        "input.extra",
        "input['other key']",
    ]
    assert Fault("input.breach_id", "is required") in faults
    assert Fault("input.extra", "unknown key") in faults


def test_a_good_input_has_no_faults():
    assert Schema.compile(INPUT).faults({"breach_id": "B-1", "cves": ["a"]}, at="input") == []


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "https://example.com/schema.json", "other.json", "/etc/passwd", "urn:x:y"]
)
def test_a_reference_out_of_the_schema_is_refused_with_its_place(uri):
    with pytest.raises(SchemaInvalid) as caught:
        Schema.compile({"properties": {"a": {"items": {"$ref": uri}}, "b": {"$dynamicRef": uri}}}, at="input")
    assert {fault.path for fault in caught.value.faults} == {
        "input.properties.a.items.$ref",
        "input.properties.b.$dynamicRef",
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "file:///etc/passwd"},
        {"$schema": "https://example.com/meta"},
        {"$id": "https://example.com/a", "$ref": "#/nowhere"},
        {"properties": {"default": {"$ref": "file:///etc/passwd"}}},
        {"properties": {"enum": {"$ref": "https://example.com/"}}},
        {"$ref": "#/nowhere"},
        {"type": "strin"},
        {"pattern": "("},
        {"pattern": "(?=a)"},
        {"pattern": "(x{1000}){1000}"},
        {"required": "a"},
        "x",
        '{"type": "object"}',
        None,
        [],
    ],
)
def test_what_is_no_schema_is_a_fault(schema):
    with pytest.raises(SchemaInvalid) as caught:
        Schema.compile(schema, at="input")
    assert caught.value.faults
    assert all(fault.path.startswith("input") for fault in caught.value.faults)


def test_the_place_of_a_wrong_keyword_is_told():
    with pytest.raises(SchemaInvalid) as caught:
        Schema.compile({"properties": {"a": {"type": "strin"}}}, at="input")
    assert caught.value.faults[0].path == "input.properties.a.type"


def test_a_schema_nested_too_deeply_is_a_fault():
    schema: dict = {}
    for _ in range(5000):
        schema = {"items": schema}
    with pytest.raises(SchemaInvalid, match="nested"):
        Schema.compile(schema)


def test_data_nested_too_deeply_is_a_fault_and_not_a_crash():
    data = None
    for _ in range(100_000):
        data = [data]
    assert Schema.compile({"items": {"$ref": "#"}}).faults(data, at="input") == [
        Fault("input", "nested more than 200 deep")
    ]


def test_a_schema_that_refers_to_itself_for_ever_is_refused():
    with pytest.raises(SchemaInvalid, match="a circle of references"):
        Schema.compile({"$ref": "#"})


def test_a_long_list_of_wrong_items_is_told_in_part():
    assert len(Schema.compile({"items": {"type": "string"}}).faults([1] * 10_000, at="input")) == MAX_FAULTS


def test_a_pattern_is_linear_in_the_text():
    # A backtracking engine would need longer than the age of the universe for this.
    assert Schema.compile({"pattern": "^(a+)+$"}).faults("a" * 50_000 + "b", at="input")
