"""`manage.py new` makes a package that runs; tests/e2e/test_own_steps.py runs it in a whole platform."""

import subprocess
import sys
from pathlib import Path

import pytest
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
