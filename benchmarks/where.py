"""Where the milliseconds of one run go: `python -m benchmarks.where [--count N] [--rate R] [--lane LANE]`.

Starts a private stack whose processes note when a run passes each place (`marks`), sends W4 runs over HTTP one after
the other, and prints for each place the median of the milliseconds since the request was sent. Each note costs a few
microseconds, so this shows where the time goes; `run_benchmarks engine` measures how much time there is.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from . import marks
from .deployment import Deployment, private_stack
from .session import Options, Session
from .workloads import W4

#: nanoseconds and place, in order
Notes = Sequence[tuple[int, str]]


class Quiet:
    """Shows nothing."""

    def phase(self, title: str, total: int | None = None) -> Callable[[int], None]:
        return lambda done: None

    def note(self, line: str) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.where", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="runs (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10.0, help="runs per second (default: %(default)s)")
    parser.add_argument("--lane", default=None, help="in place of the workflow's own")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="erip-marks-"))
    directory.chmod(0o777)  # the stack's processes may be another user's
    os.environ[marks.VARIABLE] = str(directory)
    try:
        with private_stack() as deployment:
            spans = asyncio.run(_measure(deployment, options.count, options.rate, options.lane))
        for line in _table(spans, _read(directory)):
            print(line)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _measure(deployment: Deployment, count: int, rate: float, lane: str | None) -> list[tuple[int, int]]:
    """(sent, answered) of each request, on the monotonic clock."""
    session = Session.open(deployment, Options(), Quiet())
    spans = []
    try:
        await session.prepare(W4, warm=60)
        for number in range(count):
            await asyncio.sleep(1 / rate)
            sent = time.monotonic_ns()
            answer = await session.start(W4, number, lane=lane)
            spans.append((sent, time.monotonic_ns()))
            assert answer.status == 200, answer
    finally:
        session.close()
    return spans


def _read(directory: Path) -> Notes:
    notes = []
    for file in directory.iterdir():
        for line in file.read_text().splitlines():
            at, _, place = line.partition(" ")
            with contextlib.suppress(ValueError):  # the last line of a process that was ended
                notes.append((int(at), place))
    return sorted(notes)


def _table(spans: Sequence[tuple[int, int]], notes: Notes) -> Iterable[str]:
    """Each place with the median of when it was first passed, in the order of these medians."""
    passed: dict[str, list[float]] = defaultdict(list)
    for sent, answered in spans:
        seen: set[str] = set()
        for at, place in notes:
            if sent <= at <= answered and place not in seen:
                seen.add(place)
                passed[place].append((at - sent) / 1e6)
        passed["answer received"].append((answered - sent) / 1e6)
    medians = sorted((statistics.median(times), place) for place, times in passed.items())
    before = 0.0
    yield f"{'place':<24}{'at ms':>8}{'+ ms':>8}{'seen':>8}"
    for median, place in medians:
        yield f"{place:<24}{median:>8.2f}{median - before:>8.2f}{len(passed[place]):>8}"
        before = median


if __name__ == "__main__":
    main()
