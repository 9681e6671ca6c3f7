"""A machine: namespaces for processes, files and the network, with `init` as its process 1. It ends as a machine does
whose power fails: the kernel kills all of its processes in the same moment."""

# ruff: noqa: S603, S607 (programs are the machine's own, started from lists)

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.hosts import init
from erip.ops.stack.state import ROOT

BRIDGE = "lan0"
NETWORK = "10.0.0.{}/24"


class CommandFailed(Exception):
    """A documented command did not work; the message has it and what it printed."""


def lan() -> None:
    """The cable that all machines share, in a network of its own, with ours at 10.0.0.1."""
    for words in (
        ("ip", "link", "set", "lo", "up"),
        ("ip", "link", "add", BRIDGE, "type", "bridge"),
        ("ip", "addr", "add", NETWORK.format(1), "dev", BRIDGE),
        ("ip", "link", "set", BRIDGE, "up"),
    ):
        subprocess.run(words, check=True)


class Machine:
    """name: its host name. number: the last part of its address, 10.0.0.NUMBER. folder: for its files."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.address = f"10.0.0.{number}"
        self.files = folder
        self._cable = f"cable{number}"
        folder.mkdir(parents=True)
        self._booted = subprocess.Popen(
            [
                *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"),
                *(sys.executable, "-I", str(Path(init.__file__)), "boot", str(folder), str(ROOT), name),
            ],
            stdout=(folder / "boot.log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        self._first = self._find_first()
        more = ("peer", "name", "eth0", "netns", str(self._first))
        subprocess.run(["ip", "link", "add", self._cable, "type", "veth", *more], check=True)
        subprocess.run(["ip", "link", "set", self._cable, "master", BRIDGE, "up"], check=True)
        self._wait_until_up()
        self.shell(f"ip link set lo up; ip addr add {NETWORK.format(number)} dev eth0; ip link set eth0 up")

    def shell(self, script: str, environment: Mapping[str, str] | None = None, *, seconds: float = 600.0) -> str:
        """Run commands as root on the machine, in /root; what they print. Raises CommandFailed."""
        variables = {"PATH": init.PATH, "HOME": "/root", "LANG": "C.UTF-8", **(environment or {})}
        done = subprocess.run(
            [
                *("nsenter", f"--target={self._first}", "--mount", "--net", "--pid", "--uts", "--ipc"),
                *("env", "-i", *(f"{key}={value}" for key, value in variables.items())),
                *("sh", "-euc", f"cd /root\n{script}"),
            ],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"{self.name}: {script.strip()[:300]}\n{(done.stdout + done.stderr)[-3_000:]}")
        return done.stdout

    def log(self, unit: str) -> str:
        found = self.files / "var/log/files/machine" / f"{unit}.log"
        return found.read_text(errors="replace") if found.exists() else ""

    def pull(self) -> None:
        """Power and network fail. Its files stay, for whoever wants to look."""
        subprocess.run(["ip", "link", "set", self._cable, "down"], check=False)
        self._booted.kill()
        self._booted.wait()
        subprocess.run(["ip", "link", "del", self._cable], check=False, stderr=subprocess.DEVNULL)

    def _find_first(self) -> int:
        until = time.monotonic() + 60
        children = Path(f"/proc/{self._booted.pid}/task/{self._booted.pid}/children")
        while time.monotonic() < until and self._booted.poll() is None:
            if found := children.read_text().split():
                return int(found[0])
            time.sleep(0.02)
        raise CommandFailed(f"{self.name} does not boot: {(self.files / 'boot.log').read_text()}")

    def _wait_until_up(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self._booted.poll() is None:
            try:
                self.shell(f"test -S {init.CONTROL}")
            except CommandFailed:
                time.sleep(0.05)
            else:
                return
        raise CommandFailed(f"{self.name} does not boot: {(self.files / 'boot.log').read_text()}")
