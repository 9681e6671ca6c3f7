"""The memory of each process of a stack, and how long it took to start.

    python -m benchmarks.memory                 a stack of its own: idle, and after 2,000 runs of four steps
    python -m benchmarks.memory --ha            the same with several of everything
    python -m benchmarks.memory --running       the stack that runs already (`make up`), as it is

RSS counts a page that several processes share in each of them; PSS divides it among them, so that sums are true;
private is what would be free if the process ended. A process counts with those that it started, such as gunicorn's
workers. Linux only.
"""

import argparse
import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from erip.ops.stack import control
from erip.ops.stack.state import State

from .deployment import Deployment, private_stack
from .session import Options, Session
from .truth import wait_for_ends
from .where import Quiet
from .workloads import W4

MEGABYTE = 2**20
RUNS = 2_000
#: seconds for the first loops of each process to come by, and within which the runs end
REST, WITHIN = 5.0, 120.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process of the stack and those that it started, in bytes.

    count: processes. threads: of all of them.
    """

    name: str
    count: int
    threads: int
    rss: int
    pss: int
    private: int


def memory_of(state: State) -> list[Memory]:
    """Of every process of a running stack, its supervisor included. Raises NotRunning."""
    status = control.status(state)
    known = {process.pid: process.name for process in status.processes if process.pid}
    found = [_sum(name, [root, *root.children(recursive=True)]) for pid, name in known.items() if (root := _alive(pid))]
    supervisor = _alive(status.pid)
    return [*found, *([_sum("supervisor", [supervisor])] if supervisor else [])]


def _alive(pid: int) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid)
    return None


def _sum(name: str, processes: Iterable[psutil.Process]) -> Memory:
    count = threads = rss = pss = private = 0
    for one in processes:
        with suppress(psutil.Error, OSError):
            sizes = _sizes(one.pid)
            count, threads = count + 1, threads + one.num_threads()
            rss, pss = rss + sizes["Rss"], pss + sizes["Pss"]
            private += sizes["Private_Clean"] + sizes["Private_Dirty"]
    return Memory(name, count, threads, rss, pss, private)


def _sizes(pid: int) -> dict[str, int]:
    """What the kernel counts of a process, in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in (line.split() for line in lines)}


def _show(title: str, found: list[Memory]) -> None:
    print(f"\n{title}\n\n| process | processes | threads | RSS MB | PSS MB | private MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    total = Memory("all", *(sum(getattr(one, field) for one in found) for field in Memory.__slots__[1:]))
    for one in [*found, total]:
        sizes = " | ".join(f"{size / MEGABYTE:,.0f}" for size in (one.rss, one.pss, one.private))
        print(f"| {one.name} | {one.count} | {one.threads} | {sizes} |", flush=True)


async def _work(deployment: Deployment, runs: int) -> None:
    """Start so many runs of four steps at once, and wait until all have ended."""
    session = Session.open(deployment, Options(), Quiet())
    try:
        await session.prepare(W4, warm=0)
        ids = await session.start_many(W4, range(runs))
        await wait_for_ends(session.truth, ids, seconds=WITHIN, left=lambda _: None)
    finally:
        session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ha", action="store_true", help="several of everything")
    parser.add_argument("--running", action="store_true", help="the stack that runs already, as it is")
    parser.add_argument("--runs", type=int, default=RUNS, help="(default: %(default)s; 0: idle alone)")
    asked = parser.parse_args()
    if asked.running:
        _show("Now", memory_of(State.from_environment()))
        return
    began = time.monotonic()
    with private_stack(ha=asked.ha) as deployment:
        assert deployment.state is not None
        print(f"Up after {time.monotonic() - began:.1f} s.")
        time.sleep(REST)
        _show("Idle", memory_of(deployment.state))
        if asked.runs:
            asyncio.run(_work(deployment, asked.runs))
            _show(f"After {asked.runs:,} runs of four steps", memory_of(deployment.state))


if __name__ == "__main__":
    main()
