"""Note [Frozen values] in `values`: what nobody may change is frozen for the type checker alone."""

import subprocess
import sys
from pathlib import Path

from erip.foundation.values import value


@value
class Pair:
    """A value."""

    left: int
    right: int = 0


def test_values_are_equal_by_their_fields_hashed_by_them_and_take_no_others() -> None:
    assert Pair(1) == Pair(1, 0) != Pair(1, 2)
    assert {Pair(1), Pair(1, 0)} == {Pair(1)}
    assert not hasattr(Pair(1), "__dict__")


def test_the_type_checker_refuses_whoever_changes_one(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from workflows.core.machine import StepTaken\n\nStepTaken('one').step = 'another'\n")
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "--follow-imports=silent", str(wrong)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 'Property "step" defined in "StepTaken" is read-only' in told.stdout, told.stdout + told.stderr
