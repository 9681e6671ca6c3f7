"""Network namespaces of the kernel, as rooms for processes and sockets of a test. Only root can make them.

A namespace belongs to a thread of its own and has no name on the machine, so nothing is left when the test is killed:
the kernel removes a namespace together with its last thread, process and socket.
"""

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import pytest

from tests.support import programs

_CLONE_NEWNET: Final = 0x40000000
Found = TypeVar("Found")


class Namespace:
    """A network of its own: `run` and `command` work inside it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"namespace-{name}")
        self._file = self.run(_enter_a_new_one)
        self.command("ip", "link", "set", "lo", "up")

    @property
    def path(self) -> str:
        """The namespace as a file, for `ip link set … netns`, while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._file}"

    def run(self, call: Callable[[], Found]) -> Found:
        """Call it inside; a socket that it makes stays there, whoever uses it later. Raises what the call raises."""
        return self._thread.submit(call).result()

    def command(self, *words: str, given: str | None = None) -> str:
        """Run a program inside, with a text as its input; its output. Raises RuntimeError with what it printed."""
        done = self.run(
            lambda: subprocess.run(words, input=given, capture_output=True, text=True, timeout=60, check=False)
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def setting(self, path: str, value: str) -> None:
        """A file below /proc/sys/net, which shows each thread its own namespace."""
        self.run(lambda: Path("/proc/sys/net", path).write_text(value))

    def close(self) -> None:
        os.close(self._file)
        self._thread.shutdown()

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _enter_a_new_one() -> int:
    if threading.current_thread() is threading.main_thread():
        raise RuntimeError("the main thread would take the whole test with it")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare: only root can make a network namespace")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def needed(*more: str, tried: Callable[[], str] | None = None) -> pytest.MarkDecorator:
    """Marks a test that needs these programs, and namespaces. Where a program is missing it is skipped, but with
    CI=true it fails. Where the kernel or the rights of folders forbid it, it is skipped with what they said.

    tried: does the same once, and answers with what forbids it, or with nothing.
    """
    if lacking := programs.missing("ip", "unshare", *more):
        skipped = os.environ.get("CI") != "true"
        return pytest.mark.skipif(skipped, reason=f"{' and '.join(lacking)} lacking: as root, make ha-deps TOOLS=1")
    forbidden = refused(("unshare", "--net", "ip", "link", "set", "lo", "up")) or (tried() if tried else "")
    return pytest.mark.skipif(bool(forbidden), reason=f"no pods or networks of our own here: {forbidden}")


def refused(words: Sequence[str | Path], folder: Path | None = None) -> str:
    """Run it; the end of what it said if it failed, else nothing."""
    done = subprocess.run(
        ["/usr/bin/env", *words],
        cwd=folder,
        env={"PATH": programs.SYSTEM_FOLDERS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stderr.strip()[-300:] or f"exit code {done.returncode}") if done.returncode else ""
