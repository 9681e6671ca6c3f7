"""Only processes of the stack are signalled, with all that they started."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psutil
import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.uptime import processes
from benchmarks.uptime.faults import fault
from benchmarks.uptime.injector import Injector
from benchmarks.uptime.kinds import KINDS
from benchmarks.uptime.processes import Owner
from benchmarks.uptime.schedule import Planned
from benchmarks.uptime.topology import Victim, pick
from erip.ops.stack.processes import MARK

CHILD = "import time; time.sleep(60)"
FAMILY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '{CHILD}']); {CHILD}"
MINE = Owner(os.getpid(), "none", ())
NOBODYS = Owner(1 << 30, "none", ())


@pytest.fixture
def parent() -> Iterator[psutil.Process]:
    started = subprocess.Popen([sys.executable, "-c", FAMILY], env={**os.environ, MARK: "this-stack"})
    process = psutil.Process(started.pid)
    deadline = time.monotonic() + 20
    while not process.children() and time.monotonic() < deadline:
        time.sleep(0.01)
    family = [process, *process.children(recursive=True)]
    yield process
    for one in family:
        if one.is_running():
            one.kill()
    started.wait()


class Topology:
    owner = MINE


def status(process: psutil.Process) -> str:
    """A process that its parent has not asked after yet is a zombie; one that init has is gone."""
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def becomes(process: psutil.Process, *wanted: str) -> bool:
    deadline = time.monotonic() + 10
    while status(process) not in wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return status(process) in wanted


def test_a_process_of_somebody_else_is_not_touched(parent):
    with pytest.raises(BenchmarkError, match="not of this stack"):
        processes.family(NOBODYS, [parent.pid])
    assert status(parent) != psutil.STATUS_ZOMBIE


def test_a_process_is_the_stacks_by_descent_by_mark_or_by_its_files(parent):
    for owner in (MINE, Owner(1 << 30, "this-stack", ())):
        assert [one.pid for one in processes.family(owner, [parent.pid])] == [
            parent.pid,
            *(child.pid for child in parent.children()),
        ]


def test_a_kill_takes_the_children_too(parent):
    family = [parent, *parent.children(recursive=True)]
    made = fault(KINDS["worker-kill"], Topology(), Victim("worker", (parent.pid,)))
    made.inject()
    assert all(becomes(one, psutil.STATUS_ZOMBIE) for one in family)


def test_what_an_own_process_started_goes_with_it_whatever_it_calls_itself(parent):
    # Given: a parent that is known by its command line alone, as a postmaster is, and a child that is not
    family = [parent, *parent.children(recursive=True)]
    owner = Owner(1 << 30, "none", (Path("subprocess.Popen"),))
    assert not owner.owns(family[1])
    processes.kill(owner, [parent.pid])
    assert all(becomes(one, psutil.STATUS_ZOMBIE) for one in family)


def test_a_freeze_stops_all_of_them_until_it_is_healed(parent):
    family = [parent, *parent.children(recursive=True)]
    made = fault(KINDS["worker-freeze"], Topology(), Victim("worker", (parent.pid,)))
    made.inject()
    assert all(becomes(one, psutil.STATUS_STOPPED) for one in family)
    made.heal()
    assert all(becomes(one, psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING) for one in family)
    # Ended before it began: nobody is frozen for good.
    late = fault(KINDS["worker-freeze"], Topology(), Victim("worker", (parent.pid,)))
    late.heal()
    late.inject()
    assert status(parent) != psutil.STATUS_STOPPED


def test_a_pid_that_was_given_to_another_process_is_not_signalled(parent):
    (identity, *_) = processes.family(MINE, [parent.pid])
    other = processes.Identity(identity.pid, identity.started - 100)
    assert processes.send([other], signal.SIGKILL) == 0
    assert status(parent) != psutil.STATUS_ZOMBIE


def test_a_choice_among_several_follows_its_number():
    assert [pick(["c", "a", "b"], choice) for choice in (0.0, 0.5, 1.0)] == ["a", "b", "c"]
    with pytest.raises(BenchmarkError):
        pick([], 0.5)


class OneProcess:
    """A topology of one process that is a worker."""

    owner = MINE

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    def can(self, kind) -> bool:
        return True

    def find(self, role, choice: float) -> Victim:
        return Victim("worker", (self._process.pid,))

    def missing(self) -> list[str]:
        return []


def carry_out(process: psutil.Process, kinds: list[str], meanwhile) -> Injector:
    """A schedule that begins at once; `meanwhile(task)` is awaited beside it."""
    injector = Injector(OneProcess(process), [Planned(0.0, kind) for kind in kinds], Random(1))

    async def run() -> None:
        task = asyncio.create_task(injector.run(60))
        await meanwhile(task)
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return injector


async def as_soon_as(fact) -> None:
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_whoever_ends_the_benchmark_while_a_server_is_frozen_thaws_it(parent):
    async def meanwhile(task: asyncio.Task) -> None:
        await as_soon_as(lambda: status(parent) == psutil.STATUS_STOPPED)
        task.cancel()

    # At once: the thread that freezes it may not even have come back.
    carry_out(parent, ["worker-freeze"], meanwhile)
    assert becomes(parent, psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING)


def test_a_fault_is_marked_with_its_victim_and_its_times(parent):
    async def nothing(task: asyncio.Task) -> None:
        await task

    (mark,) = carry_out(parent, ["worker-kill"], nothing).marks
    assert (mark.kind, mark.victim) == ("worker-kill", "worker")
    assert mark.healed == mark.at
    assert mark.whole is not None


def test_a_fault_without_a_victim_is_left_out_with_its_reason(parent):
    async def nothing(task: asyncio.Task) -> None:
        await task

    class Nobody(OneProcess):
        def find(self, role, choice: float) -> Victim:
            raise BenchmarkError(f"Nobody is {role} now.")

    injector = Injector(Nobody(parent), [Planned(0.0, "etcd-kill")], Random(1))
    asyncio.run(injector.run(5))
    assert injector.marks == []
    assert injector.left_out == ["etcd-kill: Nobody is etcd leader now."]
