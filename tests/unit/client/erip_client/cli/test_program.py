"""The program: its statuses, its one line for each error, and what it never prints."""

import ast
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT
from erip_client.cli.app import build, run
from erip_client.cli.exits import Exit
from erip_client.version import VERSION
from tests.support.scripted import answer, problem, scripted
from tests.unit.client.erip_client.cli.test_terminal import HOSTILE, harmful
from tests.workers import until

RUN = "019abc4e-7b0f-7cc3-98d2-1f0c2a5d9e11"
KEY = "erip_secret_key"
CLIENT = ROOT / "client"


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ERIP_URL", "ERIP_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ERIP_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("ERIP_API_KEY", KEY)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (problem(400, "bad-request"), 6),
        (problem(401, "not-authenticated"), 4),
        (problem(403, "permission-denied"), 4),
        (problem(404, "unknown-run"), 3),
        (problem(409, "run-already-ended"), 7),
        (problem(410, "event-id-too-old"), 3),
        (problem(413, "too-large"), 6),
        (problem(415, "unsupported"), 6),
        (problem(422, "invalid-input"), 6),
        (problem(429, "lane-full", Retry_After=900), 8),
        (problem(500, "internal-error"), 9),
        (problem(503, "database-unavailable", Retry_After=900), 5),
        (answer(200, b"<html>", "text/html"), 9),
    ],
)
def test_each_refusal_has_its_status(reply: bytes, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted([reply]) as server:
        assert run(["show", RUN, "--url", server.url]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("erip: ")


def test_a_server_that_is_away_has_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("erip_client.cli.session.PATIENCE", 0.0)
    assert run(["list", "--url", "http://127.0.0.1:1"]) == Exit.UNREACHABLE
    assert capsys.readouterr().err == "erip: Cannot reach http://127.0.0.1:1: connection refused.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["lst"],
        ["list", "--nope"],
        ["list", "--limit", "x"],
        ["show"],
        ["show", "12"],
        ["cancel", RUN, "12"],
        ["start", "triage", "--set", "x"],
        ["start", "triage", "-i", "/no/such/file"],
        ["start", "triage", "--url", "ftp://x"],
        ["start", "triage", "--profile", "absent"],
        ["workflows", "--source"],
        ["events", "send"],
        ["runs", "cancel"],
        ["runs", "retry", "--yes"],
        ["retry", RUN, RUN, "--set", "a=1"],
        ["batches", "--runs"],
        ["events", "send", "-", "--type", "x"],
        ["dead-letters", "replay"],
        ["dead-letters", "replay", "7", "--all"],
        ["logout"],
        ["profiles", "--use", "absent"],
        ["login", "nowhere"],
    ],
)
def test_a_mistake_on_the_command_line_sends_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with scripted([problem(500, "was-asked")]) as server:
        given = [] if "--url" in arguments else ["--url", server.url]
        assert run([*arguments, *(given if arguments != ["lst"] else [])]) == Exit.USAGE
        assert server.requests == []
    said = capsys.readouterr().err
    assert said.startswith("erip: ")
    assert len(said.splitlines()) <= 2


def test_a_warning_is_shown_and_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: triage\n")
    warned = {"warnings": [{"path": "timeout", "message": "the steps may take longer"}]}
    valid = {"valid": True, "name": "triage", "lane": "high", "steps": ["one"], **warned}
    published = {"name": "triage", "version": 2, "hash": "h", **warned}
    for command, reply in (("validate", valid), ("publish", published)):
        with scripted([answer(200, reply)]) as server:
            assert run([command, str(file), "--url", server.url]) == 0
        assert f"{file}: warning: timeout: the steps may take longer" in capsys.readouterr().out


def run_document(status: str) -> dict[str, object]:
    return {
        "id": RUN, "workflow": "triage", "version": 1, "status": status, "lane": "high", "business_key": None,
        "created_at": "2026-11-25T08:00:00Z", "started_at": None, "finished_at": None, "deadline_at": None,
        "started_by": "key:x", "error": None, "input": {}, "output": None, "steps": [],
    }  # fmt: skip


@pytest.mark.parametrize(("state", "status"), [("SUCCEEDED", 0), ("FAILED", 1), ("CANCELLED", 1), ("TIMED_OUT", 1)])
def test_how_a_run_ended_is_the_status(state: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted([answer(200, run_document("RUNNING")), answer(200, run_document(state))]) as server:
        assert run(["watch", RUN, "--url", server.url]) == status
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["RUNNING", state]


def test_waiting_ends_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted([answer(200, run_document("RUNNING"))]) as server:
        assert run(["watch", RUN, "--timeout", "0.2", "--url", server.url]) == Exit.TIMEOUT
    assert capsys.readouterr().err == f"erip: The run {RUN} is RUNNING after 0.2 seconds.\n"


def test_ctrl_c_ends_without_a_word() -> None:
    with scripted([answer(200, run_document("RUNNING"))]) as server:
        watching = subprocess.Popen(
            [sys.executable, "-m", "erip_client", "watch", RUN, "--url", server.url],
            env={**os.environ, "PYTHONPATH": str(CLIENT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # A shell has its background jobs ignore Ctrl-C, and whatever they start: the tests may be one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        until(lambda: len(server.requests) > 1, what="it looks at the run")
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=30)
    assert (watching.returncode, err) == (Exit.INTERRUPTED, "")
    assert out.split()[-1] == "RUNNING"


BATCH = {
    "id": RUN, "operation": "retry", "status": "done", "count": 3, "filter": {}, "reason": "", "created_by": "key:x",
    "created_at": "2026-11-25T08:00:00Z", "finished_at": "2026-11-25T08:00:01Z", "waits_for": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [({"retried": 2, "already_retried": 1}, 0), ({"retried": 2, "refused": 1}, 1), ({"later-word": 3}, 1), ({}, 0)],
)
def test_what_became_of_a_batch_is_the_status(
    outcomes: dict[str, int], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"run": RUN, "outcome": "refused", "result": None, "detail": "the input is not accepted", "at": None}
    replies = [answer(202, {**BATCH, "outcomes": outcomes}), answer(200, {"items": [row], "next_cursor": None})]
    with scripted(replies) as server:
        assert run(["runs", "retry", "--state", "failed", "--yes", "--url", server.url]) == status
    assert b'"filter":{"status":"FAILED"}' in server.requests[0]
    assert ("the input is not accepted" in capsys.readouterr().out) is (status == 1)


def test_without_a_terminal_nobody_is_asked_and_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    preview = {"operation": "cancel", "dry_run": True, "count": 300, "by_workflow": {"w": 300}, "by_status": {}}
    with scripted([answer(200, preview)]) as server:
        assert run(["runs", "cancel", "--workflow", "w", "--url", server.url]) == Exit.USAGE
    assert len(server.requests) == 1
    assert b'"dry_run":true' in server.requests[0]
    assert "--expect 300" in capsys.readouterr().err


def test_every_fault_is_a_line_with_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [{"path": f"input.a[{number}]", "message": "is wrong"} for number in range(3)]
    with scripted([problem(422, "invalid-input", "Not so.", faults=faults)]) as server:
        assert run(["start", "triage", "--url", server.url]) == 6
        human = capsys.readouterr().err
        assert run(["start", "triage", "--json", "--url", server.url]) == 6
    assert human.splitlines() == [
        "erip: Not so. (422 invalid-input)",
        *(f"  input.a[{at}]: is wrong" for at in range(3)),
    ]
    found = json.loads(capsys.readouterr().err)
    assert found == {
        "error": {"message": "Not so.", "status": 422, "code": "invalid-input", "faults": faults}, "exit": 6,
    }  # fmt: skip


def test_hostile_words_of_a_server_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [{"path": HOSTILE, "message": HOSTILE}]
    for arguments in (["show", RUN], ["show", RUN, "--json"], ["start", HOSTILE.replace("\r\n", "")]):
        with scripted([problem(422, HOSTILE, HOSTILE, faults=faults)]) as server:
            assert run([*arguments, "--url", server.url]) == 6
        said = capsys.readouterr()
        assert harmful(said.err + said.out, allowed="\n") == set()


def test_the_key_is_in_no_option_and_in_no_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = build()
    options = [name for command in commands(program) for name in command]
    assert not [name for name in options if "token" in name or "secret" in name or name == "--api-key"]
    (tmp_path / "config.toml").write_text(f'default = "a"\n[profiles.a]\nurl = "http://127.0.0.1:1"\nkey = "{KEY}"\n')
    (tmp_path / "config.toml").chmod(0o600)
    for arguments in (["profiles"], ["profiles", "--json"], ["profiles", "--use", "a"]):
        assert run(arguments) == 0
    said = capsys.readouterr()
    assert KEY not in said.out + said.err
    assert "http://127.0.0.1:1" in said.out


def commands(program: object) -> list[list[str]]:
    """The options of every command."""
    import typer.main

    def walk(command: object) -> list[list[str]]:
        below = getattr(command, "commands", None)
        if below:
            return [one for inner in below.values() for one in walk(inner)]
        return [[name for parameter in command.params for name in parameter.opts]]  # type: ignore[attr-defined]

    return walk(typer.main.get_command(program))  # type: ignore[arg-type]


def test_every_command_takes_the_shared_options() -> None:
    found = commands(build())
    assert len(found) > 25
    assert [one for one in found if not {"--json", "--profile", "--url"} <= set(one)] == []


FAILED_RUN = {
    "id": RUN, "workflow": "a-rather-long-name-of-a-workflow", "version": 1, "status": "FAILED", "lane": "high",
    "business_key": None, "created_at": "2026-11-25T08:00:00Z", "started_at": None, "finished_at": None,
    "deadline_at": None, "started_by": "key:x", "error": {"code": "a", "message": "b" * 120},
}  # fmt: skip
FAILED_RUNS = answer(200, {"items": [FAILED_RUN], "next_cursor": None})


def test_a_pipe_gets_no_colours_and_whole_lines() -> None:
    with scripted([FAILED_RUNS]) as server:
        done = program("list", "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "b" * 120 in done.stdout


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_colours_unless_they_are_not_wanted(variables: dict[str, str], coloured: bool) -> None:
    terminal, end = pty.openpty()
    termios.tcsetwinsize(terminal, (30, 80))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    with scripted([FAILED_RUNS]) as server:
        subprocess.run(
            [sys.executable, "-m", "erip_client", "list", "--url", server.url],
            env={**environment, "PYTHONPATH": str(CLIENT), "TERM": "xterm", **variables}, stdout=end, check=True,
            timeout=60,
        )  # fmt: skip
    os.close(end)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert ("\x1b[31m" in shown) is coloured
    # Each run is one line of the terminal, whatever its error.
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert len(lines) == 2
    assert all(len(line) <= 80 for line in lines)
    assert RUN in lines[1]


def program(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "erip_client", *arguments],
        env={**os.environ, "PYTHONPATH": str(CLIENT), **variables},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_whoever_stops_reading_hears_nothing() -> None:
    row = {
        "name": "w", "description": "d" * 500, "version": 1, "hash": "h", "lane": "high",
        "created_at": "2026-11-25T08:00:00Z", "published_at": "2026-11-25T08:00:00Z",
    }  # fmt: skip
    rows = [row] * 400
    with scripted([answer(200, {"items": rows, "next_cursor": None})]) as server:
        script = (
            f"{sys.executable} -m erip_client workflows --json --url {server.url} | head -1; echo ${{PIPESTATUS[0]}}"
        )
        done = subprocess.run(
            ["bash", "-c", script], env={**os.environ, "PYTHONPATH": str(CLIENT)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["{", "141"]


def test_help_and_version_need_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"erip {VERSION}\n"
    assert run(["--help"]) == 0
    assert run(["events", "tail", "-h"]) == 0
    assert "Follow events" in capsys.readouterr().out


def test_the_release_is_that_of_the_package() -> None:
    text = (CLIENT / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.*)"$', text, re.MULTILINE) == [VERSION]


def test_the_package_imports_nothing_of_the_server() -> None:
    needed = {"erip_client", "httpx", "pydantic", "pydantic_core"}
    for file in sorted((CLIENT / "erip_client").rglob("*.py")):
        allowed = needed | ({"rich", "typer"} if "cli" in file.parts else set())
        others = {name for name in imported(file) if name not in allowed and name not in sys.stdlib_module_names}
        assert others == set(), file


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_server_imports_nothing_of_the_package() -> None:
    files = [file for name in ("erip", "workflows", "monitoring", "benchmarks") for file in (ROOT / name).rglob("*.py")]
    named = [file for file in files if "erip_client" in file.read_text()]
    # It writes the program `erip` of an environment, and imports nothing.
    assert [file.name for file in named] == ["bootstrap.py"]
    assert "erip_client" not in imported(named[0])
