"""Each page of docs/tutorial works as typed: its commands run against a whole stack, in their order."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from erip.ops.stack.private import PrivateStack, private_stack
from erip.ops.stack.state import ROOT

PAGES = ROOT / "docs" / "tutorial"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")


def commands(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


class Reader:
    """A reader who types the commands on the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = dict(os.environ)

    def types(self, *blocks: str) -> str:
        """What the shell printed."""
        script = "\n".join(blocks).replace("curl -sS", "curl -sS --fail-with-body")
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    # The platform may run as another user, who must be able to read the steps here: pytest's own folders are private.
    folder = Path(tempfile.mkdtemp(prefix="erip-tutorial-"))
    folder.chmod(0o755)
    reader = Reader(folder)
    reader.types(commands("3-first-step.md")[0])
    before = dict(os.environ)
    os.environ.update(ERIP_APPS="acme", ERIP_APPS_DIR=str(folder))
    try:
        with private_stack() as stack:
            reader.env |= _address(stack)
            yield reader
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def _address(stack: PrivateStack) -> dict[str, str]:
    return {"ERIP": stack.url, "KEY": stack.api_key}


def test_the_first_run(reader: Reader) -> None:
    start, find = commands("1-first-run.md")
    ran = reader.types(start)
    assert '"status":"SUCCEEDED"' in ran
    run = json.loads(ran)
    assert run["id"]
    assert run["output"]
    # What comes after the outcome may not have ended yet.
    done = [step for step in run["steps"] if step["status"] == "SUCCEEDED"]
    assert done
    assert all(step["started_at"] and step["finished_at"] for step in done)
    assert '"business_key":"first-run"' in reader.types(find)


def test_the_first_definition(reader: Reader) -> None:
    write, publish, mistake, run = commands("2-first-definition.md")
    assert '"version":1' in reader.types(write, publish)
    # The page means the reader to see a refusal here.
    refused = reader.types(mistake.replace("curl -sS", "curl -s"))
    assert "steps.look_up.uses" in refused
    assert "nexus.enrich_threat" in refused
    ran = reader.types(run)
    assert '"status":"SUCCEEDED"' in ran
    # What you see in `output`.
    assert json.loads(ran)["output"]["cve"] == "CVE-2021-44228"
    assert "threat_score" in json.loads(ran)["output"]["found"]


def test_the_first_step(reader: Reader) -> None:
    _, use = commands("3-first-step.md")
    assert '"output":3' in reader.types(use)


def test_the_first_event(reader: Reader) -> None:
    trigger, send, look = commands("4-first-event.md")
    reader.types(*commands("2-first-definition.md")[:2])
    reader.types(trigger)
    # A trigger is in force within a second: the event is sent, each time with a new id, until it has started a run.
    again = "for n in $(seq 30); do " + send.replace("finding-1", "finding-'$n'") + f"found=$({look.strip()}); "
    again += 'case "$found" in *finding*) echo "$found"; exit 0;; esac; sleep 0.5; done; exit 1'
    reader.types(send)
    assert "finding" in reader.types(again)
