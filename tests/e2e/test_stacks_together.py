"""Several stacks that start at the same moment, on one machine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT

SETTINGS = ("DATABASE_URL", "ERIP_BROKER_URL", "DJANGO_SETTINGS_MODULE", "ERIP_WEB_PORT", "ERIP_FLOWER_PORT")
SECONDS = 180


@pytest.fixture
def folders():
    made = [Path(tempfile.mkdtemp(prefix="erip-stack-")) for _ in range(3)]
    yield made
    for folder in made:
        _command(folder, "down").wait(SECONDS)
        if (folder / "home").exists():
            shutil.rmtree((folder / "home").read_text().strip())
        shutil.rmtree(folder)


def test_stacks_that_start_together_all_come_up_each_on_ports_of_its_own(folders):
    # When three stacks start at once, and none has been given a port
    starting = [_command(folder, "up", "--json") for folder in folders]
    said = [process.communicate(timeout=SECONDS) for process in starting]
    # Then each runs
    assert [process.returncode for process in starting] == [0, 0, 0], [errors for _, errors in said]
    answers = [json.loads(output) for output, _ in said]
    # And each accepts its own key, so each address leads to its own web process
    assert len({answer["url"] for answer in answers}) == len({answer["addresses"]["flower"] for answer in answers}) == 3
    for answer in answers:
        key = {"Authorization": f"Bearer {answer['api_key']}"}
        with urllib.request.urlopen(urllib.request.Request(f"{answer['url']}/api/v1/workflows", headers=key)) as found:
            assert found.status == 200


def _command(folder: Path, *words: str) -> subprocess.Popen:
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return subprocess.Popen(
        [sys.executable, "-m", "erip.ops.stack", *words],
        env={**env, "ERIP_STATE_DIR": str(folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
