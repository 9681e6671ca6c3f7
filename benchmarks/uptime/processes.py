"""Signals to processes of the benchmark's own stack, and to nobody else.

Every process is known by its pid and start time (`erip.ops.stack.processes.Identity`), and is signalled only if it
descends from the stack's supervisor, carries its ERIP_STACK_ID, or works on a file below its state directories.
"""

import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from erip.ops.stack.processes import MARK, Identity, wait_until

from ..errors import BenchmarkError

#: seconds that a killed process may take to be gone
DEATH = 5.0


@dataclass(frozen=True)
class Owner:
    """The stack whose processes may be signalled."""

    supervisor: int
    stack_id: str
    #: absolute; its state directory, and where its servers' data stand
    folders: tuple[Path, ...]

    def owns(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            if any(above.pid == self.supervisor for above in process.parents()):
                return True
            if process.environ().get(MARK) == self.stack_id:
                return True
            words = process.cmdline()
            return any(str(folder) in word for folder in self.folders for word in words)
        return False


def family(owner: Owner, pids: Iterable[int]) -> list[Identity]:
    """These processes and all that they started, parents first. Raises BenchmarkError where one is not ours."""
    found: dict[int, Identity] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            if not owner.owns(root):
                raise BenchmarkError(f"The process {pid} ({root.name()}) is not of this stack: it is not touched.")
            found |= _tree(root)
    return list(found.values())


def _tree(root: psutil.Process) -> dict[int, Identity]:
    """By pid. A process started by one of ours is ours, whatever it calls itself: PostgreSQL's backends are renamed."""
    found: dict[int, Identity] = {}
    with suppress(psutil.NoSuchProcess):
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                found[process.pid] = Identity(process.pid, process.create_time())
    return found


def send(identities: Sequence[Identity], number: signal.Signals) -> int:
    """Signal those that still live; returns how many did."""
    sent = 0
    for identity in identities:
        process = identity.process()
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                sent += 1
    return sent


def kill(owner: Owner, pids: Sequence[int]) -> None:
    """SIGKILL them with all that they started, including what they start meanwhile.

    They are stopped first: so none restarts another, and no client is served by half of a dead node.
    """
    victims = family(owner, pids)
    send(victims, signal.SIGSTOP)
    doomed = {one.pid: one for one in victims}
    try:
        for one in victims:
            if process := one.process():
                doomed |= _tree(process)
    finally:
        # Whatever happens: nobody stays frozen.
        send(list(doomed.values()), signal.SIGKILL)
    # On a busy machine the kernel takes its time; a check for what is missing must not find them alive.
    wait_until(lambda: not any(one.alive for one in doomed.values()), DEATH)
