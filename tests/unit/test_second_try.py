"""Which tests are tried again: those with a reason, those with servers of their own, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT
from tests.support.second_try import MOST

LUCK = """
import pytest
tries = []

{mark}
def test_needs_luck():
    tries.append(1)
    assert len(tries) == 2
"""
#: fails in its call and, after it, in its teardown; both succeed when it is tried again
LUCK_TWICE = """
import pytest
tries = []

@pytest.fixture
def server():
    yield
    assert len(tries) == 2

def test_needs_luck(server):
    tries.append(1)
    assert len(tries) == 2
"""
REASONLESS = ("retry_once()", 'retry_once("a reason by position")', 'retry_once(reason=" ")', "flaky(reruns=1)")


def run(folder: Path, *marks: str, words: tuple[str, ...] = (), text: str = LUCK) -> subprocess.CompletedProcess[str]:
    """A session of its own, with a file for each of `marks` in which a test succeeds when it is tried again."""
    for number, mark in enumerate(marks):
        (folder / f"test_luck_{number}.py").write_text(text.format(mark=f"@pytest.mark.{mark}" if mark else ""))
    plugins = ("-p", "no:cacheprovider", "-p", "pytest_rerunfailures", "-p", "tests.support.second_try")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, *plugins, "-rR", "--rootdir", folder, *words, folder],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
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


@pytest.mark.parametrize(("folder", "tried_again"), [("integration", True), ("crash", True), ("unit", False)])
def test_a_test_with_servers_of_its_own_gets_a_second_try_and_one_that_computes_does_not(
    tmp_path: Path, folder: str, tried_again: bool
) -> None:
    place = tmp_path / "tests" / folder
    place.mkdir(parents=True)
    done = run(place, "", words=("--rootdir", str(tmp_path)))
    assert done.returncode == (0 if tried_again else 1), done.stdout
    assert (f"RERUN tests/{folder}/test_luck_0.py::test_needs_luck (call)" in done.stdout) == tried_again
    # What failed is shown, though it passed in the end.
    assert "assert len(tries) == 2" in done.stdout


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(("count", "status"), [(MOST, 0), (MOST + 1, 1)])
def test_a_session_with_too_many_second_tries_fails(tmp_path: Path, count: int, status: int, processes: str) -> None:
    place = tmp_path / "tests" / "integration"
    place.mkdir(parents=True)
    done = run(place, *[""] * count, words=("--rootdir", str(tmp_path), "-p", "xdist", "-n", processes))
    assert done.returncode == status, done.stdout
    assert done.stdout.count("___ RERUN ") == count
    assert (f"{count} second tries in one session" in done.stdout) == bool(status)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_test_whose_call_and_teardown_failed_is_one_second_try(tmp_path: Path, processes: str) -> None:
    place = tmp_path / "tests" / "integration"
    place.mkdir(parents=True)
    words = ("--rootdir", str(tmp_path), "-p", "xdist", "-n", processes)
    done = run(place, *[""] * MOST, words=words, text=LUCK_TWICE)
    assert done.returncode == 0, done.stdout
    # Both failures are shown.
    assert done.stdout.count("(call) ___") == done.stdout.count("(teardown) ___") == MOST


@pytest.mark.parametrize("mark", ["", 'retry_once(reason="the kernel may take this port")'])
def test_a_debugger_stops_at_the_first_failure(tmp_path: Path, mark: str) -> None:
    place = tmp_path / "tests" / "integration"
    place.mkdir(parents=True)
    done = run(place, mark, words=("--rootdir", str(tmp_path), "--pdb"))
    assert done.returncode != pytest.ExitCode.USAGE_ERROR, done.stderr
    assert "(Pdb)" in done.stdout
    assert "RERUN" not in done.stdout
