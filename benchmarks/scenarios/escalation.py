"""escalation: whom an alert calls, when, and what stops it, in real time on the highly available stack.

One alert in each round, with a ladder of three rungs: primary, secondary, all. Nobody takes the first one on; nor the
second, in which a leader stands still from the first call on; the third is taken on after the second call.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ..causes.pager import SECRET, Pager, Received
from ..checks import Correctness
from ..errors import BenchmarkError
from ..figures import Figure, Grid, Load, Target
from ..session import Session
from ..uptime.faults import fault
from ..uptime.ha import HighlyAvailable
from ..uptime.kinds import KINDS, Role

#: seconds between two rungs; that leaders may call late, as they judge every ten seconds; that a call may take in all
#: on a busy machine before it counts as missing; and without a call after which there will be none
WAIT, LATE, MISSING, QUIET = 15.0, 12.0, 120.0, 45.0
_CHANNELS = ("primary", "secondary", "ops")
#: rung → who is called
_RUNGS: Sequence[tuple[str, ...]] = (("primary",), ("secondary",), _CHANNELS)
#: name of the round → how many rungs are called in it
ROUNDS = {"nobody takes it on": 3, "a leader stands still": 3, "taken on after the second call": 2}


@dataclass
class Round:
    """What was received of one alert. begun: time.time() when its rule was put. calls: all of it, doubles too."""

    name: str
    rungs: int
    begun: float
    calls: list[Received] = field(default_factory=list)
    ends: list[Received] = field(default_factory=list)

    def first(self, rung: int) -> float | None:
        """When somebody heard first of this rung (from 1)."""
        return min((one.at for one in self.calls if one.rung == rung), default=None)

    @property
    def heard(self) -> set[tuple[int, str]]:
        return {(one.rung, one.path.strip("/")) for one in self.calls}

    @property
    def expected(self) -> set[tuple[int, str]]:
        return {(number, who) for number, rung in enumerate(_RUNGS[: self.rungs], 1) for who in rung}

    @property
    def doubles(self) -> int:
        return len(self.calls) - len({(one.key, one.path) for one in self.calls})

    @property
    def more_ids(self) -> int:
        """Calls of one rung that came under several ids: receivers would not know them for one."""
        return len({(one.key, one.rung) for one in self.calls}) - len({one.rung for one in self.calls})

    @property
    def late(self) -> list[float]:
        """Seconds that each call but the first came after its wait was over."""
        times = [self.first(rung) for rung in range(1, self.rungs + 1)]
        return [b - a - WAIT for a, b in pairwise(times) if a is not None and b is not None]


async def run(session: Session) -> list[Load]:
    """The rounds, one after the other."""
    pager = session.pager
    assert pager is not None
    assert session.deployment.state is not None
    topology = HighlyAvailable(session.deployment)
    await _prepare(session, pager)
    rounds = []
    for number, (name, rungs) in enumerate(ROUNDS.items(), 1):
        session.show.phase(f"escalation: {name} ({number} of {len(ROUNDS)})")
        rounds.append(await _round(session, topology, pager, f"benchmark-{number}", name, rungs))
        session.show.note(
            f"{name}: first call after {_or_none(rounds[-1].first(1), rounds[-1].begun)} s, "
            f"then late by {', '.join(f'{late:.1f}' for late in rounds[-1].late)} s"
        )
        session.keep([_load(rounds)])
    return [_load(rounds)]


async def _prepare(session: Session, pager: Pager) -> None:
    for name in _CHANNELS:
        document = {"kind": "webhook", "address": f"{pager.url}{name}", "key": SECRET, "hears": "none"}
        await _done(session, "PUT", f"/alerts/channels/{name}", document)
    rungs = [{"to": [f"channel/{name}" for name in rung], "wait": f"{WAIT:.0f}s"} for rung in _RUNGS]
    plan = {"people": {}, "rotations": {}, "ladders": {"default": {"rungs": rungs}}}
    await _done(session, "PUT", "/alerts/on-call", {"plan": plan})


async def _round(session: Session, topology: HighlyAvailable, pager: Pager, rule: str, name: str, rungs: int) -> Round:
    document = {
        "name": rule, "summary": "To be escalated", "severity": "page", "metric": "erip_component_up",
        "where": {"component": "postgresql"}, "above": 0.4, "for": "0s", "keep_firing_for": "0s",
    }  # fmt: skip
    made = Round(name, rungs, time.time())
    await _done(session, "PUT", f"/alerts/rules/{rule}", {"rule": document})
    frozen = None
    try:
        for rung in range(1, rungs + 1):
            await _until(lambda rung=rung: _noted(made, pager, rule).first(rung))  # type: ignore[misc]
            if "stands still" in name and rung == 1:
                victim = await asyncio.to_thread(topology.find, Role.LEADER, 0.0)
                frozen = fault(KINDS["leader-freeze"], topology, victim)
                await asyncio.to_thread(frozen.inject)
        if "taken on" in name:
            for alert in (await _done(session, "GET", "/alerts", None))["items"]:
                if alert["rule"] == rule:
                    await _done(session, "POST", f"/alerts/{alert['id']}/acknowledge", {"note": "on it"})
        quiet_until = time.time() + QUIET
        while time.time() < quiet_until:
            await asyncio.sleep(0.5)
    finally:
        if frozen is not None:
            await asyncio.to_thread(frozen.heal)
    # What a leader that goes on does about what is over is seen, too.
    await _done(session, "DELETE", f"/alerts/rules/{rule}", None)
    with suppress(BenchmarkError):
        await _until(lambda: _noted(made, pager, rule).ends)
    await asyncio.sleep(2 * LATE if frozen is not None else 2)
    return _noted(made, pager, rule)


def _noted(made: Round, pager: Pager, rule: str) -> Round:
    """Take over what was received about this alert; what the settings' own target hears is no call."""
    mine = [
        one
        for one in list(pager.received)
        if one.path.strip("/") and any(alert.get("rule") == rule for alert in one.body.get("alerts", []))
    ]
    made.calls = [one for one in mine if one.body.get("state") == "firing"]
    made.ends = [one for one in mine if one.body.get("state") == "resolved"]
    return made


async def _until(fact: Callable[[], Any]) -> None:
    """Raises BenchmarkError after MISSING seconds."""
    deadline = time.time() + MISSING
    while not fact():
        if time.time() > deadline:
            raise BenchmarkError(f"No call came within {MISSING:.0f} s.")
        await asyncio.sleep(0.1)


async def _done(session: Session, method: str, path: str, body: Any) -> Any:
    answer = await session.client.request(method, path, body, seconds=30)
    if answer.status >= 300:
        raise BenchmarkError(f"{method} {path} was answered {answer.status}: {answer.body[:300]!r}")
    return answer.json() if answer.body else None


# --- the results


def _or_none(at: float | None, begun: float) -> str:
    return "" if at is None else f"{at - begun:.1f}"


def _load(rounds: list[Round]) -> Load:
    late = [one for each in rounds for one in each.late]
    first = [at - each.begun for each in rounds if (at := each.first(1)) is not None]
    missing = sum(len(each.expected - each.heard) for each in rounds)
    wrong = sum(len(each.heard - each.expected) for each in rounds)
    figures = [
        Figure("escalation.first.max", "rule put → first call, at most", max(first, default=0.0), "s", True),
        Figure("escalation.late.max", "a call later than its wait, at most", max(late, default=0.0), "s", True,
               Target("<=", LATE)),
        Figure("escalation.early.max", "a call before its wait was over, at most", max(0.0, -min(late, default=0.0)),
               "s", True, Target("<=", 1.0)),
        Figure("escalation.missing", "calls that nobody got", missing, "", True, Target("==", 0)),
        Figure("escalation.wrong", "calls of somebody else, or after it was taken on", wrong, "", True,
               Target("==", 0)),
        Figure("escalation.ids", "calls under several ids", sum(each.more_ids for each in rounds), "", True,
               Target("==", 0)),
        Figure("escalation.doubles", "calls that came twice, under one id", sum(each.doubles for each in rounds), "",
               True),
    ]  # fmt: skip
    rows = []
    for each in rounds:
        for one in sorted(each.calls, key=lambda call: call.at):
            rows.append([each.name, f"{one.at - each.begun:.1f}", str(one.rung), one.path.strip("/")])
        for one in sorted(each.ends, key=lambda end: end.at):
            rows.append([each.name, f"{one.at - each.begun:.1f}", "end", one.path.strip("/")])
    return Load(
        name="escalation",
        title=f"{len(rounds)} alerts up a ladder of three rungs",
        method=(
            f"On the highly available stack: a rule that holds at once, and rungs {WAIT:.0f} s apart whose channels "
            "are webhooks of this machine. Times are those at which the receivers had the messages."
        ),
        figures=figures,
        correctness=Correctness(0, 0, 0, 0, 0),
        grids=[Grid("Calls", ["round", "s", "rung", "who"], rows)] if rows else [],
    )
