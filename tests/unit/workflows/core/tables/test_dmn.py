"""DMN's own test cases (its technology compatibility kit), read from outside of the repository, and what DMN's XML
loses or keeps."""

import os
import xml.etree.ElementTree as ET
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workflows.core.tables.strategies import all_facts, documents
from workflows.core.tables import feel, testing, values
from workflows.core.tables.analysis import analyse
from workflows.core.tables.dmn import VERSIONS, read_dmn, write_dmn
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.table import Policy

KIT = Path(os.environ.get("ERIP_TEST_DATA") or Path(__file__).resolve().parents[5].parent / "shared" / "data") / "dmn"
CASES = "{http://www.omg.org/spec/DMN/20160719/testcase}"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
READ: dict[str, Any] = {
    "string": str, "boolean": lambda text: text == "true", "decimal": values.number, "double": values.number,
    "integer": int, "date": values.read_date, "time": values.read_time, "dateTime": values.read_date_time,
    "duration": values.read_duration,
}  # fmt: skip


def said(node: ET.Element) -> Any:
    """What an `inputNode` or `expected` of a test case says."""
    components = node.findall(CASES + "component")
    if components:
        return {one.get("name"): said(one) for one in components}
    listed = node.find(CASES + "list")
    if listed is not None:
        return [said(item) for item in listed.findall(CASES + "item")]
    value = node.find(CASES + "value")
    if value is None or value.text is None:
        return None
    return READ[(value.get(TYPE) or "xsd:string").rpartition(":")[2]](value.text)


def cases() -> list[Any]:
    """(file, id of the case, facts, decision, what is expected) of every case."""
    found = []
    for file in sorted(KIT.glob("*/*/*-test-*.xml")):
        root = ET.parse(file).getroot()
        model = file.parent / str(root.findtext(CASES + "modelName")).strip()
        for case in root.findall(CASES + "testCase"):
            facts = {one.get("name"): said(one) for one in case.findall(CASES + "inputNode")}
            for result in case.findall(CASES + "resultNode"):
                name = str(result.get("name"))
                expected = result.find(CASES + "expected")
                id_ = f"{file.parent.name}-{case.get('id')}-{name}"
                found.append(pytest.param(model, facts, name, None if expected is None else said(expected), id=id_))
    return found


def logic(model: Path, name: str) -> ET.Element | None:
    root = ET.parse(model).getroot()
    space = root.tag.rpartition("}")[0] + "}"
    return next(
        (one.find(f"{space}literalExpression/{space}text") for one in root.findall(space + "decision")
         if one.get("name") == name and one.find(space + "decisionTable") is None),
        None,
    )  # fmt: skip


@pytest.mark.skipif(not KIT.is_dir(), reason="the cases of DMN's kit are not beside the repository")
@pytest.mark.parametrize(("model", "facts", "name", "expected"), cases() or [pytest.param(None, None, None, None)])
def test_a_case_of_dmns_kit(model: Path, facts: Any, name: str, expected: Any) -> None:
    if (text := logic(model, name)) is not None:
        assert testing.evaluate(feel.read_expression(str(text.text)), facts) == expected
        return
    imported = read_dmn(model.read_bytes())
    if name not in imported.documents:
        if why := unsupported(model, name):
            pytest.skip(why)
        assert not decided_in(model, name), imported.faults
        pytest.skip("the decision is left out of this half of the kit")
    decision = read(imported.documents[name]).decide(facts)
    assert plain(decision.output) == plain(expected)


@pytest.mark.skipif(not KIT.is_dir(), reason="the cases of DMN's kit are not beside the repository")
def test_at_most_one_case_in_twenty_asks_for_what_is_named_as_unsupported() -> None:
    asked = [one.values[:3] for one in cases()]
    found = [(model, name) for model, _, name in asked if logic(model, name) is None and decided_in(model, name)]
    left = [f"{model.name}: {why}" for model, name in found if (why := unsupported(model, name))]
    assert len(asked) >= 100
    assert len(left) <= len(asked) / 20, left


def test_what_is_not_supported_is_known_by_its_decision(tmp_path: Path) -> None:
    other = write_dmn("d", DOCUMENT).replace(b"decisionTable", b"literalExpression")
    (tmp_path / "other.dmn").write_bytes(other)
    assert "literalExpression" in (unsupported(tmp_path / "other.dmn", "d") or "")
    assert unsupported(tmp_path / "other.dmn", "e") is None
    assert decided_in(tmp_path / "other.dmn", "d")


def unsupported(model: Path, name: str) -> str | None:
    """What is said of a decision that is not read, because it needs what is not supported; None: nothing is."""
    faults = read_dmn(model.read_bytes()).faults
    of_it = [one for one in faults if one.path == name or one.path.startswith((f"{name}.", f"{name}["))]
    return str(of_it[0]) if of_it else None


def decided_in(model: Path, name: str) -> bool:
    """Whether the model has a decision of that name."""
    return any(
        one.tag.rpartition("}")[2] == "decision" and one.get("name") == name for one in ET.parse(model).getroot()
    )


def plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


@settings(max_examples=40)
@given(st.sampled_from([str(policy) for policy in Policy]).flatmap(documents))
def test_what_is_written_is_read_as_the_same_table(document: dict[str, Any]) -> None:
    imported = read_dmn(write_dmn("same", document))
    assert imported.faults == []
    before, after = read(document), read(imported.documents["same"])
    for facts in all_facts(before)[::3]:
        if any(type(value) is float and one.whole for value, one in zip(facts.values(), before.inputs, strict=True)):
            continue
        assert before.decide(facts) == after.decide(facts)


def test_values_of_every_kind_are_written_and_read_as_they_are() -> None:
    given_ = [
        1, -2, 1.5, 1e-7, 10**30, Decimal("0.12345678901234567890123"), "a \"quoted\" \\ text\nof two lines", True,
        None,
        date(2026, 11, 26), time(16, 0), time(16, 0, 0, 5), values.read_time("16:00:00Z"), datetime(2026, 1, 1, 2, 3),
        values.read_date_time("2026-01-01T00:00:00.25+01:00"), values.read_duration("P1DT2H"),
        values.read_duration("-PT0.5S"), values.read_duration("P1Y6M"), values.read_duration("-P3M"),
        (1, "b", (True,)), {"a": 1, "b c": ("x",)},
    ]  # fmt: skip
    for value in given_:
        text = values.written(value)
        found = testing.evaluate(feel.read_expression(text), {})
        assert values.equal(found, value) is True or found is value, text


DOCUMENT = {
    "inputs": [{"name": "n", "type": "number"}],
    "outputs": [{"name": "out", "type": "string", "default": '"none"'}],
    "rules": [{"when": {"n": "> 5"}, "then": {"out": '"high"'}, "note": "why"}],
}


@pytest.mark.parametrize("space", VERSIONS)
def test_each_version_is_read(space: str) -> None:
    written = write_dmn("d", DOCUMENT).replace(b"https://www.omg.org/spec/DMN/20230324/MODEL/", space.encode())
    document = read_dmn(written).documents["d"]
    assert read(document).decide({"n": 6}).output == "high"
    assert document["rules"][0]["note"] == "why"
    assert analyse(read(document)).clashes == []


@pytest.mark.parametrize(
    "source",
    [
        b"", b"<a/>", b"not xml", b"<definitions/>", b"\xff\xfe", b"<?xml version='1.0' encoding='nonsense'?><a/>",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<a>" * 100_000,
    ],
    ids=["empty", "other", "text", "no-namespace", "bytes", "encoding", "entity", "external", "deep"],
)  # fmt: skip
def test_what_is_no_dmn_is_refused(source: bytes) -> None:
    with pytest.raises(TableInvalid):
        read_dmn(source)


def test_what_a_table_cannot_say_is_named_with_its_place() -> None:
    written = write_dmn("d", DOCUMENT)
    more_than_a_name = written.replace(b"<text>n</text>", b"<text>n + 1</text>")
    assert [fault.path for fault in read_dmn(more_than_a_name).faults] == ["d.input[0]"]
    assert read_dmn(more_than_a_name).documents == {}
    other_logic = written.replace(b"decisionTable", b"literalExpression")
    assert "literalExpression, which is not supported" in read_dmn(other_logic).faults[0].message
    short = written.replace(b"<inputEntry>", b"<x>").replace(b"</inputEntry>", b"</x>")
    assert [fault.path for fault in read_dmn(short).faults] == ["d.rule[0]"]
