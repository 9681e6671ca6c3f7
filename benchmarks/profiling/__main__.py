"""`python -m benchmarks.profiling`: a load on a private stack, and where the time of one of its workers goes.

It puts the load on twice: the first time it takes every sample that holds the interpreter (what Python computes), the
second time it takes all threads (what the checkpoint writer waits for). py-spy stops the process for every sample, so
the rates shown are lower than those of `run_benchmarks`.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from erip.ops.stack import control

from ..checks import check
from ..deployment import Deployment, private_stack
from ..errors import BenchmarkError, Missing
from ..progress import Live, live
from ..session import Options, Session
from ..truth import settled, wait_for_ends
from ..workloads import MIXED, W4
from . import stacks
from .recorder import recording

LOADS = {"w4": (W4,), "mixed": MIXED}
WARM = 500
FUNCTIONS = 20


def main() -> int:
    """0, or the exit status of what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiling", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("load", nargs="?", choices=LOADS, default="w4", help="w4, or the mixed real workflows")
    parser.add_argument("--runs", type=int, default=10_000, help="at once, twice (default: 10,000)")
    parser.add_argument("--process", default="worker-general", help="a process of the stack (default: worker-general)")
    parser.add_argument("--rate", type=int, default=200, help="samples a second (default: 200)")
    parser.add_argument("--raw", type=Path, metavar="FOLDER", help="keep py-spy's files there, for a flame graph")
    asked = parser.parse_args()
    try:
        with private_stack() as deployment, live(Console(stderr=True)) as shown, tempfile.TemporaryDirectory() as own:
            folder = asked.raw or Path(own)
            folder.mkdir(parents=True, exist_ok=True)
            lines = asyncio.run(_profile(deployment, shown, asked, folder))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return error.status
    print("\n".join(lines))
    return 0


async def _profile(deployment: Deployment, shown: Live, asked: argparse.Namespace, folder: Path) -> list[str]:
    session = Session.open(deployment, Options(), shown)
    try:
        workloads = LOADS[asked.load]
        for workload in workloads:
            await session.prepare(workload)
        if asked.load == "w4":
            warm = await session.start_many(W4, range(WARM))
            await wait_for_ends(session.truth, warm, seconds=120, left=shown.phase("warming up"))
        pid = _pid(deployment, asked.process)
        seen, lines = [], []
        for name, holding in (("interpreter", True), ("threads", False)):
            file = folder / f"{asked.load}-{name}.txt"
            with recording(pid, file, rate=asked.rate, holding_interpreter=holding):
                seconds = await _load(session, asked)
            seen.append(stacks.read(file.read_text()))
            lines.append(f"{asked.load}, {asked.runs:,} at once under py-spy ({name}): {asked.runs / seconds:,.0f}/s")
    finally:
        session.close()
    computing, threads = seen
    samples = sum(stack.count for stack in computing)
    lines += ["", f"{asked.process}, Python that computes ({samples:,} samples), by module"]
    lines += [f"{share:6.1f} %  {name}" for name, share in stacks.by_module(computing).items()]
    lines += ["", "the same, by function of ours, with all that it calls"]
    lines += [f"{share:6.1f} %  {name}" for name, share in stacks.by_function(computing, FUNCTIONS).items()]
    lines += ["", "the thread of the checkpoint writer"]
    lines += [f"{share:6.1f} %  {name}" for name, share in stacks.of_writer(threads).items()]
    return lines


def _pid(deployment: Deployment, name: str) -> int:
    assert deployment.state is not None
    processes = control.status(deployment.state).processes
    found = next((process.pid for process in processes if process.name == name), None)
    if found is None:
        raise Missing(f"The stack has no process {name}; it has {', '.join(process.name for process in processes)}.")
    return found


async def _load(session: Session, asked: argparse.Namespace) -> float:
    """Seconds from before the first request until all have ended. Raises BenchmarkError for a wrong result."""
    workloads = LOADS[asked.load]
    done = session.show.phase(f"{asked.runs:,} {asked.load}", asked.runs)
    began = time.perf_counter()
    started = []
    for place, workload in enumerate(workloads):
        started.append((workload, await session.start_many(workload, range(place, asked.runs, len(workloads)))))
    everyone = [run_id for _, ids in started for run_id in ids]
    left = session.options.patience
    ended = await wait_for_ends(session.truth, everyone, seconds=left, left=lambda left: done(asked.runs - left))
    for workload, ids in started:
        found = check(workload, ids, await settled(session.truth, ids))
        if not found.right:
            raise BenchmarkError(f"{found.wrong} wrong results: {'; '.join(found.faults)}")
    return ended - began


if __name__ == "__main__":
    sys.exit(main())
