"""What a schema's `sensitive: true` means for versions of it, for values of other shapes, and for messages."""

from typing import Any

import pytest

from workflows.core import sensitive
from workflows.core.schema import Schema

TEXT = {"type": "string", "sensitive": True}
NAMES = {"type": "object", "properties": {"name": TEXT, "ssn": TEXT}}
DEEP = {
    "properties": {"people": {"type": "array", "items": {"$ref": "#/$defs/person"}}},
    "$defs": {"person": {"anyOf": [{"type": "null"}, {"properties": {"mail": TEXT, "n": {}}}]}},
}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (NAMES, NAMES, []),
        (NAMES, {"properties": {"name": TEXT}}, ["ssn"]),
        (NAMES, {}, ["name", "ssn"]),
        (NAMES, True, ["name", "ssn"]),
        (NAMES, {"sensitive": True}, []),
        (NAMES, {"additionalProperties": TEXT}, []),
        (NAMES, {"properties": {"name": {}}, "additionalProperties": TEXT}, ["name"]),
        ({"additionalProperties": TEXT}, NAMES, ["*"]),
        ({"additionalProperties": TEXT}, {"properties": {"n": {}}, "additionalProperties": TEXT}, ["n"]),
        (TEXT, NAMES, [""]),
        ({"items": NAMES}, {"items": {"properties": {"ssn": TEXT}}}, ["[].name"]),
        (DEEP, DEEP, []),
        (DEEP, {**DEEP, "$defs": {"person": {}}}, ["people[].mail"]),
        ({"anyOf": [NAMES, {"type": "null"}]}, NAMES, []),
        (
            {"properties": {"next": {"$ref": "#"}, "name": TEXT}},
            {"properties": {"next": {"properties": {"next": {"$ref": "#"}}}, "name": TEXT}},
            ["next.name"],
        ),
        ({"properties": {"who": {"subject": True}}}, {"properties": {"who": {"sensitive": True}}}, []),
    ],
)
def test_what_a_schema_no_longer_says_is_sensitive(before: Any, after: Any, said: list[str]) -> None:
    assert sensitive.unmarked(sensitive.parts_of(before), sensitive.parts_of(after)) == said


def test_nothing_stands_in_place_of_what_holds_sealed_parts() -> None:
    parts = sensitive.parts_of({"properties": {"who": NAMES, "all": {"items": NAMES}, "id": TEXT, "n": {}}})

    def astray(value: Any) -> list[tuple[Any, str]]:
        return sorted(sensitive.astray(parts, value))

    for sound in ({"who": {"name": 1}, "all": [{}, None], "id": 7, "n": "x", "more": "x"}, {}, None, {"who": None}):
        assert astray(sound) == []
    assert [astray(one) for one in ("x", 7, True)] == [[((), "object")]] * 3
    assert astray({"who": "Ann", "all": [{}, "Ann"]}) == [(("all", 1), "object"), (("who",), "object")]
    assert astray({"all": "Ann"}) == [(("all",), "array")]
    assert sensitive.astray(sensitive.parts_of(TEXT), "Ann") == []


def test_no_fault_quotes_what_is_sensitive() -> None:
    document = {
        "type": "object",
        "properties": {"name": {**TEXT, "maxLength": 3}, "who": {**NAMES, "maxProperties": 1}, "n": {"enum": [1]}},
        "required": ["case"],
        "additionalProperties": False,
    }
    value = {"name": "Zebra", "who": {"name": "Zebra", "ssn": 4711}, "n": "two", "x": 1}
    schema = Schema.compile(document)

    told = schema.faults(value, at="data", sealed=sensitive.parts_of(document))

    said = {one.path: one.message for one in told}
    assert said.keys() == {"data.case", "data.n", "data.name", "data.who", "data.who.ssn", "data.x"}
    assert "Zebra" not in str(said)
    assert "4711" not in str(said)
    assert "two" in said["data.n"]
    assert "maxLength" in said["data.name"]
    assert said["data.case"] == "is required"
    assert "Zebra" in str(schema.faults(value, at="data"))
