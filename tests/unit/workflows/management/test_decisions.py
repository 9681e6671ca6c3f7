"""`manage.py decisions`, with the examples of its page."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs/how-to/decision-tables.md").read_text("utf-8")
TABLE = re.findall(r"^```decision-table\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]
SAID = [block.split("\n", 1)[1] for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
FACTS = '{"severity": "high", "loss": null, "aware_on": "2026-11-26"}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "approval.yaml").write_text(TABLE)
    return tmp_path


def run(*arguments: str) -> tuple[str, int]:
    """What it says, and its exit code."""
    said = io.StringIO()
    try:
        call_command("decisions", *arguments, stdout=said)
    except SystemExit as end:
        return said.getvalue(), int(end.code or 0)
    return said.getvalue(), 0


def test_the_page_shows_what_is_said() -> None:
    assert run("check", "approval.yaml") == (SAID[0], 1)
    assert f"--facts '{FACTS}'" in PAGE
    assert run("decide", "approval.yaml", "--facts", FACTS) == (SAID[1], 0)


def test_a_table_that_decides_every_case_passes(folder: Path) -> None:
    (folder / "approval.yaml").write_text(TABLE + "  - then: {level: '\"executive\"'}\n")
    assert run("check", "approval.yaml") == ("approval.yaml: approval: nothing is wrong; 4 rules\n", 0)


def test_there_and_back_through_dmn(folder: Path) -> None:
    (folder / "approval.dmn").write_text(run("convert", "approval.yaml")[0])
    back = yaml.safe_load(run("convert", "approval.dmn", "--to", "yaml")[0])
    assert [rule["then"] for rule in back["rules"]] == [rule["then"] for rule in yaml.safe_load(TABLE)["rules"]]
    assert run("decide", "approval.dmn", "--facts", FACTS)[0].startswith('"executive"')


def test_every_fault_of_every_file_is_named(folder: Path) -> None:
    (folder / "b.json").write_text(json.dumps({"inputs": [{"name": "n"}], "outputs": [{"name": "o"}], "rules": [{}]}))
    (folder / "c.dmn").write_text("<a/>")
    (folder / "d.yaml").write_text("a: [")
    said, code = run("check", "b.json", "c.dmn", "d.yaml", "gone.yaml", "--json")
    rows = json.loads(said)
    assert code == 2
    assert {row["file"] for row in rows if row["faults"]} == {"b.json", "c.dmn", "d.yaml", "gone.yaml"}


@pytest.mark.parametrize("text", ["", "- a", "x" * 300_000])
def test_what_is_no_table_is_not_called_a_definition(folder: Path, text: str) -> None:
    (folder / "e.yaml").write_text(text)
    said, code = run("check", "e.yaml")
    assert code == 1
    assert said.startswith("e.yaml: a decision table ")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ('{"severity": "odd"}', 'severity: "odd" is not one of'),
        (None, "--facts"),
    ],
)
def test_bad_facts_are_refused(facts: str | None, says: str) -> None:
    arguments: list[Any] = ["decide", "approval.yaml", *(["--facts", facts] if facts is not None else [])]
    with pytest.raises(CommandError, match=re.escape(says)):
        call_command("decisions", *arguments)


def test_what_no_rule_decides_ends_with_1() -> None:
    said, code = run("decide", "approval.yaml", "--facts", FACTS.replace("high", "medium"))
    assert (said, code) == ("null (no rule)\n", 1)
