"""The half of a measurement that runs in the peer's own virtual environment; standard library only.

A peer is a module `benchmarks.peers.<name>.peer` that ends in `harness.main(ThePeer())`. The harness starts its
processes, warms up, asks for workflows one at a time and then for N at once, and checks every output. It tells the
parent (`measure.py`) on one pipe what happens, and waits on another while the parent reads its counters:

    {"event": "idle"}                               before the workflows one at a time; answered with a line
    {"event": "begin"}, {"event": "end"}            around the N workflows; each answered with a line
    {"event": "result", "seconds": …, …}            the figures; the last event
    {"event": "failed", "reason": "…"}              or why there are none; the last event
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers.workflow import expected

ROOT = Path(__file__).resolve().parents[2]
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class WrongOutput(Exception):
    """The peer's workflows did not come to the right result; its figures would mean nothing."""


@dataclass(frozen=True)
class Plan:
    """What the parent asks for, in PEER_PLAN."""

    #: workflows started at once
    workflows: int
    #: workflows started one after another on an idle system
    samples: int
    #: seconds that any one phase may take
    seconds: float
    #: processes that run steps; one per core
    processes: int

    @classmethod
    def from_environment(cls) -> "Plan":
        return cls(**json.loads(os.environ["PEER_PLAN"]))


class Peer(Protocol):
    """What one peer's module supplies."""

    def prepare(self) -> None:
        """Make schemas and whatever must be there before the processes start."""

    def processes(self, count: int) -> list["Process"]:
        """Start what runs the steps: `count` processes, and servers of the peer's own."""

    def run(self, numbers: list[int], seconds: float) -> dict[int, int]:
        """Start W4 on each number, at once; when all outcomes are recorded, give them. Raises TimeoutError."""

    def close(self) -> None:
        """Close connections."""


class Process:
    """A process of a peer, which dies with this one. With `talks`, it exchanges lines of JSON with us."""

    def __init__(self, arguments: Sequence[str], *, talks: bool = False, env: dict[str, str] | None = None) -> None:
        self._popen = subprocess.Popen(  # noqa: S603 (from a list; no word of it comes from a request)
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            # What talks keeps its standard output for answers; logs go to standard error, which is the peer's log.
            stdout=subprocess.PIPE if talks else sys.stderr,
            text=True,
            preexec_fn=die_with_parent,
        )

    def tell(self, message: Any) -> None:
        self._popen.stdin.write(json.dumps(message) + "\n")
        self._popen.stdin.flush()

    def answer(self) -> Any:
        """Its next line. The parent makes sure that it comes in time."""
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the peer ended with status {self._popen.wait()}")
        return json.loads(line)

    def check(self) -> None:
        if self._popen.poll() is not None:
            raise RuntimeError(f"a process of the peer ended with status {self._popen.returncode}")

    def end(self) -> None:
        """End it without patience: nothing is measured any more."""
        self._popen.kill()
        self._popen.wait()


class Talkers:
    """Processes that take numbers and answer with outputs: for tools that run workflows where they are started."""

    def __init__(self, module: str, count: int) -> None:
        self.processes = [
            Process(["-m", module, "app"], talks=True, env={"PEER_APP": str(index)}) for index in range(count)
        ]

    def wait_ready(self) -> None:
        for process in self.processes:
            process.answer()

    def run(self, numbers: list[int]) -> dict[int, int]:
        """Give each process its share."""
        count = len(self.processes)
        shares = [(process, numbers[index::count]) for index, process in enumerate(self.processes)]
        busy = [(process, share) for process, share in shares if share]
        for process, share in busy:
            process.tell(share)
        return {number: output for process, _ in busy for number, output in process.answer()}


def talk(run: Callable[[list[int]], list[tuple[int, int]]]) -> None:
    """The other end of `Talkers`: runs in its process until standard input ends. `run` gives [(number, output)]."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # everything else that is printed goes to the log
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)


def poll(count: Callable[[], int], wanted: int, seconds: float) -> None:
    """Wait until `count` outcomes are recorded: looks every 2 ms for one workflow, else every 50 ms, which is cheap."""
    pause = 0.002 if wanted == 1 else 0.05
    deadline = time.monotonic() + seconds
    while (done := count()) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{done} of {wanted} workflows finished within {seconds:.0f} s")
        time.sleep(pause)


def main(peer: Peer) -> None:
    """Measure, and report to the parent."""
    events = os.fdopen(int(os.environ["PEER_EVENTS"]), "w")
    acknowledgements = os.fdopen(int(os.environ["PEER_ACKS"]))

    def emit(event: str, **fields: Any) -> None:
        print(json.dumps({"event": event, **fields}), file=events, flush=True)

    def barrier(event: str) -> None:
        emit(event)
        acknowledgements.readline()

    try:
        emit("result", **_measure(peer, Plan.from_environment(), barrier))
    except Exception as error:
        emit("failed", reason=f"{type(error).__name__}: {error}")
        raise


def _measure(peer: Peer, plan: Plan, barrier: Callable[[str], None]) -> dict[str, Any]:
    numbers = iter(range(1, 1_000_000_000))

    def checked_run(count: int) -> float:
        batch = [next(numbers) for _ in range(count)]
        start = time.monotonic()
        outputs = peer.run(batch, plan.seconds)
        took = time.monotonic() - start
        check_outputs(batch, outputs)
        return took

    peer.prepare()
    with _running(peer, plan.processes):
        checked_run(1)  # triggers what is loaded late
        checked_run(min(50, plan.workflows))
        barrier("idle")
        latencies = []
        for _ in range(plan.samples):
            time.sleep(0.05)  # so that each one finds the system idle
            latencies.append(checked_run(1))
        barrier("begin")
        seconds = checked_run(plan.workflows)
        barrier("end")
    return {"seconds": seconds, "latencies": latencies, "workflows": plan.workflows}


def check_outputs(numbers: Sequence[int], outputs: dict[int, int]) -> None:
    """Raise WrongOutput unless each number has exactly the right output."""
    wanted = {number: expected(number) for number in numbers}
    if outputs != wanted:
        wrong = [number for number in wanted if outputs.get(number) != wanted[number]]
        raise WrongOutput(f"{len(wrong)} of {len(wanted)} outputs are wrong or missing, {len(outputs)} came")


@contextmanager
def _running(peer: Peer, count: int) -> Iterator[None]:
    started = peer.processes(count)
    try:
        yield
        for process in started:
            process.check()
    finally:
        peer.close()
        for process in started:
            process.end()


def die_with_parent() -> None:
    """The kernel ends this process when the one that started it ends, however that happens (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
