"""`manage.py new` makes a package that runs; tests/e2e/test_own_steps.py runs it in a whole platform."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from django.core.management import CommandError, call_command

from erip.ops.stack.state import ROOT


def test_its_own_tests_pass(tmp_path: Path) -> None:
    call_command("new", "own-words", dir=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "own-words")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My Steps", "is no name for a package"),
        ("../steps", "is no name for a package"),
        ("a" * 41, "is no name for a package"),
        ("class", "There is a module class already"),
        ("json", "There is a module json already"),
        ("workflows", "There is a module workflows already"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("new", name, dir=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "own-words").mkdir()
    with pytest.raises(CommandError, match="is there already"):
        call_command("new", "own-words", dir=str(tmp_path))
    assert list((tmp_path / "own-words").iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["order"], "'order' is no field"),
        (["order:text"], "is no field"),
        (["Order:str"], "is no field"),
        (['a"b:str'], "is no field"),
        (["a:str", "a:int"], "a is there twice"),
        (["class:str"], "cannot be called class"),
        (["model_x:str"], "cannot be called model_x"),
        ([f"f{number}:str" for number in range(31)], "more than 30 fields"),
        (["a:b", "class:str"], "is no field.*; .*cannot be called"),
    ],
)
def test_a_field_that_cannot_be_one_is_refused(tmp_path: Path, fields: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("new", "own-words", dir=str(tmp_path), fields=fields)
    assert list(tmp_path.iterdir()) == []


def test_a_package_for_given_fields_is_valid_and_fits_its_sample(tmp_path: Path) -> None:
    call_command("new", "pay-out", dir=str(tmp_path), fields=["order:str", "amount:float", "number:int", "now:bool"])
    root = tmp_path / "pay-out"
    for file in root.rglob("*.py"):
        compile(file.read_text(), str(file), "exec")
    definition = yaml.safe_load((root / "pay_out" / "definitions" / "pay-out.yaml").read_text())
    sample = json.loads((root / "samples" / "pay-out.json").read_text())
    assert list(definition["steps"]["only"]["with"]) == list(sample) == definition["input"]["required"]
    jsonschema_rs.validate(definition["input"], sample)
    for file in root.rglob("*.*"):
        assert not file.is_file() or not any(left in file.read_text() for left in ("PACKAGE", "NAME", "FIELDS", "DATA"))
