"""Processes are known past a reused pid, die with their parent, and are found after it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from erip.ops.stack.processes import MARK, Identity, end_all, marked, spawn, stop, wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)",
]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def environment(mark: str) -> dict[str, str]:
    return {**os.environ, MARK: mark}


def test_a_pid_that_belongs_to_another_process_now_is_not_taken_for_ours():
    me = Identity.of(os.getpid())
    assert me.alive
    assert not Identity(me.pid, me.started - 60).alive


def test_a_process_that_ended_or_waits_to_be_reaped_is_not_alive(log):
    process = spawn(SLEEPER, env=os.environ, log=log)
    identity = Identity.of(process.pid)
    assert identity.alive
    process.kill()
    assert wait_until(lambda: not identity.alive, 60)  # a zombie: nobody has waited for it yet
    process.wait()
    assert not identity.alive
    assert Identity.of(process.pid) is None


def test_a_child_dies_with_a_parent_that_was_killed(log):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, pathlib, time; from erip.ops.stack.processes import spawn\n"
            f"child = spawn({SLEEPER!r}, env=os.environ, log=pathlib.Path({str(log)!r}))\n"
            "print(child.pid, flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    child = Identity.of(int(parent.stdout.readline()))
    assert child.alive
    parent.kill()
    parent.communicate()
    assert wait_until(lambda: not child.alive, 60)


def test_what_carries_the_mark_is_found_and_ended_with_its_children(log):
    mark = os.urandom(8).hex()
    family = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    parent = spawn([sys.executable, "-c", family], env=environment(mark), log=log)
    stranger = spawn(SLEEPER, env=environment("another"), log=log)
    try:
        assert wait_until(lambda: len(marked(mark)) == 2, 60)
        assert end_all([], mark) == 2
        assert marked(mark) == []
        assert stranger.poll() is None
    finally:
        for process in (parent, stranger):
            process.kill()
            process.wait()


def test_one_that_ignores_the_request_is_killed(log):
    process = spawn(STUBBORN, env=os.environ, log=log)
    assert wait_until(lambda: log.read_text() == "x\n", 60)
    began = time.monotonic()
    stop(process, signal.SIGTERM, 0.2)
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 60


def test_ending_nothing_ends_nothing():
    assert end_all([Identity(2**22 + 1, 1.0)], "") == 0
    assert psutil.pid_exists(os.getpid())
