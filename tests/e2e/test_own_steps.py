"""docs/how-to/own-steps.md works as typed, and so does `make dev`. One stack serves all tests, in their order."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from erip.ops.stack import control
from erip.ops.stack.ports import any_free
from erip.ops.stack.private import OTHERS
from erip.ops.stack.state import ROOT, State, read_json
from tests.workers import until

PAGE = (ROOT / "docs" / "how-to" / "own-steps.md").read_text("utf-8")
MAKE, MAKE_WITH_FIELDS, RUN, EVENT = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(DEV,) = re.findall(r"^```dev\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.skipif(
    not (shutil.which("curl") and (ROOT / ".venv").is_dir()), reason="the page uses curl and the checkout's .venv"
)


class Developer:
    """Types the commands of the page, and reads what `make dev` shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps = folder / "my-steps" / "my_steps" / "steps.py"
        self.shown = folder / "shown.log"
        self.state = State(folder / "state")
        self.env = {name: value for name, value in os.environ.items() if name not in OTHERS}
        self.env |= {"WORK": str(folder), "ERIP_STATE_DIR": str(self.state.root), "ERIP_DB_LEAK_AFTER": "3"}
        self.env |= {"ERIP_WEB_PORT": str(any_free())}

    def types(self, block: str) -> str:
        script = block.replace("curl -sS", "curl -sS --fail-with-body")
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def sees(self, text: str, *, times: int = 1) -> None:
        until(
            lambda: self.shown.read_text().count(text) >= times, seconds=180, what=f"{text}: {self.shown.read_text()}"
        )

    def writes(self, old: str, new: str) -> None:
        self.steps.write_text(self.steps.read_text().replace(old, new))


@pytest.fixture(scope="module")
def developer() -> Iterator[Developer]:
    # The platform may run as another user, who must be able to read the package: pytest's own folders are private.
    folder = Path(tempfile.mkdtemp(prefix="erip-own-steps-"))
    folder.chmod(0o755)
    developer = Developer(folder)
    try:
        assert "3 passed" in developer.types(MAKE)
        with developer.shown.open("w") as shown:
            dev = subprocess.Popen(
                ["bash", "-c", DEV.replace("make dev", "exec make -s dev")],
                cwd=ROOT,
                env=developer.env,
                stdout=shown,
                stderr=shown,
                start_new_session=True,
                # A shell has its background jobs ignore Ctrl-C, and whatever they start: the tests may be one.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        try:
            developer.sees("Watching ")
            known = read_json(developer.state.credentials)
            address = control.status(developer.state).url("web") or ""
            developer.env |= {"ERIP": address, "KEY": str(known["api_key"])}
            yield developer
        finally:
            os.killpg(dev.pid, signal.SIGINT)
            dev.wait(90)
            assert not control.is_running(developer.state)
    finally:
        home = developer.state.root / "home"
        if home.is_file():
            shutil.rmtree(home.read_text().strip(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_the_page_works_as_typed(developer: Developer) -> None:
    assert json.loads(developer.types(RUN))["output"] == {"words": 3}
    assert '"accepted":1' in developer.types(EVENT)


def test_a_package_for_given_fields_passes_its_tests(developer: Developer) -> None:
    assert "2 passed" in developer.types(MAKE_WITH_FIELDS)


def test_the_sample_and_the_tests_run_without_being_asked(developer: Developer) -> None:
    developer.sees('my-steps SUCCEEDED {"words": 3}')
    developer.sees("tests: 3 passed")


def test_a_change_takes_over_and_no_request_fails_meanwhile(developer: Developer) -> None:
    developer.writes("words=len", "words=100 + len")
    found: set[int] = set()
    until_then = time.monotonic() + 120
    while 103 not in found and time.monotonic() < until_then:
        answer = json.loads(developer.types(RUN))
        # Whoever waits for a run while the web process is replaced is answered before the run has ended.
        assert answer["status"] in ("PENDING", "RUNNING", "SUCCEEDED"), answer
        if answer["status"] == "SUCCEEDED":
            found.add(answer["output"]["words"])
    assert found <= {3, 103}
    assert 103 in found
    developer.sees("reloaded")
    developer.sees('my-steps SUCCEEDED {"words": 103}')
    developer.sees("tests: 2 failed, 1 passed")


def test_code_that_does_not_load_is_shown_with_its_place_and_the_last_good_code_goes_on(developer: Developer) -> None:
    developer.writes("retry=Retry(max_attempts=3)", "retry=3")
    developer.sees("write Retry(max_attempts=3)")
    assert re.search(r"my_steps/steps\.py:\d+: step \"my_steps\.count_words\"", developer.shown.read_text())
    assert json.loads(developer.types(RUN))["output"] == {"words": 103}
    developer.writes("retry=3", "retry=Retry(max_attempts=3)")
    developer.sees("reloaded", times=2)


def test_a_running_stack_refuses_other_settings_by_name(developer: Developer) -> None:
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-m", "erip.ops.stack", "up"],
        env=developer.env | {"ERIP_APPS": "another"},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "without this ERIP_APPS" in done.stderr


def test_no_connection_was_reported_as_leaked(developer: Developer) -> None:
    logs = {log.name: log.read_text() for log in developer.state.logs.glob("worker-*.log")}
    assert [name for name, text in logs.items() if "connection_leaked" in text] == []
