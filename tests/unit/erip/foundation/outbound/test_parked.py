"""A parked process reaches its broker and nothing else, whatever its code tries. Each try has its own process: what
parks one cannot be taken back."""

import socket
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest

from erip.foundation.outbound.parked import brokers
from erip.ops.stack.state import ROOT

TRIES = {
    "a connection": "socket.create_connection(('127.0.0.1', PORT), 5)",
    "a connection of a thread": "run(lambda: socket.create_connection(('127.0.0.1', PORT), 5))",
    "HTTP": "urllib.request.urlopen(f'http://127.0.0.1:{PORT}/', timeout=5)",
    "mail": "smtplib.SMTP('127.0.0.1', PORT, timeout=5)",
    "asyncio": "asyncio.run(asyncio.open_connection('127.0.0.1', PORT))",
    "connect_ex": "socket.socket().connect_ex(('127.0.0.1', PORT))",
    "a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    "a Unix socket": "socket.socket(socket.AF_UNIX).connect('/run/other.sock')",
    "a name": "socket.getaddrinfo('example.org', 443)",
    "a program": "subprocess.run(['true'])",
    "a shell": "os.system('true')",
    "exec": "os.execv('/bin/true', ['true'])",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
}
CODE = """
import asyncio, os, smtplib, socket, subprocess, threading, urllib.request
from concurrent.futures import ThreadPoolExecutor
from erip.foundation.outbound.parked import ParkedError, park
PORT, BROKER = {port}, {broker}
def run(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()
park({{("127.0.0.1", BROKER)}})
socket.create_connection(("127.0.0.1", BROKER), 5).sendall(b"x")
left, right = socket.socketpair()
left.sendall(b"x")
try:
    {attempt}
except ParkedError:
    print("parked")
except OSError as error:
    # A library may wrap it.
    print("parked" if "parked" in str(error) else error)
"""


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("name", TRIES)
def test_nothing_leaves(name: str) -> None:
    with closing(listening()) as other, closing(listening()) as broker:
        code = CODE.format(port=other.getsockname()[1], broker=broker.getsockname()[1], attempt=TRIES[name])
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.stdout == "parked\n", done.stderr
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_the_brokers_are_those_of_the_setting() -> None:
    assert brokers("redis://:p@127.0.0.1:6390/0") == ({("127.0.0.1", 6390)}, set())
    assert brokers("sentinel://a:1;sentinel://b/0") == ({("a", 1), ("b", 6379)}, set())
    assert brokers("redis+socket:///run/redis.sock") == (set(), {"/run/redis.sock"})
