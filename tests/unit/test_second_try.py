"""Which tests are tried again: those with a reason, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT

TWO_TRIES = """
import pytest
tries = []

{mark}
def test_needs_luck():
    tries.append(1)
    assert len(tries) == 2
"""


def run(folder: Path, mark: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_luck.py").write_text(TWO_TRIES.format(mark=mark))
    own = ("-c", os.devnull, "-p", "no:django", "-p", "no:cacheprovider", "-p", "tests.support.second_try", "-rR")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *own, "--rootdir", folder, *words, folder],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_test_with_a_reason_gets_a_second_try_and_the_report_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, '@pytest.mark.retry_once(reason="the kernel may take this port")')
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 rerun" in done.stdout


@pytest.mark.parametrize(
    ("mark", "words", "said"),
    [
        ("", (), "1 failed"),
        ("@pytest.mark.retry_once()", (), "retry_once has no reason"),
        ('@pytest.mark.retry_once("a reason by position")', (), "retry_once has no reason"),
        ("@pytest.mark.flaky(reruns=1)", (), "use retry_once"),
        ("", ("--reruns", "1"), "--reruns hides races"),
        ("", ("--force-reruns", "1"), "--reruns hides races"),
    ],
)
def test_no_other_way_leads_to_a_second_try(tmp_path: Path, mark: str, words: tuple[str, ...], said: str) -> None:
    done = run(tmp_path, mark, *words)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert " rerun" not in done.stdout
