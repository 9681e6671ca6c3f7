"""The tools of Prometheus, where they are installed (`make ha-deps` does so on Debian)."""

import shutil
import subprocess
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """The path of one of them; without it the test is skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")
    return found


def run(name: str, *arguments: str | Path) -> str:
    """What it says. Fails the test where it finds a fault."""
    done = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6_000:]
    return said
