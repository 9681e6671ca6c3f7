"""What a command sends: files, standard input, --set. Every fault at once, each with its place."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from erip_client.cli import inputs
from erip_client.cli.inputs import BadInput, name_of_definition, read_json, read_object


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (["a=1"], {"a": 1}),
        (["a=x"], {"a": "x"}),
        (["a=true", "b=null", 'c="7"', "d=1.5"], {"a": True, "b": None, "c": "7", "d": 1.5}),
        (['e=["x"]', "f="], {"e": ["x"], "f": ""}),
        (["a.b=1", "a.c.d=x"], {"a": {"b": 1, "c": {"d": "x"}}}),
        (["a=b=c"], {"a": "b=c"}),
        (["a=NaN", "b=-Infinity", "c=1e5"], {"a": "NaN", "b": "-Infinity", "c": 100000.0}),
        (["d=[", "e={x"], {"d": "[", "e": "{x"}),
        (["a=123456789012345678901234567890"], {"a": 123456789012345678901234567890}),
        (["a=B-2026-017", "b=2026-11-25"], {"a": "B-2026-017", "b": "2026-11-25"}),
    ],
)  # fmt: skip
def test_a_value_is_json_or_else_a_text(sets: list[str], expected: dict[str, Any]) -> None:
    assert read_object(None, sets) == expected


def test_a_file_is_completed_and_corrected(tmp_path: Path) -> None:
    file = tmp_path / "incident.json"
    file.write_text('{"severity": "low", "place": {"country": "DE"}}')
    found = read_object(str(file), ["severity=high", "place.state=BY"])
    assert found == {"severity": "high", "place": {"country": "DE", "state": "BY"}}


def test_every_fault_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"a": 1}')
    with pytest.raises(BadInput) as raised:
        read_object(str(file), ["a.b=1", "c", "d..e=1", "=1", "f=1", "f=2", 'g={"x": 1, "x": 2}'])
    assert [fault.path for fault in raised.value.faults] == [
        "--set a.b", "--set c", "--set d..e=1", "--set =1", "--set f", "--set g",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "a.json:1:2: is not JSON"),
        (b"\xff", "is not a text in UTF-8"),
        (b"[" * 100_000, "a.json"),
        (b'{"a": {"b": 1, "b": 2}}', "has the key 'b' twice"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b"[1]", "must hold a JSON object"),
        (b"", "is not JSON"),
    ],
)
def test_a_file_at_fault_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadInput) as raised:
        read_object(str(tmp_path / "a.json"), [])
    assert words in str(raised.value)


def test_files_that_are_none_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (str(tmp_path), str(tmp_path / "absent"), "a\x00b"):
        with pytest.raises((BadInput, ValueError)):
            read_json(name)
    monkeypatch.setattr(inputs, "MOST", 10)
    (tmp_path / "long.json").write_bytes(b" " * 11)
    with pytest.raises(BadInput, match="has more than"):
        read_json(str(tmp_path / "long.json"))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    assert read_object("-", ["b=2"]) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "text",
    [
        "name: triage\nsteps: {}",
        "# A comment\n\nlane: high\nname: 'triage'   # its name\n",
        '"name": "triage"\n',
        '{"steps": {"name": "no"}, "name": "triage"}',
        "description: |\n  name: other\nname: triage\r\n",
    ],
)
def test_a_definitions_name_is_found(text: str) -> None:
    assert name_of_definition("a.yaml", text.encode()) == "triage"


@pytest.mark.parametrize("text", ["", "steps: {}", "steps:\n  name: x", "name: [a]", '{"name": 7}', "[1]", "\xff"])
def test_a_definition_without_a_name_is_named(text: str) -> None:
    with pytest.raises(BadInput, match=r"a\.yaml: has no line"):
        name_of_definition("a.yaml", text.encode("latin-1"))
