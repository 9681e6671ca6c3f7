"""What is accepted at one door is accepted at the next: events of the platform's types start the shipped workflows."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows import library
from workflows.core import definition
from workflows.core.rules import Rule, compile_rules
from workflows.core.schema import Schema
from workflows.core.triggers import Drop, Start, ask
from workflows.events.types import FIXTURE
from workflows.library.reference import sample_incident

DEFINITIONS = [
    definition.parse(path.read_bytes(), "yaml")
    for path in sorted((Path(library.__file__).parent / "definitions").glob("*.yaml"))
]
TYPES: dict[str, Any] = {
    name: one["schema"] for name, one in yaml.safe_load(FIXTURE.read_text(encoding="utf-8")).items()
}
SCHEMAS = {one["name"]: Schema.compile(one["input"]) for one in DEFINITIONS}


def rules_of(document: dict[str, Any]) -> tuple[Rule, ...]:
    rules, faults = compile_rules(document["on"], document["name"], SCHEMAS[document["name"]])
    assert faults == []
    return rules


PAIRS = [
    (document["name"], type_)
    for document in DEFINITIONS
    for type_ in TYPES
    if "on" in document and any(rule.is_about(type_, "/x") for rule in rules_of(document))
]
RULES = {document["name"]: rules_of(document) for document in DEFINITIONS if "on" in document}


def values(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    """Values of a schema of ours, those at its bounds among them."""
    if not isinstance(schema, dict) or not schema:
        return st.just("anything")
    if "$ref" in schema:
        found = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return values(found, root)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "object")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "string" and schema.get("format") == "date-time":
        return st.sampled_from(["2026-11-23T06:40:00Z", "2016-12-31T23:59:60Z", "0001-01-01T00:00:00+00:00"])
    if kind == "string" and "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if kind == "string":
        least, most = schema.get("minLength", 0), schema.get("maxLength", 100)
        return st.text(min_size=least, max_size=min(most, 40)) | st.sampled_from(["x" * least, "x" * most])
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 10**12)
        return st.integers(low, high) | st.sampled_from([low, high])
    if kind == "array":
        return st.lists(
            values(schema.get("items"), root),
            min_size=schema.get("minItems", 0),
            max_size=min(schema.get("maxItems", 3), 3),
        )
    if kind == "object":
        known = schema.get("properties", {})
        needed = {name: values(known[name], root) for name in schema.get("required", [])}
        others = {name: values(one, root) for name, one in known.items() if name not in needed}
        return st.fixed_dictionaries(needed, optional=others)
    return st.booleans() if kind == "boolean" else st.none()


def check(name: str, event: dict[str, Any]) -> None:
    asked = ask(RULES[name], event)
    assert asked is None or isinstance(asked, Start | Drop), asked
    if isinstance(asked, Start):
        assert SCHEMAS[name].faults(asked.input, at="input") == []
        assert len(asked.business_key or "") <= 200


def test_there_is_something_to_check() -> None:
    assert {name for name, _ in PAIRS} == {
        "breach-response", "compliance-assessment", "critical-threat", "regulatory-change", "trust-score",
        "vulnerability-response",
    }  # fmt: skip


@pytest.mark.parametrize("size", [1, 200, 201, 1024])
@pytest.mark.parametrize(("name", "type_"), PAIRS)
def test_an_event_starts_the_workflow_however_long_its_id_and_subject_are(name: str, type_: str, size: int) -> None:
    data = {"severity": "critical", "confirmed": True, "cve": "CVE-2024-3400"}
    event = {"specversion": "1.0", "id": "i" * size, "source": "/x", "type": type_, "data": data}
    check(name, event)
    check(name, event | {"subject": "s" * size, "time": "2016-12-31T23:59:60Z"})


@pytest.mark.parametrize(("name", "type_"), PAIRS)
@settings(max_examples=60)
@given(data=st.data())
def test_what_a_type_accepts_starts_the_workflow(name: str, type_: str, data: st.DataObject) -> None:
    body = data.draw(values(TYPES[type_], TYPES[type_]))
    if not Schema.compile(TYPES[type_]).accepts(body) or not isinstance(body, dict):
        return
    check(name, {"specversion": "1.0", "id": "1", "source": "/x", "type": type_, "data": body})
    sure = body | {"severity": "critical", "confirmed": True}
    if Schema.compile(TYPES[type_]).accepts(sure):
        check(name, {"specversion": "1.0", "id": "1", "source": "/x", "type": type_, "data": sure})


@pytest.mark.parametrize("at", ["garbageZ", "2026-02-30T00:00:00Z", "2026-11-23T06:40:00", "0000-01-01T00:00:00Z"])
@pytest.mark.parametrize("field", ["detected_at", "confirmed_at", "classified_at", "material_at", "paid_at"])
def test_a_moment_that_does_not_exist_starts_no_breach_response(field: str, at: str) -> None:
    known = {"breach_id": "b", "severity": "critical"}
    [fault] = SCHEMAS["breach-response"].faults(known | {field: at}, at="input")[:1]
    assert str(fault.path) == f"input.{field}"
    assert SCHEMAS["breach-response"].faults(known | {"submitted": {"gdpr-33": at}}, at="input")
    assert SCHEMAS["breach-response"].faults(known | {field: "2016-12-31T23:59:60Z"}, at="input") == []


def test_every_shipped_workflow_refuses_keys_that_it_does_not_know_and_says_what_is_near() -> None:
    for name, schema in SCHEMAS.items():
        known = next(iter(schema.document["properties"]))
        [fault] = [one for one in schema.faults({f"{known}x": 1}, at="input") if one.message != "is required"]
        assert str(fault.path) == f"input.{known}x", name
        assert fault.message == f'unknown key (did you mean "{known}"?)'
    [far] = SCHEMAS["trust-score"].faults({"q" * 200: 1}, at="input")
    assert far.message == "unknown key"


def test_near_keys_are_those_of_the_place_also_behind_a_reference() -> None:
    inner = {"type": "object", "additionalProperties": False, "properties": {"host/name": {}, "port": {}}}
    schema = Schema.compile({"properties": {"a": {"items": {"$ref": "#/$defs/in~1ner"}}}, "$defs": {"in/ner": inner}})
    [fault] = schema.faults({"a": [{"prt": 1}]}, at="input")
    assert (str(fault.path), fault.message) == ("input.a[0].prt", 'unknown key (did you mean "port"?)')


def test_the_sample_incident_shows_every_field_and_is_accepted() -> None:
    sample = sample_incident()
    assert set(sample) == set(SCHEMAS["breach-response"].document["properties"])
    assert SCHEMAS["breach-response"].faults(sample, at="input") == []


def test_a_day_that_does_not_exist_is_no_due_date() -> None:
    assert SCHEMAS["vulnerability-response"].faults({"cves": ["CVE-2024-3400"], "due_date": "2026-02-30"}, at="input")
