"""decisions: a decision table of 20 rules and 5 inputs is asked as fast as one thread can, in this process."""

import asyncio
import random
import time
from typing import Any, Final

from workflows.core.tables.document import read
from workflows.core.tables.table import Table
from workflows.core.tables.testing import passes

from ..checks import Correctness
from ..figures import Figure, Load, Target
from ..session import Session

#: different cases, asked one after the other; rounds over them of which each is timed, and the best counts
CASES: Final = 20_000
ROUNDS: Final = 7
_LEVELS: Final = ("low", "medium", "high", "critical")
_COUNTRIES: Final = ("DE", "FR", "GB", "JP", "US")


def document() -> dict[str, Any]:
    """Ranges, comparisons, listed words, a flag and a fact that may be missing: 20 rules, the last of which takes the
    rest."""
    rules: list[dict[str, Any]] = []
    for at in range(19):
        when: dict[str, Any] = {"loss": f"[{at * 50_000}..{(at + 4) * 60_000})"}
        if at % 2:
            when["severity"] = ", ".join(f'"{word}"' for word in _LEVELS[at % 4 :])
        if at % 3 == 0:
            when["country"] = f'"{_COUNTRIES[at % 5]}", "{_COUNTRIES[(at + 2) % 5]}"'
        if at % 4 == 0:
            when["exploited"] = at % 8 == 0
        if at % 5 == 0:
            when["records"] = f"> {at * 100}"
        rules.append({"id": f"r{at}", "when": when, "then": {"level": f'"level {at}"', "hours": at}})
    return {
        "inputs": [
            {"name": "severity", "type": "string", "values": list(_LEVELS)},
            {"name": "loss", "type": "number"},
            {"name": "country", "type": "string", "values": list(_COUNTRIES)},
            {"name": "exploited", "type": "boolean"},
            {"name": "records", "type": "integer", "optional": True},
        ],
        "outputs": [{"name": "level", "type": "string"}, {"name": "hours", "type": "number"}],
        "hit_policy": "FIRST",
        "rules": [*rules, {"id": "rest", "then": {"level": '"none"', "hours": 0}}],
    }


def cases(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "severity": chance.choice(_LEVELS),
            "loss": chance.random() * 1_500_000,
            "country": chance.choice(_COUNTRIES),
            "exploited": chance.random() < 0.5,
            "records": None if chance.random() < 0.2 else chance.randrange(3_000),
        }
        for _ in range(CASES)
    ]


def first_that_accepts(table: Table, facts: dict[str, Any]) -> str:
    """The rule that decides, found by asking its cells one by one."""
    return next(
        rule.id
        for rule in table.rules
        if all(passes(cell, facts[one.name], facts) is True for one, cell in zip(table.inputs, rule.when, strict=True))
    )


def rate(table: Table, asked: list[dict[str, Any]]) -> float:
    """Evaluations per second of CPU time of this thread: what else the machine does at the time is left out."""
    best = 0.0
    for _ in range(ROUNDS):
        decide = table.decide
        began = time.thread_time()
        for facts in asked:
            decide(facts)
        best = max(best, len(asked) / (time.thread_time() - began))
    return best


def measure() -> Load:
    table = read(document())
    asked = cases(random.Random(1))  # noqa: S311 (figures, not secrets)
    some = asked[:2_000]
    wrong = [
        facts for facts in some if table.rules[table.decide(facts).rules[0]].id != first_that_accepts(table, facts)
    ]
    found = rate(table, asked)
    return Load(
        name="decisions",
        title=f"a decision table of {len(table.rules)} rules and {len(table.inputs)} inputs, {CASES:,} cases",
        method=(
            f"One thread of the command, {ROUNDS} rounds; the best counts, in CPU time of the thread. 2,000 of the "
            "cases are decided a second time cell by cell."
        ),
        figures=[Figure("decisions.rate", "evaluations", found, "/s of CPU", False, Target(">=", 300_000))],
        correctness=Correctness(len(some), len(some) - len(wrong), 0, 0, len(wrong), [str(one) for one in wrong[:10]]),
    )


async def run(session: Session) -> list[Load]:
    session.show.phase("decisions")
    return [await asyncio.to_thread(measure)]
