"""The command line and the Python client against a real web server and a real worker: what their pages say runs as it
stands there, and every command runs at least once."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from django.db import connections

from erip.access import keys
from erip.foundation.process import draining
from erip.ops.stack.state import ROOT
from erip_client.cli.app import build
from tests.definitions import one_step, publish
from tests.support import forked_erip
from tests.support.api import key
from tests.support.server import serving
from tests.unit.client.erip_client.cli.test_program import commands
from tests.workers import leader, process, until, worker
from workflows import engine
from workflows.events.streaming import listening
from workflows.models import StepRun

CLIENT = ROOT / "client"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


class Shell:
    """A shell with `erip`, in a folder of its own."""

    def __init__(self, url: str, token: str, folder: Path) -> None:
        self.folder = folder
        called = folder / "bin" / "forked"
        called.parent.mkdir()
        called.write_text(forked_erip.program(str(folder / "socket")))
        program = folder / "bin" / "erip"
        program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/called\nexec {called} "$@"\n')
        for file in (called, program):
            file.chmod(0o755)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ERIP_")} | {
            "PYTHONPATH": str(CLIENT),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "ERIP": url,
            "KEY": token,
            "ERIP_CONFIG": str(folder / "config.toml"),
        }

    def run(self, script: str, status: int = 0) -> str:
        """What it printed."""
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script], cwd=self.folder, env=self.environment, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{script}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def called(self) -> set[str]:
        """The commands that were called, such as `events send`."""
        lines = [line.split() for line in (self.folder / "called").read_text().splitlines()]
        groups = ("events", "dead-letters", "runs", "pauses", "errors", "schedules")
        return {" ".join(words[:2]) if words[0] in groups else words[0] for words in lines}


@pytest.fixture
def unknown(transactional_db: None) -> str:
    """A run whose only step is UNKNOWN, as a lost worker leaves it."""
    publish(one_step("sample.echo", "{value: 1}"))
    first, run = (
        each.id
        for each in engine.start_runs(
            "one", [engine.StartRequest({}, "A-1"), engine.StartRequest({}, "A-2")], principal="test"
        )
    )
    StepRun.objects.filter(run_id__in=[first, run]).update(state="UNKNOWN", attempt=1)
    return run


@pytest.fixture
def shell(unknown: str, tmp_path: Path) -> Iterator[Shell]:
    keys.forget_cached()
    forking = process(["-m", "tests.support.forked_erip", str(tmp_path / "socket")], tmp_path / "forked.log",
                      PYTHONPATH=os.pathsep.join([str(ROOT), str(CLIENT)]))  # fmt: skip
    with serving() as url, forking, worker(tmp_path / "worker.log"), leader(tmp_path / "leader.log"):
        until((tmp_path / "socket").exists, what="the process that forks has imported everything")
        yield Shell(url, key(), tmp_path)
    draining.forget()
    listening.forget()
    connections.close_all()


FAILS_TO_START = """\
name: choosy
input: {type: object, required: [host], additionalProperties: false, properties: {host: {type: string}}}
steps:
  only: {uses: sample.echo, with: {value: "${{ input.host }}"}}
on: {event: choosy.asked, input: "${{ event.data }}"}
"""


@pytest.mark.django_db(transaction=True)
def test_both_pages_and_every_command_run(shell: Shell, unknown: str) -> None:
    the_python_page_runs(shell)
    page = blocks("how-to/command-line.md", "sh")
    said = shell.run("\n".join(page))
    assert "triage.yaml: triage is valid: 2 steps, high lane" in said
    assert "SUCCEEDED" in said
    assert "given to agree" in said or "kept for" in said
    assert shell.environment["KEY"] not in said
    assert "3 runs. Nothing was done." in said
    assert re.search(r"cancel 3 runs: done.*^cancelled +3 *$", said, re.DOTALL | re.MULTILINE), said
    assert re.search(r"retry 3 runs: done.*^retried +3 *$", said, re.DOTALL | re.MULTILINE), said

    # What the page does not run: what needs a lost worker, an end by Ctrl-C, or an event that cannot take effect.
    run = unknown
    assert "only" in shell.run(f"erip explain {run}")
    assert "SUCCEEDED" in shell.run(f"erip resolve {run} only succeeded --set value=7; erip watch {run}")
    shell.run(f"erip resolve {run} only succeeded", status=7)
    assert "A-1" in shell.run("erip resolve")
    shell.run("erip resolve one only retry --key A-1")
    shell.run("erip resolve one only failed --key A-1", status=3)
    shell.run(f"erip show {run}; erip runs show {run}; erip runs watch {run}; erip runs explain {run}; erip runs list")
    send = "erip events send --type tailed.one --source /tests"
    tail = "erip events tail --type 'tailed.*' --count 1 --json > heard & "
    tail += f"while [ ! -s heard ]; do {send}; done; wait; cat heard"
    assert '"tailed.one"' in shell.run(tail)
    position = json.loads(shell.run("erip events list --limit 1 --json"))["items"][0]["position"]
    assert '"runs": []' in shell.run(f"erip events show {position}")

    shell.run(f"cat > choosy.yaml <<'YAML'\n{FAILS_TO_START}YAML\nerip publish choosy.yaml")
    ask = "erip events send --type choosy.asked --source /tests --set hst=web-1"
    letters = "erip dead-letters list --json"
    until(
        lambda: json.loads(shell.run(f"{ask} > /dev/null; {letters}"))["items"],
        what="the rule is in force, and its event is a dead letter",
    )
    letter = json.loads(shell.run(letters))["items"][0]["id"]
    assert "input_invalid" in shell.run("erip dead-letters list")
    assert '"choosy.asked"' in shell.run(f"erip dead-letters show {letter}")
    assert "retried" in shell.run(f"erip dead-letters replay {letter}")
    shell.run(f"erip dead-letters discard {letter}", status=7)
    hourly = {"workflow": "triage", "input": {"cves": []}, "every": "1h", "catch_up": "none", "overlap": "allow"}
    (shell.folder / "hourly.json").write_text(json.dumps(hourly))
    shell.run("erip schedules put hourly hourly.json; erip schedules list; erip schedules preview hourly")
    shell.run("erip schedules pause hourly; erip schedules resume hourly; erip schedules trigger hourly")
    shell.run("erip schedules backfill hourly --from 2026-01-01T00:00:00Z --to 2026-01-01T02:00:00Z")
    shell.run("erip schedules starts hourly; erip schedules delete hourly")
    for command in ("show 12", "resolve 12 --reason x", "ignore 12 --reason x", "reopen 12 --reason x"):
        shell.run(f"erip errors {command}", status=3)
    assert "profile default" in shell.run("erip status; erip logout; erip profiles").lower()
    shell.run("erip list --url $ERIP", status=4)
    shell.run("erip runs cancel", status=2)
    assert every_command() - shell.called() - {"dead-letters discard"} == set()


def every_command() -> set[str]:
    found = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    named = {
        f"{name} {inner}" if hasattr(command, "commands") else name
        for name, command in found.items()
        for inner in getattr(command, "commands", [""])
    }
    assert len(named) == len(commands(build()))
    return named


def the_python_page_runs(shell: Shell) -> None:
    script = shell.folder / "page.py"
    script.write_text("\n".join(blocks("reference/client.md", "python")))
    done = shell.run(f"{sys.executable} {script}")
    lines = done.splitlines()
    assert lines[0].startswith("SUCCEEDED ")
    assert "['SUCCEEDED', 'SUCCEEDED']" in lines
    assert lines[-3:] == [
        "invalid-input [('input.cves', '7 is not of type \"array\"')]", "unknown-run", "run-already-ended",
    ]  # fmt: skip


def test_the_package_builds_and_installs_without_the_server(tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    commands = [
        [uv, "build", "-q", "--wheel", "--out-dir", str(tmp_path / "wheel"), str(CLIENT)],
        [uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")],
    ]
    for command in commands:
        subprocess.run(command, check=True, timeout=120)
    wheel = next((tmp_path / "wheel").glob("*.whl"))
    python = tmp_path / "venv" / "bin" / "python"
    install = [uv, "pip", "install", "-q", "--python", str(python), f"{wheel}[cli]"]
    subprocess.run(install, check=True, timeout=120)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "erip", "--version"], env=environment, cwd=tmp_path, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    listed = subprocess.run([uv, "pip", "list", "--python", str(python)], capture_output=True, text=True, check=True)
    assert "django" not in listed.stdout.lower()
    assert "celery" not in listed.stdout.lower()
