"""replay: thousands of stored runs of all reference definitions are decided again; and differences that are planted."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from .. import sleepers
from ..checks import Correctness
from ..deployment import read_env
from ..errors import BenchmarkError, Missing
from ..figures import Figure, Load, Target
from ..session import Session
from ..truth import wait_for_ends
from ..workloads import BREACH, COMPLIANCE, THREAT, TRUST, VULNERABILITY, Workload

ALL = (BREACH, TRUST, COMPLIANCE, THREAT, VULNERABILITY)
#: runs of one kind in one request: the lanes are not to be full
PORTION = 500
MANAGE = Path(__file__).resolve().parents[2] / "manage.py"

_STEP = (
    "(SELECT s.step FROM workflows_steprun s WHERE s.run_id = %(run)s AND s.item < 0 AND s.state = 'SUCCEEDED'"
    " AND s.attempt > 0 ORDER BY s.started_at {order}, s.step LIMIT 1)"
)
#: what is changed in the rows of one run. Made of constants.
PLANTS = (
    "UPDATE workflows_steprun SET input = '{{\"planted\": 1}}' WHERE run_id = %(run)s AND step = " + _STEP,  # noqa: S608
    "UPDATE workflows_workflowrun SET output = '{{\"planted\": 1}}' WHERE id = %(run)s",
    "UPDATE workflows_steprun SET state = 'SKIPPED' WHERE run_id = %(run)s AND step = " + _STEP,  # noqa: S608
    "DELETE FROM workflows_steprun WHERE run_id = %(run)s AND step = " + _STEP,  # noqa: S608
)
PLANTED = 10


async def run(session: Session) -> list[Load]:
    """Run them, replay them, change ten of them, and replay again."""
    state, url, count = session.deployment.state, session.deployment.database, session.options.runs
    if state is None or url is None:
        raise Missing("The scenario replay changes stored runs: it needs a private stack.")
    env = {**os.environ, **read_env(state.env)}
    ids: dict[Workload, list[str]] = {each: [] for each in ALL}
    done = session.show.phase(f"{count:,} runs of all reference definitions", count)
    for first in range(0, count, PORTION):
        workload = ALL[first // PORTION % len(ALL)]
        some = await session.start_many(workload, range(first, min(first + PORTION, count)))
        await wait_for_ends(session.truth, some, seconds=session.options.patience, left=lambda _: None)
        ids[workload] += some
        done(first + len(some))
    session.show.phase("replay")
    began = time.perf_counter()
    status, told = await asyncio.to_thread(_replay, env)
    seconds = time.perf_counter() - began
    session.show.phase(f"replay, {PLANTED} of them changed")
    filled = [each for each in ids.values() if each]
    changed = [filled[number % len(filled)][number // len(filled)] for number in range(min(PLANTED, count))]
    for number, run_id in enumerate(changed):
        await asyncio.to_thread(_plant, url, PLANTS[number % len(PLANTS)], run_id)
    again, told_again = await asyncio.to_thread(_replay, env)
    found = {run_id for run_id in changed if any(run_id in line for line in told_again)}
    others = [line for line in told_again[:-1] if not any(run_id in line for run_id in changed)]
    decided = int(told[-1].split()[0].replace(",", ""))
    differences = len(told) - 1
    faults = [*told[:-1][:5], *(f"not found: {run_id}" for run_id in changed if run_id not in found), *others[:5]]
    if (status, again) != (0, 1):
        faults.append(f"the command ended with {status} and {again}")
    return [
        Load(
            name="replay",
            title=f"{decided:,} stored runs of {len(filled)} reference definitions are decided again",
            method=(
                f"`manage.py replay` over all of them; then again, after {len(changed)} were changed in their rows: an "
                "input, an output, a state, a step that is gone."
            ),
            figures=[
                Figure("replay.runs", "stored runs", decided, "runs", None, Target(">=", count)),
                Figure("replay.differences", "differences", differences, "", True, Target("==", 0)),
                Figure(
                    "replay.planted", "planted differences found", len(found), "", False, Target("==", len(changed))
                ),
                Figure("replay.rate", "runs decided again", decided / seconds, "runs/s", False),
            ],
            correctness=Correctness(decided, decided - len(faults), 0, 0, len(faults), faults[:10]),
        )
    ]


def _replay(env: dict[str, str]) -> tuple[int, list[str]]:
    """(exit status, lines) of the command."""
    words = [sys.executable, str(MANAGE), "replay", "--since", "1d"]
    done = subprocess.run(words, env=env, cwd=MANAGE.parent, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    lines = done.stdout.splitlines()
    if not lines or "decided again" not in lines[-1]:
        raise BenchmarkError(f"manage.py replay said: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.returncode, lines


def _plant(url: str, change: str, run_id: str) -> None:
    sleepers.ask(url, change.format(order="DESC").replace("%(run)s", f"'{run_id}'::uuid"))
