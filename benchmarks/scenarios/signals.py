"""signals: how soon a run goes on after its signal, and what becomes of signals that race timeouts and cancels."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .. import sleepers
from ..checks import Correctness
from ..client import Answer
from ..errors import Missing
from ..figures import Figure, Load, Target
from ..schedule import open_loop
from ..session import Session
from ..statistics import cumulative, summarise
from ..truth import wait_for_ends
from ..workloads import AWAITS, RACE_SECONDS, RACES

#: the signals of a race are sent so many seconds before the timeouts, and until so many after: workers and the leader
#: look for what is due about twice a second
BEFORE, AFTER = 0.4, 0.6
#: runs of one heat: as many signals as the web processes answer within that time
AT_ONCE = 100
#: of three runs one is cancelled as well
CANCELLED_EACH = 3


async def run(session: Session) -> list[Load]:
    """Signals one after the other, and then very many in a race."""
    if session.deployment.database is None:
        raise Missing("The scenario signals reads when steps began: it needs the database.")
    await session.prepare(AWAITS, warm=0)
    await session.prepare(RACES, warm=0)
    return [await _latency(session), await _race(session)]


async def _latency(session: Session) -> Load:
    """From the request until the next step began."""
    count, rate, url = session.options.count, session.options.rate, session.deployment.database
    assert url is not None
    warm = min(count, 50)
    ids = await session.start_many(AWAITS, range(count + warm))
    await session.client.open_connections(4)
    ahead = await asyncio.to_thread(sleepers.ahead, url)
    # `Sample.due` is on another clock.
    offset = time.time() - time.perf_counter() + ahead
    await open_loop(warm, rate, lambda number: _send(session, ids[count + number], number), done=lambda _: None)
    done = session.show.phase(f"{count} signals, {rate:g} a second", count)
    samples = await open_loop(count, rate, lambda number: _send(session, ids[number], number), done=done)
    await wait_for_ends(session.truth, ids, seconds=session.options.patience, left=session.show.phase("they end"))
    begun = await asyncio.to_thread(sleepers.begun, url, ids[:count])
    seconds = [begun[ids[one.index]] - (one.due + offset) for one in samples if one.error is None]
    went_on, answered = summarise(seconds), summarise([one.seconds for one in samples if one.error is None])
    wrong = count - len(seconds)
    return Load(
        name="signals.latency",
        title=f"{count} signals, {rate:g} a second",
        method=(
            "Each to a run that waits for it, over HTTP on an open-loop schedule; from when the request was due until "
            "the next step began, by the database's clock."
        ),
        figures=[
            Figure("signals.p50", "request → the next step begins, p50", went_on.p50, "ms", True),
            Figure("signals.p99", "request → the next step begins, p99", went_on.p99, "ms", True, Target("<=", 50)),
        ],
        correctness=Correctness(count, len(seconds), count, 0, wrong, [f"{wrong} signals failed"] if wrong else []),
        latencies={"next step": went_on, "answer": answered},
        distributions={"next step": cumulative(seconds)},
    )


async def _race(session: Session) -> Load:
    """Each run gets a signal at about its timeout, and some are cancelled at the same time."""
    count = session.options.races
    ids: list[str] = []
    await session.client.open_connections(min(count, AT_ONCE))
    show = session.show.phase(f"{count:,} signals race timeouts and cancels", count)
    answers: dict[str, Answer | None] = {}

    async def race(number: int, run_id: str, first: float) -> None:
        at = first + (BEFORE + AFTER) * (number % AT_ONCE) / AT_ONCE
        await asyncio.sleep(max(0.0, at - time.time()))
        calls = [_send(session, run_id, number)]
        if number % CANCELLED_EACH == 0:
            calls.insert(number % 2, session.client.request("POST", f"/runs/{run_id}/cancel", {}))
        results = await asyncio.gather(*calls, return_exceptions=True)
        result = results[-1 if number % CANCELLED_EACH == 0 and number % 2 == 0 else 0]
        answers[run_id] = result if isinstance(result, Answer) else None
        show(len(answers))

    for begin in range(0, count, AT_ONCE):
        heat = await session.start_many(RACES, range(begin, min(begin + AT_ONCE, count)))
        first = time.time() + RACE_SECONDS - BEFORE
        ids += heat
        await asyncio.gather(*(race(number, run_id, first) for number, run_id in enumerate(heat, start=begin)))
    await wait_for_ends(session.truth, ids, seconds=session.options.patience, left=session.show.phase("they end"))
    url = session.deployment.database
    assert url is not None
    faults, outcomes = await asyncio.to_thread(judge, url, ids, answers)
    figures = [
        Figure(f"signals.race.{name}", f"race: {name}", outcomes[name], "signals", None)
        for name in ("given", "refused", "no answer")
    ]
    figures += [
        Figure("signals.race.timeouts", "race: runs that timed out", outcomes["timed out"], "runs", None),
        Figure("signals.race.cancelled", "race: runs that were cancelled", outcomes["cancelled"], "runs", None),
    ]
    return Load(
        name="signals.race",
        title=f"{count:,} signals race timeouts and cancels",
        method=(
            f"A signal to each run at about its timeout of {RACE_SECONDS:g} s, and a cancel to one of {CANCELLED_EACH} "
            "at the same time. One that was answered with 200 must be recorded once, one that was refused never."
        ),
        figures=figures,
        correctness=Correctness(count, count - len(faults), count, 0, len(faults), faults[:10]),
    )


async def _send(session: Session, run_id: str, number: int) -> Answer:
    return await session.client.request("POST", f"/runs/{run_id}/signals/go", {"payload": number})


def judge(url: str, ids: Sequence[str], answers: dict[str, Answer | None]) -> tuple[list[str], Counter[str]]:
    """What is wrong, and how many signals and runs came out how. Payloads are the runs' places."""
    rows = sleepers.ask(
        url,
        """
        SELECT r.id::text, r.state, r.output,
               (SELECT count(*) FROM workflows_runevent e WHERE e.run_id = r.id AND e.type = 'step.signalled'),
               (SELECT count(*) FROM workflows_runsignal g WHERE g.run_id = r.id)
        FROM workflows_workflowrun r WHERE r.id = ANY(%s::uuid[])
        """,
        list(ids),
    )
    places = {run_id: place for place, run_id in enumerate(ids)}
    faults: list[str] = []
    outcomes: Counter[str] = Counter()
    for run_id, state, output, given, kept in rows:
        answer = answers.get(run_id)
        said = _said(answer)
        outcomes[said] += 1
        outcomes["timed out"] += bool(output and output["timed_out"])
        outcomes["cancelled"] += state == "CANCELLED"
        if given > 1 or kept:
            faults.append(f"{run_id}: given {given} times, kept {kept} times")
        elif said == "given" and not given:
            faults.append(f"{run_id}: answered as given, and lost")
        elif said == "refused" and given:
            faults.append(f"{run_id}: answered as refused ({answer and answer.status}), and given")
        elif state == "SUCCEEDED" and not _fits(output, bool(given), places[run_id]):
            faults.append(f"{run_id}: the signal was given {given} times, and the step says {output}")
        elif state not in ("SUCCEEDED", "CANCELLED"):
            faults.append(f"{run_id}: {state}")
    return faults, outcomes


def _said(answer: Answer | None) -> str:
    if answer is None:
        return "no answer"
    if answer.status == 200:
        return str(answer.json()["status"])
    return "refused" if answer.status == 409 else f"answered {answer.status}"


def _fits(output: dict[str, Any], given: bool, payload: int) -> bool:
    """Whether the step says what became of the signal."""
    return bool(output["timed_out"] != given and output["payload"] == (payload if given else None))
