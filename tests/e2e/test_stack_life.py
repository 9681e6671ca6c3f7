"""A whole stack, as a user starts, watches, breaks and ends it. One stack serves the tests, in their order."""

import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import psutil
import pytest
import redis

from erip.ops.stack import releases
from erip.ops.stack.ports import any_free
from erip.ops.stack.private import read_env
from erip.ops.stack.processes import Identity, marked, wait_until
from erip.ops.stack.state import ROOT

OWN = ("DATABASE_URL", "ERIP_BROKER_URL", "ERIP_WORKER_BROKER_URL", "DJANGO_SETTINGS_MODULE", "ERIP_WEB_PORT")


class Stack:
    """The command line, on a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if name not in OWN}
        self.env["ERIP_STATE_DIR"] = str(folder)
        # The first stack to start gets the usual ports: between its choice and its bind another stack may answer there.
        self.env["ERIP_WEB_PORT"], self.env["ERIP_FLOWER_PORT"] = str(any_free()), str(any_free())

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "erip.ops.stack", *words],
            env={**self.env, **env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def json(self, *words: str, **env: str) -> dict:
        done = self.run(*words, "--json", **env)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def process(self, name: str) -> dict:
        return next(process for process in self.json("status")["processes"] if process["name"] == name)

    def mark(self) -> str:
        return json.loads((self.folder / "supervisor.json").read_text())["id"]


@pytest.fixture(scope="module")
def stack():
    folder = Path(tempfile.mkdtemp(prefix="erip-stack-"))
    stack = Stack(folder)
    yield stack
    stack.run("down")
    if (folder / "home").exists():
        shutil.rmtree((folder / "home").read_text().strip())
    shutil.rmtree(folder)


@pytest.fixture
def up(stack):
    """The stack, running."""
    done = stack.run("up")
    assert done.returncode == 0, done.stderr
    return stack


@pytest.fixture
def down(stack):
    """The stack, not running."""
    assert stack.run("down").returncode == 0
    return stack


def test_up_answers_with_addresses_and_logins_and_keeps_them_private(down):
    answer = down.json("up")
    assert answer["phase"] == "running"
    assert answer["started"] is True
    request = urllib.request.Request(
        f"{answer['url']}/api/v1/workflows", headers={"Authorization": f"Bearer {answer['api_key']}"}
    )
    with urllib.request.urlopen(request, timeout=10) as found:
        names = {item["name"] for item in json.load(found)["items"]}
    assert "breach-response" in names
    assert answer["admin"]["username"] == "admin"
    for name in ("env", "credentials.json", "secrets.json"):
        assert stat.S_IMODE((down.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(down.folder.stat().st_mode) == 0o700


def test_its_env_file_holds_the_login_of_workers_that_others_start(up):
    told = read_env(up.folder / "env")
    with redis.Redis.from_url(told["ERIP_WORKER_BROKER_URL"]) as of_workers:
        assert of_workers.brpop(["high-of-nobody"], timeout=0.1) is None
    with redis.Redis.from_url(told["ERIP_BROKER_URL"]) as others, pytest.raises(redis.exceptions.NoPermissionError):
        others.brpop(["high-of-nobody"], timeout=0.1)


def test_no_secret_stands_on_a_command_line(up):
    secrets = json.loads((up.folder / "secrets.json").read_text()).values()
    lines = [" ".join(process.cmdline()) for process in marked(up.mark())]
    assert len(lines) >= 5
    assert not [line for line in lines for secret in secrets if secret in line]


def test_up_again_says_that_it_runs(up):
    before = up.json("status")["pid"]
    done = up.run("up")
    assert done.returncode == 0
    assert "runs already" in done.stderr
    assert up.json("status")["pid"] == before


def test_up_over_an_older_version_says_what_to_do_and_replaces_nothing(up):
    file = up.folder / "supervisor.json"
    known = json.loads(file.read_text())
    assert up.json("up")["outdated"] is False
    file.write_text(json.dumps({**known, "code": "of another release"}))
    done = up.run("up")
    file.write_text(json.dumps(known))
    assert done.returncode == 0
    assert "make down, then make up" in done.stderr.replace("\n", " ")
    assert up.json("status")["pid"] == known["pid"]


def test_a_running_stack_holds_its_environment(up):
    in_use = Path(sys.prefix) / releases.IN_USE
    if not in_use.exists():
        pytest.skip("this environment was not made by make")
    with in_use.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("name", ["worker-critical", "postgres", "web"])
def test_a_process_that_is_killed_is_started_again(up, name):
    before = up.process(name)
    os.kill(before["pid"], signal.SIGKILL)
    assert wait_until(lambda: (now := up.process(name))["pid"] not in (None, before["pid"]) and now["uptime"], 30)
    assert up.process(name)["restarts"] == before["restarts"] + 1


def test_manage_py_finds_the_running_database(up):
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--check"], env=up.env, cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_after_a_killed_supervisor_nothing_is_left_running(up):
    known = json.loads((up.folder / "supervisor.json").read_text())
    os.kill(known["pid"], signal.SIGKILL)
    assert wait_until(lambda: not Identity(known["pid"], known["started"]).alive, 60)
    done = up.run("down")
    assert done.returncode == 0
    assert "had ended without cleaning up" in done.stderr
    assert marked(known["id"]) == []
    assert not any(psutil.pid_exists(p["pid"]) and Identity(p["pid"], p["started"]).alive for p in known["processes"])


def test_a_recycled_pid_in_a_stale_file_is_left_alone(down):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process = {"name": "web", "pid": bystander.pid, "started": 1.0}
    stale = {"id": "none", "phase": "running", "pid": bystander.pid, "started": 1.0, "processes": [process]}
    (down.folder / "supervisor.json").write_text(json.dumps(stale))
    try:
        assert down.run("status").returncode == 1
        assert down.run("down").returncode == 0
        assert bystander.poll() is None
        assert not (down.folder / "supervisor.json").exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_down_leaves_no_process_and_no_socket(up):
    mark = up.mark()
    done = up.run("down")
    assert done.returncode == 0
    assert marked(mark) == []
    assert not (up.folder / "supervisor.json").exists()
    assert not [path for path in up.folder.rglob("*") if path.is_socket()]
    assert up.json("status") == {"phase": "down"}
    assert up.run("down").returncode == 0


def test_a_taken_port_is_one_clear_line(down):
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        done = down.run("up", ERIP_WEB_PORT=port)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"✗ Port {port} (ERIP_WEB_PORT) is taken")
    assert down.run("status").returncode == 1


def test_the_demo_succeeds_and_leaves_nothing_running(down):
    done = down.run("demo", "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["status"] == "SUCCEEDED"
    assert all(step["status"] in ("SUCCEEDED", "SKIPPED") for step in run["steps"])
    assert down.json("status") == {"phase": "down"}


def test_an_incident_that_does_not_fit_the_schema_is_refused_fault_by_fault(down, tmp_path):
    incident = tmp_path / "incident.json"
    incident.write_text(json.dumps({"breach_id": "B-1", "severity": "awful", "cves": ["CVE-1"]}))
    done = down.run("demo", str(incident))
    faults = [line for line in done.stderr.splitlines() if line.startswith("✗")]
    assert done.returncode == 2
    assert len(faults) == 2
    assert any("severity" in fault for fault in faults)
    assert any("cves[0]" in fault for fault in faults)
    assert down.json("status") == {"phase": "down"}
