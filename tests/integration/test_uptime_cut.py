"""A node that is cut off: real processes, real sockets, real packets that do not arrive."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.uptime import cut
from benchmarks.uptime.cut import Cut
from benchmarks.uptime.processes import Owner
from benchmarks.uptime.topology import Victim

pytestmark = pytest.mark.skipif(not cut.possible(), reason="cutting a node off takes root, cgroup v2 and BPF")

#: answers "pong" on its port; on "call PORT" it connects there and reports the result
NODE = """
import socket, sys, threading
def serve(connection):
    for line in connection.makefile():
        words = line.split()
        said = "pong"
        if words[0] == "call":
            try:
                with socket.create_connection(("127.0.0.1", int(words[1])), timeout=1) as other:
                    other.settimeout(1)
                    other.sendall(b"ping\\n")
                    said = other.recv(99).decode().strip() or "closed"
            except OSError as error:
                said = type(error).__name__
        connection.sendall(said.encode() + b"\\n")
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
# Orders come on a pipe, which no network cuts.
def orders():
    for line in sys.stdin:
        words = line.split()
        try:
            with socket.create_connection(("127.0.0.1", int(words[0])), timeout=1) as other:
                other.settimeout(1)
                other.sendall(b"ping\\n")
                print(other.recv(99).decode().strip() or "closed", flush=True)
        except OSError as error:
            print(type(error).__name__, flush=True)
threading.Thread(target=orders, daemon=True).start()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class Node:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def call(self, port: int) -> str:
        """What this node receives from that port."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{port}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    pair = (Node(), Node())
    yield pair
    for node in pair:
        node.end()


@pytest.fixture
def fault(nodes: tuple[Node, Node]) -> Iterator[Cut]:
    made = Cut(Owner(os.getpid(), "", ()), Victim("node", (nodes[0].process.pid,), (nodes[0].port,)))
    yield made
    made.heal()


def hears(connection: socket.socket, seconds: float = 1.0) -> str:
    """What comes back on a connection."""
    connection.settimeout(seconds)
    try:
        connection.sendall(b"ping\n")
        return connection.recv(99).decode().strip()
    except OSError as error:
        return type(error).__name__


def connect(port: int) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return hears(connection)
    except OSError as error:
        return type(error).__name__


def test_a_node_that_is_cut_off_hears_nobody_and_nobody_hears_it_until_it_is_healed(nodes, fault):
    node, other = nodes
    before = cgroups()
    # Given: everybody talks to everybody, and a connection that is open
    assert (node.call(other.port), other.call(node.port), node.call(node.port)) == ("pong", "pong", "pong")
    standing = socket.create_connection(("127.0.0.1", node.port))
    assert hears(standing) == "pong"
    # When
    fault.inject()
    # Then: nothing crosses, on old connections or new ones, in either direction, and nobody is refused
    assert connect(node.port) == "TimeoutError"
    assert hears(standing) == "TimeoutError"
    assert (node.call(other.port), other.call(node.port)) == ("TimeoutError", "TimeoutError")
    # and what does not cross goes on, within the node and elsewhere
    assert (node.call(node.port), connect(other.port)) == ("pong", "pong")
    # When
    fault.heal()
    # Then: new connections work at once, and the old one once TCP has sent again
    assert (connect(node.port), node.call(other.port), other.call(node.port)) == ("pong", "pong", "pong")
    assert standing.recv(99).decode().startswith("pong") if _readable(standing, 10) else False
    assert cgroups() == before


def cgroups() -> set[Path]:
    return set(Path("/sys/fs/cgroup").glob(f"**/{cut.PREFIX}*"))


def _readable(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def test_a_cut_ends_with_the_process_that_made_it(nodes):
    node, _ = nodes
    code = (
        "import os, sys, time; from benchmarks.uptime.cut import Cut; from benchmarks.uptime.processes import Owner;"
        "from benchmarks.uptime.topology import Victim;"
        f"fault = Cut(Owner({os.getpid()}, '', ()), Victim('node', ({node.process.pid},), ({node.port},)));"
        "fault.inject(); print('cut', flush=True); time.sleep(60)"
    )
    cutter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert cutter.stdout is not None
    assert cutter.stdout.readline().strip() == "cut"
    assert connect(node.port) == "TimeoutError"
    cutter.kill()
    cutter.wait()
    deadline = time.monotonic() + 5
    while (heard := connect(node.port)) != "pong" and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    assert heard == "pong"
    # Its cgroup remains. It is empty once the node has ended, and the next cut removes it.
    node.end()
    for left in cgroups():
        with suppress(OSError):
            left.rmdir()


def test_a_fault_that_is_healed_before_it_is_put_in_is_not_put_in(nodes, fault):
    fault.heal()
    fault.inject()
    assert connect(nodes[0].port) == "pong"
