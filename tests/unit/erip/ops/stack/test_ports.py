"""A port is one process's own from the moment it is chosen, long before anything listens on it."""

import subprocess
import sys

import pytest

from erip.ops.stack import holds, ports
from erip.ops.stack.errors import PortTaken
from erip.ops.stack.state import ROOT, read_json, write_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ports are held by names that only Linux has")

# Chooses when all have come so far, says what it chose, and keeps it until its standard input ends.
CHOOSER = """
import sys
from pathlib import Path
from erip.ops.stack import ports
sys.stdin.readline()
print(ports.choose({name!r}, Path({remembered!r})), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start():
    """Start Python programs that end with the test."""
    started = []

    def run(source: str) -> subprocess.Popen:
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", source], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_stacks_that_choose_at_the_same_moment_choose_differently(tmp_path, monkeypatch, start):
    monkeypatch.delenv("ERIP_REDIS_PORT", raising=False)
    wanted = ports.any_free()
    holds.release(wanted)
    # Given stacks that all had the same port when they last ran
    choosers = []
    for n in range(6):
        remembered = tmp_path / f"{n}.json"
        write_json(remembered, {"redis": wanted})
        choosers.append(start(CHOOSER.format(name="redis", remembered=str(remembered))))
    # When they start together
    for one in choosers:
        one.stdin.write("\n")
        one.stdin.flush()
    chosen = [int(one.stdout.readline()) for one in choosers]
    # Then each has a port, and one of them the port it had
    assert len(set(chosen)) == len(chosen)
    assert wanted in chosen


def test_a_lasting_port_that_another_stack_holds_is_refused(tmp_path, start):
    remembered = tmp_path / "ports.json"
    other = start(CHOOSER.format(name="redis", remembered=str(tmp_path / "other.json")))
    other.stdin.write("\n")
    other.stdin.flush()
    port = int(other.stdout.readline())
    write_json(remembered, {"etcd-1": port})
    with pytest.raises(PortTaken, match=rf"Port {port}, which etcd-1 has had"):
        ports.choose_lasting(["etcd-1"], remembered)


def test_a_port_that_was_asked_for_and_is_held_by_another_stack_is_refused(tmp_path, monkeypatch, start):
    other = start(CHOOSER.format(name="redis", remembered=str(tmp_path / "other.json")))
    other.stdin.write("\n")
    other.stdin.flush()
    port = other.stdout.readline().strip()
    monkeypatch.setenv("ERIP_WEB_PORT", port)
    with pytest.raises(PortTaken, match="ERIP_WEB_PORT"):
        ports.choose("web", tmp_path / "ports.json")


def test_a_child_may_use_what_its_ancestor_holds(tmp_path, monkeypatch, start):
    port = ports.any_free()
    monkeypatch.setenv("ERIP_WEB_PORT", str(port))
    child = start(CHOOSER.format(name="web", remembered=str(tmp_path / "ports.json")))
    child.stdin.write("\n")
    child.stdin.flush()
    assert int(child.stdout.readline()) == port


def test_a_child_may_use_it_again_and_again(tmp_path, monkeypatch, start):
    """As a stack does that is started and ended many times."""
    port = ports.any_free()
    monkeypatch.setenv("ERIP_WEB_PORT", str(port))
    for _ in range(5):
        child = start(CHOOSER.format(name="web", remembered=str(tmp_path / "ports.json")))
        child.stdin.write("\n")
        child.stdin.flush()
        assert int(child.stdout.readline()) == port
        child.kill()
        child.wait(10)


def test_a_hold_ends_with_its_process(tmp_path, start):
    other = start(CHOOSER.format(name="redis", remembered=str(tmp_path / "other.json")))
    other.stdin.write("\n")
    other.stdin.flush()
    port = int(other.stdout.readline())
    assert not holds.hold(port)
    other.kill()
    other.wait(10)
    assert holds.hold(port)
    holds.release(port)


def test_zero_asks_for_any_free_port_and_not_for_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setenv("ERIP_WEB_PORT", "0")
    remembered = tmp_path / "ports.json"
    first = ports.choose("web", remembered)
    assert first != ports.USUAL["web"]
    assert read_json(remembered) == {"web": first}
    assert ports.choose("web", remembered) == first
