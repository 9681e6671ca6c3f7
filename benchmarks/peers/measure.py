"""One peer's measurement, seen from outside: servers of its own, its process, the counters of everything that runs."""

import json
import os
import selectors
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peers.catalogue import Entry
from benchmarks.peers.environments import NotInstalled, python_of, version_of
from benchmarks.peers.harness import ROOT, Plan
from benchmarks.peers.table import Figures, Outcome
from erip.ops.stack.errors import StackError
from erip.ops.stack.ports import any_free
from erip.ops.stack.processes import kill_group, last_line, spawn
from erip.ops.stack.servers import private_servers
from erip.ops.stack.state import State

#: between two looks at the memory
SAMPLE_SECONDS = 1.0
#: cores in use on a quiet machine; the peer's own idle processes take part of them
QUIET_CORES = 0.3
#: phases of a measurement, each of which may take Plan.seconds: start-up, two warm-ups and the samples, the workflows
PHASES = 4


class Failed(Exception):
    """The peer gave no figures; the message says why."""


def measure(peer: Entry, plan: Plan, patience: float = 0.0) -> Outcome:
    """Figures, or the reason why there are none. Never raises for a fault of the peer.

    patience: seconds to wait, before each of the two phases that count, for other programs to leave the cores alone.
    """
    version = version_of(peer)
    try:
        return Outcome(peer.name, version, figures=_measure(peer, plan, patience))
    except (NotInstalled, Failed, StackError) as error:
        return Outcome(peer.name, version, reason=str(error))


def _measure(peer: Entry, plan: Plan, patience: float) -> Figures:
    python = python_of(peer)
    with private_servers() as (postgres, redis), tempfile.TemporaryDirectory(prefix="erip-peer-") as home:
        told = {
            **_clean_environment(),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PEER_NAME": peer.name,
            "PEER_PLAN": json.dumps(asdict(plan)),
            "PEER_POSTGRES": postgres.url,
            "PEER_REDIS": redis.url,
            "PEER_PORT": str(any_free()),
            "PEER_HOME": home,
        }
        log = State.from_environment().root / "peers" / f"{peer.name}.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        with _Conversation([python, "-m", f"benchmarks.peers.{peer.module}.peer"], told, log) as conversation:
            meter = Meter([conversation.pid, postgres.pid, redis.pid])
            return _follow(conversation, meter, plan, patience, log)


def _clean_environment() -> dict[str, str]:
    """Our environment, without what would lead a peer to servers or a configuration other than those written down."""
    foreign = ("DJANGO_", "DATABASE_", "ERIP_", "CELERY_", "PREFECT_", "DBOS_", "PROCRASTINATE_", "DRAMATIQ_", "PG")
    kept = {"ERIP_STATE_DIR"}
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith(foreign)}


def _follow(conversation: "_Conversation", meter: "Meter", plan: Plan, patience: float, log: Path) -> Figures:
    deadline = time.monotonic() + PHASES * plan.seconds + patience
    cpu = others = 0.0
    while time.monotonic() < deadline:
        event = conversation.next_event(SAMPLE_SECONDS)
        match event:
            case None:
                meter.sample_memory()
            case {"event": "idle"}:
                wait_for_quiet(patience)
                conversation.acknowledge()
            case {"event": "begin"}:
                wait_for_quiet(patience)
                cpu, others = meter.cpu_seconds(), busy_seconds()
                meter.sample_memory()
                deadline = time.monotonic() + plan.seconds + 30
                conversation.acknowledge()
            case {"event": "end"}:
                cpu = meter.cpu_seconds() - cpu
                others = busy_seconds() - others - cpu
                meter.sample_memory()
                conversation.acknowledge()
            case {"event": "result"}:
                return Figures(
                    workflows=event["workflows"],
                    seconds=event["seconds"],
                    latencies=tuple(event["latencies"]),
                    cpu_seconds=cpu,
                    memory_bytes=meter.peak_memory,
                    other_cores=max(0.0, others / event["seconds"]),
                )
            case {"event": "failed"}:
                raise Failed(" ".join(event["reason"].split()) + f" (log: {log.name} in the state directory's peers/)")
            case _:
                raise Failed(f"it ended without figures; the end of its log: {last_line(log)}")
    raise Failed(f"no figures in the time allowed ({plan.seconds:.0f} s a phase); the end of its log: {last_line(log)}")


class Meter:
    """Counters of process trees: what runs, and everything it started."""

    def __init__(self, pids: list[int | None]) -> None:
        self._roots = [psutil.Process(pid) for pid in pids if pid is not None]
        #: bytes, the highest of all samples; shared pages count once (PSS) where the system tells
        self.peak_memory = 0

    def cpu_seconds(self) -> float:
        """User and system time so far. A reaped process counts in its parent: nothing is lost or counted twice."""
        total = 0.0
        for process in self._all():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def sample_memory(self) -> None:
        self.peak_memory = max(self.peak_memory, sum(_memory(process) for process in self._all()))

    def _all(self) -> Iterator[psutil.Process]:
        for root in self._roots:
            yield root
            try:
                yield from root.children(recursive=True)
            except psutil.Error:
                continue


def wait_for_quiet(patience: float) -> bool:
    """Whether the machine's cores were nearly unused for one second within `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        before, start = busy_seconds(), time.monotonic()
        time.sleep(1.0)
        if (busy_seconds() - before) / (time.monotonic() - start) < QUIET_CORES:
            return True
    return False


def busy_seconds() -> float:
    """CPU time of everything on this machine so far."""
    times = psutil.cpu_times()
    # Guests' time is part of user and nice already.
    idle = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return float(sum(times) - idle)


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


class _Conversation:
    """The peer's process and the two pipes to it (see `harness`). It and all that it started are gone at the end."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self._events, events = os.pipe()
        acknowledgements, self._acknowledgements = os.pipe()
        told = {**env, "PEER_EVENTS": str(events), "PEER_ACKS": str(acknowledgements)}
        self._process = spawn(command, env=told, log=log, cwd=ROOT, pass_fds=(events, acknowledgements))
        os.close(events)
        os.close(acknowledgements)
        os.set_blocking(self._events, False)
        self._buffer = b""
        self.pid = self._process.pid

    def __enter__(self) -> "_Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        kill_group(self._process)
        self._process.wait()
        os.close(self._events)
        os.close(self._acknowledgements)

    def next_event(self, seconds: float) -> dict[str, Any] | None:
        """The next event; None when there was none in time; empty when the process has ended."""
        if b"\n" not in self._buffer:
            with selectors.DefaultSelector() as selector:
                selector.register(self._events, selectors.EVENT_READ)
                if not selector.select(seconds):
                    return None
            chunk = os.read(self._events, 65536)
            if not chunk:
                return {}
            self._buffer += chunk
            if b"\n" not in self._buffer:
                return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def acknowledge(self) -> None:
        os.write(self._acknowledgements, b"\n")
