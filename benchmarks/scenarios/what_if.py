"""what-if: what another decision table would have said of thousands of past runs, and what another definition would
have made of them; planted differences, none written."""

import asyncio
import time
from typing import Any, Final

from .. import sleepers
from ..checks import Correctness
from ..errors import BenchmarkError, Missing
from ..figures import Figure, Load, Target
from ..session import Session
from ..truth import wait_for_ends
from ..workloads import Workload

PLANTED: Final = 50
#: runs in one request: the lanes are not to be full
PORTION: Final = 2_000
TABLE: Final = "benchmark-levels"
_OTHER_OUTPUT: Final = "${{ input.loss >= 990 && input.loss < 1000 ? 'planted' : steps.level.output.result }}"
_ROWS: Final = """
SELECT md5(string_agg(md5(r::text), '' ORDER BY r.id)) FROM workflows_workflowrun r
UNION ALL SELECT md5(string_agg(md5(s::text), '' ORDER BY s.run_id, s.step, s.item)) FROM workflows_steprun s
UNION ALL SELECT count(*)::text FROM workflows_runevent
UNION ALL SELECT md5(string_agg(md5(v::text), '' ORDER BY v.id)) FROM decisions_decisionversion v
"""


def table(limit: int) -> dict[str, Any]:
    return {
        "inputs": [{"name": "loss", "type": "integer"}],
        "outputs": [{"name": "level", "type": "string"}],
        "rules": [
            {"when": {"loss": f">= {limit}"}, "then": {"level": '"board"'}},
            {"when": {"loss": f"< {limit}"}, "then": {"level": '"team"'}},
        ],
    }


def workload(count: int) -> Workload:
    """Of `count` runs, PLANTED have a loss from 990 to 999, spread over all; the others have none."""
    every = max(1, count // PLANTED)

    def loss(number: int) -> int:
        if number % every == 0 and number // every < PLANTED:
            return 990 + number // every % 10
        return number % 990 if number % 2 else 1_000 + number

    return Workload(
        workflow="benchmark-decides",
        steps=("level",),
        optional=frozenset(),
        input=lambda number: {"loss": loss(number)},
        faults=lambda _: [],
        definition={
            "name": "benchmark-decides",
            "steps": {"level": {"decision": TABLE, "input": {"loss": "${{ input.loss }}"}}},
            "output": "${{ steps.level.output.result }}",
        },
    )


async def run(session: Session) -> list[Load]:
    """Run them, then ask what another table would have said, page by page."""
    url, count = session.deployment.database, session.options.what_if
    if url is None:
        raise Missing("The scenario what-if compares what is stored: it needs a private stack.")
    answer = await session.client.request("PUT", f"/decisions/{TABLE}", table(1_000), seconds=30)
    if answer.status not in (200, 201):
        raise BenchmarkError(f"The table was answered {answer.status}")
    asked = workload(count)
    await session.prepare(asked, warm=0)
    done = session.show.phase(f"{count:,} runs that ask a decision table", count)
    ids: list[str] = []
    for first in range(0, count, PORTION):
        some = await session.start_many(asked, range(first, min(first + PORTION, count)))
        await wait_for_ends(session.truth, some, seconds=session.options.patience, left=lambda _: None)
        ids += some
        done(len(ids))
    planted = {run for number, run in enumerate(ids) if 990 <= asked.input(number)["loss"] < 1_000}
    other = {**(asked.definition or {}), "output": _OTHER_OUTPUT}
    return [
        await _compared(
            session, url, "what-if", "decisions", f"/decisions/{TABLE}/what-if", {"table": table(990), "limit": 10_000},
            planted, count, "another decision table would have said",
        ),
        await _compared(
            session, url, "what-if-definition", "runs", f"/workflows/{asked.workflow}/what-if",
            {"definition": other, "limit": 1_000}, planted, count, "another definition would have made of them",
        ),
    ]  # fmt: skip


async def _compared(
    session: Session, url: str, name: str, what: str, path: str, body: dict[str, Any], planted: set[str], count: int,
    title: str,
) -> Load:  # fmt: skip
    before = await asyncio.to_thread(sleepers.ask, url, _ROWS)
    session.show.phase(name)
    began = time.perf_counter()
    compared, found, longest = await _ask(session, path, body)
    seconds = time.perf_counter() - began
    after = await asyncio.to_thread(sleepers.ask, url, _ROWS)
    faults = [*(f"not found: {run}" for run in planted - found), *(f"invented: {run}" for run in found - planted)]
    if before != after:
        faults.append("something was written meanwhile")
    id_ = name.replace("-", "_")
    return Load(
        name=name,
        title=f"{count:,} past runs, and what {title}",
        method=(
            f"`POST {path}`, page by page. {len(planted)} of the runs would be others. The rows of runs, steps and "
            "tables, and the number of events, are compared before and after."
        ),
        figures=[
            Figure(f"{id_}.compared", f"{what} compared", compared, "", None, Target("==", count)),
            Figure(f"{id_}.planted", "planted differences found", len(found & planted), "", False,
                   Target("==", len(planted))),
            Figure(f"{id_}.invented", "others named", len(found - planted), "", True, Target("==", 0)),
            Figure(f"{id_}.written", "tables in which something was written", int(before != after), "", True,
                   Target("==", 0)),
            Figure(f"{id_}.rate", f"{what} compared", compared / seconds, "/s", False),
            Figure(f"{id_}.page", "the longest page", longest, "s", True),
        ],
        correctness=Correctness(count, compared, 0, 0, len(faults), faults[:10]),
    )  # fmt: skip


async def _ask(session: Session, path: str, body: dict[str, Any]) -> tuple[int, set[str], float]:
    """(compared, runs that are named, seconds of the longest page)."""
    compared, found, longest, cursor = 0, set[str](), 0.0, None
    while True:
        began = time.perf_counter()
        answer = await session.client.request("POST", path, body | ({"cursor": cursor} if cursor else {}), seconds=60)
        if answer.status != 200:
            raise BenchmarkError(f"What-if was answered {answer.status}")
        page = answer.json()
        longest = max(longest, time.perf_counter() - began)
        compared += page["compared"]
        found |= {one["run_id"] for one in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return compared, found, longest
