"""The commands in docs/reference/api.md and docs/reference/events.md run exactly as written."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from erip.access import keys
from tests.support.api import key
from tests.support.server import serving

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples use curl")
@pytest.mark.django_db(transaction=True)
def test_the_documents_commands_run_and_none_is_a_server_error():
    statuses = run_commands("reference/api.md")
    assert statuses == ["200", "201", "202", "202", "202", "202", *["200"] * 7, "422"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples use curl")
@pytest.mark.django_db(transaction=True)
def test_the_commands_about_events_run_too():
    statuses = run_commands("reference/events.md")
    assert set(statuses) <= {"200", "201", "202", "204"}
    assert statuses[:3] == ["202", "202", "202"]


def run_commands(page: str) -> list[str]:
    """Run the page's commands against a real server. Returns the statuses of the answers."""
    keys.forget_cached()
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    # No worker runs the runs here, and the test needs each answer's status.
    script = "\n".join(blocks).replace("wait=20", "wait=0").replace("curl -sS", "curl -sS -w '\\n%{http_code}\\n'")
    script = re.sub(r"((?:RUN|BATCH)=\$\(curl -sS) -w '\\n%\{http_code\}\\n'", r"\1", script)

    with serving() as url:
        environment = {**os.environ, "ERIP": url, "KEY": key()}
        done = subprocess.run(
            ["bash", "-eu", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert done.returncode == 0, done.stderr
    return re.findall(r"^(\d{3})$", done.stdout, re.MULTILINE)
