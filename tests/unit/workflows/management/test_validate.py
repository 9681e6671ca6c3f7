"""`manage.py validate`: every fault with its line and column, in each format, without a database and without harm."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from erip.ops.stack.state import ROOT
from workflows.core import definition, places
from workflows.core.places import Place

WRONG = """\
# a comment, and a name that is fine
name: wrong
steps:
  a:
    uses: sample.echo
    with: {value: "é", valeu: 1}
  b:
    uses: sample.ecko
    needs: [a,
      c]
  "odd key": {uses: sample.echo}
  d:
    uses: sample.work
    needs: [a]
    with:
      times: ${{ steps.a.output.vlaue }}
      permanent: "no"
"""
FAULTS = {
    "6:24": 'steps.a.with.valeu: unknown key (did you mean "value"?)',
    "8:5": 'steps.b.uses: no step named "sample.ecko" is registered (did you mean "sample.echo"?)',
    "10:7": 'steps.b.needs[1]: no step "c"',
    "11:3": "steps['odd key']: not a step id: a lower-case letter, then letters, digits and _, at most 63",
    "16:7": 'steps.d.with.times: there is no steps.a.output.vlaue (did you mean "value"?)',
    "17:7": 'steps.d.with.permanent: "no" is not of type "boolean"',
}
GOOD = "name: good\nsteps: {a: {uses: sample.echo}}\n"


def run(*arguments: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("validate", *arguments, stdout=out)
    except SystemExit as ended:
        return out.getvalue(), int(ended.code or 0)
    return out.getvalue(), 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_people_read_a_line_for_each_fault_with_its_place() -> None:
    told, code = run("wrong.yaml", "good.yaml")
    assert told.splitlines() == [
        *(f"wrong.yaml:{place}: {fault}" for place, fault in FAULTS.items()),
        "good.yaml: good is valid",
    ]
    assert code == 1
    assert run("good.yaml") == ("good.yaml: good is valid\n", 0)


@pytest.mark.usefixtures("folder")
def test_github_gets_a_command_for_each_fault() -> None:
    told, code = run("--format", "github", "wrong.yaml", "good.yaml")
    assert code == 1
    lines = told.splitlines()
    assert len(lines) == len(FAULTS)
    assert lines[0] == (
        '::error file=wrong.yaml,line=6,col=24,title=steps.a.with.valeu::unknown key (did you mean "value"?)'
    )


def test_a_warning_is_shown_and_fails_nothing(folder: Path) -> None:
    (folder / "slow.yaml").write_text("name: slow\ntimeout: 72h\nsteps: {a: {wait: {for: 96h}}}\n")
    told, code = run("slow.yaml")
    message = "leaves 72h, but the steps may take up to 96h: a"
    assert (told, code) == (f"slow.yaml: slow is valid\nslow.yaml:2:1: warning: timeout: {message}\n", 0)
    told, code = run("--format", "github", "slow.yaml")
    assert (told, code) == (f"::warning file=slow.yaml,line=2,col=1,title=timeout::{message}\n", 0)
    told, code = run("--format", "sarif", "slow.yaml")
    check_sarif(json.loads(told))
    assert json.loads(told)["runs"][0]["results"][0]["level"] == "warning"


def check_sarif(document: dict[str, Any]) -> None:
    """The parts of the schema of SARIF 2.1.0 that concern what we write."""
    assert set(document) == {"$schema", "version", "runs"}
    assert document["version"] == "2.1.0"
    (one,) = document["runs"]
    assert set(one) <= {"tool", "columnKind", "artifacts", "results"}
    assert one["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = one["tool"]["driver"]
    assert isinstance(driver["name"], str)
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(rules) == len(set(rules))
    for rule in driver["rules"]:
        assert isinstance(rule["shortDescription"]["text"], str)
    for result in one["results"]:
        assert set(result) == {"ruleId", "level", "message", "locations"}
        assert result["ruleId"] in rules
        assert result["level"] in ("none", "note", "warning", "error")
        assert isinstance(result["message"]["text"], str)
        for location in result["locations"]:
            physical = location["physicalLocation"]
            assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", physical["artifactLocation"]["uri"])
            region = physical["region"]
            assert all(isinstance(region[key], int) and region[key] >= 1 for key in ("startLine", "startColumn"))
            for logical in location.get("logicalLocations", []):
                assert isinstance(logical["fullyQualifiedName"], str)


def test_sarif_has_a_result_for_each_fault(folder: Path) -> None:
    odd = folder / "a b:c,é.json"
    odd.write_text('{"name": "x",\n\t"steps": {"a": {"uses": "sample.echo",\n\t\t"wiht": "\\ud83d\\ude00"}}}')
    told, code = run("--format", "sarif", "wrong.yaml", str(odd), "missing.yaml")
    document = json.loads(told)
    check_sarif(document)
    assert code == 2
    results = document["runs"][0]["results"]
    places_of = [
        (
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in results
    ]
    assert places_of == [
        *(("wrong.yaml", int(place.split(":")[0])) for place in FAULTS),
        ("a%20b%3Ac%2C%C3%A9.json", 3),
        ("missing.yaml", 1),
    ]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("name: a\nsteps: {a: [}\n", Place(2, 13)),
        ("name: a\nname: b\n", Place(2, 1)),
        ('{"name": "a",\n "steps": ]}', Place(2, 11)),
        ("x: &a [1]\ny: *a\n", Place(2, 4)),
        ("\x00", Place(1, 1)),
        ("", Place(1, 1)),
    ],
)
def test_what_cannot_be_read_has_a_place_too(folder: Path, content: str, place: Place) -> None:
    (folder / "x.yaml").write_text(content)
    told, code = run("x.yaml")
    assert code == 1
    assert told.startswith(f"x.yaml:{place.line}:{place.column}: ")


def test_nothing_in_a_file_or_its_name_is_a_command_to_whoever_prints_it(folder: Path) -> None:
    evil = "\n::set-output name=x::y\r\x1b[2J%0A::warning::z"
    name = f"a{evil.replace('/', '')}.yaml"
    (folder / name).write_text(json.dumps({"name": evil, "steps": {"a": {"uses": evil, evil: 1}}, evil: 2}))
    for format in ("human", "github", "sarif"):
        told, code = run("--format", format, name)
        assert code == 1
        assert "\x1b" not in told
        assert "\r" not in told
        lines = [line for line in told.splitlines() if line.lstrip().startswith("::")]
        assert all(line.startswith("::error file=") for line in lines)
        assert "::set-output" not in [line.lstrip()[:12] for line in lines]
        if format == "github":
            assert all(line.count("%0A") == line.count("%250A") == 0 or "%250A" in line for line in lines)


def test_hostile_files_end_soon_with_a_line(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "deep.yaml").write_text("a: " + "[" * 100_000)
    (folder / "large.yaml").write_text("a: " + "x" * 300_000)
    (folder / "bomb.yaml").write_text("a: &a [x]\n" + "".join(f"b{i}: [*a, *a]\n" for i in range(100)))
    (folder / "latin.yaml").write_bytes(b"name: \xe9\n")
    (folder / "wide.yaml").write_text("name: wide\nsteps:\n" + "".join(f"  s{i}: {{uses: x}}\n" for i in range(9000)))
    for name in ("deep.yaml", "large.yaml", "bomb.yaml", "latin.yaml", "wide.yaml"):
        told, code = run(name)
        assert code == 1
        assert len(told) < 100_000
    for name in ("pipe", ".", "missing", "", "a\0b"):
        told, code = run(name)
        assert code == 2
        assert told.count("\n") == 1


def test_it_runs_where_there_is_no_database_and_no_stack(folder: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": "postgres://x@127.0.0.1:1/x",
        "ERIP_STATE_DIR": str(folder),
    }
    command = [sys.executable, str(ROOT / "manage.py"), "validate", *sorted(map(str, SHIPPED)), "-"]
    done = subprocess.run(command, env=environment, input=b"name: a", capture_output=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    told = done.stdout.decode().splitlines()
    assert [line.rpartition(" is ")[2] for line in told[:-1]] == ["valid"] * len(SHIPPED)
    assert told[-1] == "-:1:1: steps: is required"
    assert done.stderr == b""


SHIPPED = list((ROOT / "workflows" / "library" / "definitions").glob("*.yaml"))


def test_every_part_of_the_shipped_definitions_is_found_where_it_stands() -> None:
    for file in SHIPPED:
        text = file.read_text()
        lines = text.splitlines()
        document = definition.parse(text, "yaml")
        paths = [f"steps.{id}.{key}" for id, step in document["steps"].items() for key in step]
        for path, place in places.find(text, paths).items():
            assert lines[place.line - 1][place.column - 1 :].startswith(path.rpartition(".")[2]), (file.name, path)
