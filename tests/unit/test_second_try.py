"""Which tests are tried again: those with a reason, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT

LUCK = """
import pytest
tries = []

{mark}
def test_needs_luck():
    tries.append(1)
    assert len(tries) == 2
"""
REASONLESS = ("retry_once()", 'retry_once("a reason by position")', 'retry_once(reason=" ")', "flaky(reruns=1)")


def run(folder: Path, *marks: str, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A session of its own, with a file for each of `marks` in which a test succeeds when it is tried again."""
    for number, mark in enumerate(marks):
        (folder / f"test_luck_{number}.py").write_text(LUCK.format(mark=f"@pytest.mark.{mark}" if mark else ""))
    plugins = ("-p", "no:cacheprovider", "-p", "pytest_rerunfailures", "-p", "tests.support.second_try")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, *plugins, "-rR", "--rootdir", folder, *words, folder],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_test_with_a_reason_gets_a_second_try_and_the_report_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, 'retry_once(reason="the kernel may take this port")')
    assert done.returncode == 0, done.stdout
    assert "RERUN test_luck_0.py::test_needs_luck" in done.stdout


def test_a_test_without_a_mark_is_tried_once(tmp_path: Path) -> None:
    done = run(tmp_path, "")
    assert done.returncode == 1
    assert "RERUN" not in done.stdout


def test_whoever_wants_a_second_try_without_a_reason_is_named_before_anything_runs(tmp_path: Path) -> None:
    done = run(tmp_path, *REASONLESS)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.count("retry_once has no reason") == 3
    assert "test_luck_3.py::test_needs_luck: use retry_once" in done.stderr
    assert "no tests ran" in done.stdout


@pytest.mark.parametrize("option", ["--reruns", "--force-reruns"])
def test_the_command_line_gives_no_second_try(tmp_path: Path, option: str) -> None:
    done = run(tmp_path, "", words=(option, "1"))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "mark the test retry_once, with a reason" in done.stderr
