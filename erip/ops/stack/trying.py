"""What `make dev` does after each change, so that saving a file is all that a developer does: it starts a run for each
sample of the own packages, and runs their tests.

A package's project is the folder above it that has a pyproject.toml: `samples/WORKFLOW.json` are inputs, `tests` are
tests for pytest. What is not there is not done.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from erip.ops.stack import control, environment, own, progress
from erip.ops.stack.demo import Api, Refused
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import ROOT, State, read_json

#: seconds within which a sample's run should end
RUN_SECONDS = 60
#: seconds for the tests of all packages
TESTS_SECONDS = 120
#: characters of an output or an error that are shown
SHOWN = 300
#: bytes of a sample, at most
MOST = 1_000_000
#: the last lines of tests that fail
LINES = 40


def projects(env: Mapping[str, str]) -> list[Path]:
    """The folders of the projects that the packages in ERIP_APPS belong to."""
    found = dict.fromkeys(folder.parent for folder in own.folders(env))
    return [folder for folder in found if (folder / "pyproject.toml").is_file() and folder != ROOT]


def beside(projects: Sequence[Path]) -> list[Path]:
    """The folders that no process runs from: a change in them needs no new processes."""
    return [folder / name for folder in projects for name in ("samples", "tests") if (folder / name).is_dir()]


class Trial:
    """Of these projects, on the stack that runs. What runs still when the next one begins is ended."""

    def __init__(self, state: State, projects: Sequence[Path]) -> None:
        self._state = state
        self._projects = projects
        self._tests: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        """Starts the tests, and meanwhile runs the samples; each result is one line."""
        self.stop()
        folders = [folder / "tests" for folder in self._projects if (folder / "tests").is_dir()]
        samples = [file for folder in self._projects for file in sorted((folder / "samples").glob("*.json"))]
        if samples:
            self._run(samples)
        if folders:
            self._test(folders)

    def stop(self) -> None:
        if self._tests is not None and self._tests.poll() is None:
            self._tests.kill()
        if self._tests is not None:
            self._tests.communicate()
            self._tests = None

    def _run(self, samples: Sequence[Path]) -> None:
        try:
            url = control.status(self._state).url("web") or ""
        except StackError as error:
            return progress.error(str(error))
        api = Api(
            url, str(read_json(self._state.credentials).get("api_key", "")), control.front_context(self._state, url)
        )
        for sample in samples:
            began = time.monotonic()
            try:
                said = _outcome(api, sample.stem, sample_input(sample))
            except (StackError, Refused, ValueError) as error:
                faults = error.faults if isinstance(error, Refused) else [str(error)]
                for fault in faults:
                    progress.error(f"{sample.stem}: {fault}")
                continue
            (progress.done if said[0] else _failed)(f"{sample.stem} {said[1]}", time.monotonic() - began)
        return None

    def _test(self, folders: Sequence[Path]) -> None:
        """Waits for the tests: a change meanwhile is seen when they are over."""
        began = time.monotonic()
        self._tests = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *map(str, folders)],
            cwd=ROOT,
            # As somebody has it who types the command: nothing of the stack.
            env=environment.base(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            printed, _ = self._tests.communicate(timeout=TESTS_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            return progress.error(f"tests: not over after {TESTS_SECONDS} s")
        lines = [line for line in printed.splitlines() if line.strip()]
        last = f"tests: {lines[-1] if lines else 'nothing was said'}"
        if self._tests.returncode == 0:
            return progress.done(last, time.monotonic() - began)
        for line in lines[-LINES:-1]:
            progress.console().print(line, markup=False)
        return progress.error(last)


def sample_input(file: Path) -> dict[str, Any]:
    """Raises ValueError with the reason."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    if len(content) > MOST:
        raise ValueError(f"{file}: has more than {MOST:,} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file}: must hold a JSON object, the input of {file.stem}")
    return found


def _outcome(api: Api, workflow: str, given: dict[str, Any]) -> tuple[bool, str]:
    """Whether the run SUCCEEDED, and what came of it in one line. Raises Refused, StackError."""
    until = time.monotonic() + RUN_SECONDS
    found = api.start({"input": given}, wait=RUN_SECONDS, workflow=workflow)
    # A web process that has just been replaced answers before the run has ended.
    while "steps" not in found or (found["status"] in ("PENDING", "RUNNING") and time.monotonic() < until):
        time.sleep(0.1)
        found = api.run(str(found["id"]))
    status = str(found["status"])
    if status == "SUCCEEDED":
        return True, f"{status} {_short(found['output'])}"
    if found["error"] is not None:
        return False, f"{status} {_short(found['error'].get('message', found['error']))} (run {found['id']})"
    waits = next((step["waits_for"] for step in found["steps"] if step["waits_for"]), None)
    return status in ("WAITING", "PAUSED"), f"{status}{f': {waits}' if waits else ''} (run {found['id']})"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _failed(title: str, _seconds: float) -> None:
    progress.error(title)
