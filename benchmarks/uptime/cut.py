"""A network partition of one node on a machine where all nodes talk over the loopback: its packets are dropped.

Note [Which packets]: a node is a few processes. To the world outside belongs every packet with one end in them and one
end elsewhere; what they say to each other goes on, as on a machine whose cable was pulled. The owner of an end:

- its listening ports and the ports of connections that exist when the cut begins are known by number;
- sockets made later belong to a cgroup into which the processes are moved before (a socket belongs to the cgroup in
  which it was made, for ever); their packets carry a mark, so that the receiver knows where they come from.

Packets are dropped where they would reach a socket, in silence: nobody is refused, everybody waits. It takes root,
cgroup v2 and BPF. When this process dies, the kernel takes the programs away (`bpf`).
"""

import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from erip.ops.stack.processes import Identity

from . import bpf, processes
from .topology import Victim

#: of the packets of a node that is cut off
MARK = 0x45524950
PREFIX = "erip-cut-"
#: seconds after which an empty cgroup surely does not belong to a benchmark that is just beginning
OLD = 60.0


def possible() -> bool:
    """Whether this process may do it; it finds out by loading a program that it never attaches."""
    root = _root()
    if root is None or os.geteuid() != 0:
        return False
    try:
        program = bpf.load(bpf.drop_across([1], 1, MARK), bpf.INGRESS)
    except OSError:
        return False
    os.close(program)
    return True


class Cut:
    """A fault, as `faults.Fault` has it."""

    def __init__(self, owner: processes.Owner, victim: Victim) -> None:
        self._owner, self._victim = owner, victim
        self._lock = threading.Lock()
        self._over = False
        self._links: list[int] = []
        self._cgroup: Path | None = None
        self._before: dict[Identity, Path] = {}

    def inject(self) -> None:
        with self._lock:
            if self._over:
                return
            root = _root()
            if root is None:
                raise OSError("there is no cgroup v2 here")
            members = processes.family(self._owner, self._victim.pids)
            _sweep(root)
            self._cgroup = root / f"{PREFIX}{secrets.token_hex(6)}"
            self._cgroup.mkdir()
            for member in members:
                with suppress(ProcessLookupError, FileNotFoundError):
                    self._before[member] = _cgroup_of(member.pid, root)
                    (self._cgroup / "cgroup.procs").write_text(str(member.pid))
            # After the move: what is made from now on is known by its cgroup.
            ports = {*self._victim.ports, *_ports_of({member.pid for member in members})}
            across = bpf.load(bpf.drop_across(ports, self._cgroup.stat().st_ino, MARK), bpf.INGRESS)
            marking = bpf.load(bpf.mark_packets(MARK), bpf.EGRESS)
            try:
                self._links.append(bpf.attach(marking, self._cgroup, bpf.EGRESS))
                self._links.append(bpf.attach(across, root, bpf.INGRESS))
            finally:
                # The links hold them.
                os.close(across)
                os.close(marking)

    def heal(self) -> None:
        with self._lock:
            self._over = True
            while self._links:
                os.close(self._links.pop())
            if self._cgroup is not None:
                self._leave(self._cgroup)
                self._cgroup = None

    def _leave(self, cgroup: Path) -> None:
        """Move every process back to where it was; those born meanwhile go to their parent's cgroup."""
        back = {identity.pid: path for identity, path in self._before.items()}
        usual = next(iter(back.values()), cgroup.parent)
        for _ in range(3):
            for line in (cgroup / "cgroup.procs").read_text().split():
                with suppress(OSError):
                    (back.get(int(line), usual) / "cgroup.procs").write_text(line)
            with suppress(OSError):
                cgroup.rmdir()
                return


def _root() -> Path | None:
    """Where cgroup v2 is mounted."""
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, place, kind, *_ = line.split()
            if kind == "cgroup2":
                return Path(place)
    return None


def _sweep(root: Path) -> None:
    """Remove what was left by benchmarks that were killed. A cgroup with a process in it cannot be removed."""
    for left in root.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > OLD:
                left.rmdir()


def _cgroup_of(pid: int, root: Path) -> Path:
    """The cgroup (v2) of a process."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    return root / path.lstrip("/")


def _ports_of(pids: set[int]) -> set[int]:
    """The local ports of all their TCP sockets."""
    return {
        int(one.laddr.port)
        for one in psutil.net_connections("tcp4")
        if one.pid in pids and one.laddr and one.laddr.port
    }
