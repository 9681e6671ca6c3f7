"""After the load: wait until everything that was accepted has ended, then compare the ledger with what is recorded."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..checks import NAMED, NOTHING, Correctness, check
from ..records import RUN_ENDS
from ..truth import Truth, settled
from ..workloads import THREAT, W4, WAITS
from .compare import Findings, FoundEvent, FoundRun, compare_events, compare_runs
from .ledger import Ledger
from .recorded import Recorded

#: seconds within which everything accepted must have ended and be in the log
RECOVERY = 60.0
LOOK_EVERY = 0.25


@dataclass(frozen=True)
class Settled:
    """Which promises were kept."""

    findings: Findings
    correctness: Correctness
    #: seconds from the end of the load until every run had ended; RECOVERY where some never did
    drained: float


async def settle(
    ledger: Ledger, *, prefix: str, source: str | None, recorded: Recorded | None, truth: Truth
) -> Settled:
    """prefix: of the fleet's business keys; source: of its events, None without events. Without the database (recorded:
    None) the API is asked for what was promised, and what was promised to nobody cannot be seen."""
    began = time.perf_counter()
    runs = await _ended(ledger, prefix, recorded, truth)
    drained = time.perf_counter() - began
    findings = compare_runs(ledger, runs)
    if source is not None and recorded is not None:
        of_events = compare_events(ledger, await _logged(ledger, source, recorded))
        findings = replace(
            of_events,
            lost=findings.lost,
            unended=findings.unended,
            failed=findings.failed,
            duplicated=findings.duplicated,
            uncancelled=findings.uncancelled,
            unanswered=findings.unanswered + of_events.unanswered,
        )
    return Settled(findings, await _correctness(ledger, findings, runs, truth), drained)


async def _ended(ledger: Ledger, prefix: str, recorded: Recorded | None, truth: Truth) -> list[FoundRun]:
    """Every run of the fleet, once all have ended or RECOVERY is over."""
    deadline = time.monotonic() + RECOVERY
    keys = {run_id: key for key, run_id in ledger.runs.items()}
    while True:
        if recorded is not None:
            runs = await asyncio.to_thread(recorded.runs, prefix)
        else:
            runs = [FoundRun(one.id, keys[one.id], one.state) for one in await truth.records(list(keys))]
        if all(run.state in RUN_ENDS for run in runs) or time.monotonic() > deadline:
            return runs
        await asyncio.sleep(LOOK_EVERY if recorded is not None else 5.0)


async def _logged(ledger: Ledger, source: str, recorded: Recorded) -> list[FoundEvent]:
    """Every event of the fleet, once all that were accepted are in the log or RECOVERY is over."""
    deadline = time.monotonic() + RECOVERY
    promised = {event.id for event in ledger.events}
    while True:
        found = await asyncio.to_thread(recorded.events, source)
        if promised <= {event.id for event in found} or time.monotonic() > deadline:
            return found
        await asyncio.sleep(LOOK_EVERY)


async def _correctness(ledger: Ledger, findings: Findings, runs: Sequence[FoundRun], truth: Truth) -> Correctness:
    """Whether the runs that were promised and not cancelled came to the right result, and every promise was kept."""
    cancelled = {run.id for run in runs if run.state == "CANCELLED" and run.id in ledger.cancels}
    promised: dict[str, list[str]] = defaultdict(list)
    for key, run_id in ledger.runs.items():
        if run_id not in cancelled:
            promised[ledger.asked[key].workflow].append(run_id)
    found = NOTHING
    for workload in (W4, WAITS, THREAT):
        ids = promised[workload.workflow]
        found += check(workload, ids, await settled(truth, ids, seconds=30))
    # What is lost, unfinished or failed is among the wrong results already.
    others = [*ledger.broken, *(fault for fault in findings.faults if not fault.startswith(("run ", "runs ")))]
    return replace(found, wrong=found.wrong + len(others), faults=[*found.faults, *others][: 2 * NAMED])
