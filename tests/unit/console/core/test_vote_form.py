"""The fields of a vote's form: made of its schema, and read back as what the schema takes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.core import vote_form
from console.core.vote_form import Field, fields, read
from erip.foundation.faults import Fault
from tests.fuzz import hostile

FORM: dict[str, Any] = {
    "type": "object",
    "required": ["lessons"],
    "properties": {
        "severity": {"enum": ["low", "high", None]},
        "lessons": {"type": "string", "maxLength": 20_000},
        "owner": {"type": "string", "maxLength": 200, "title": "Who owns it"},
        "due": {"type": "string", "format": "date"},
        "affected_records": {"type": ["integer", "null"]},
        "share": {"type": "number"},
        "contained": {"type": "boolean"},
        "measures": {"type": "array", "items": {"type": "object"}},
        "grade": {"enum": [1, 2]},
    },
}


def test_each_property_has_a_field_of_its_kind() -> None:
    kinds = {one.name: one.kind for one in fields(FORM)}
    assert kinds == {
        "severity": "choice", "lessons": "long", "owner": "text", "due": "date", "affected_records": "integer",
        "share": "number", "contained": "yes", "measures": "json", "grade": "json",
    }  # fmt: skip
    by_name = {one.name: one for one in fields(FORM)}
    assert by_name["severity"].choices == ["low", "high"]
    assert [one.name for one in fields(FORM) if one.required] == ["lessons"]
    assert (by_name["owner"].title, by_name["affected_records"].title) == ("Who owns it", "affected records")


def test_what_was_typed_is_read_as_what_the_schema_takes_and_what_is_empty_is_left_out() -> None:
    typed = {
        "severity": "high", "lessons": "a\r\nb", "owner": " ", "due": "2026-12-24", "affected_records": " 12 ",
        "share": "0.5", "contained": "false", "measures": '[{"action": "x"}]', "grade": "",
    }  # fmt: skip
    some = fields(FORM)
    form, faults = read(some, {one.key: typed[one.name] for one in some})
    assert faults == []
    assert form == {
        "severity": "high", "lessons": "a\nb", "due": "2026-12-24", "affected_records": 12, "share": 0.5,
        "contained": False, "measures": [{"action": "x"}],
    }  # fmt: skip


def test_every_fault_is_named_at_its_place() -> None:
    some = fields(FORM)
    wrong = {"affected_records": "1e3", "share": "nan", "contained": "maybe", "measures": "["}
    form, faults = read(some, {one.key: wrong.get(one.name, "") for one in some})
    assert form == {}
    assert [one.path for one in faults] == [f"form.{name}" for name in wrong]
    assert faults[0] == Fault("form.affected_records", "is no whole number of at most 15 digits")


@pytest.mark.parametrize(
    "schema",
    [None, {}, {"type": "array"}, {"type": "object"}, {"type": "object", "properties": {}},
     {"type": "object", "properties": {str(n): {} for n in range(vote_form.MOST + 1)}},
     {"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["a"]}]}],
)  # fmt: skip
def test_a_form_that_has_no_fields_is_typed_as_json(schema: dict[str, Any] | None) -> None:
    assert fields(schema) == []


@given(st.sampled_from(hostile.URL_TEXTS), st.text(max_size=30))
def test_nothing_that_is_typed_breaks_it(one: str, other: str) -> None:
    for text in (one, other, "9" * 5_000):
        some = [Field(f"k{kind}", kind, kind, kind) for kind in ("integer", "number", "yes", "json", "text", "date")]
        form, faults = read(some, {field.key: text for field in some})
        assert {*form} | {fault.path.removeprefix("form.") for fault in faults} in (set(), {one.name for one in some})
