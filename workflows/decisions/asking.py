"""Ask a table about facts: what it says, which rules made it say so, and why these matched."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from erip.foundation.faults import Fault, join
from workflows.core.tables.plain import plain
from workflows.core.tables.table import Decision, FactsInvalid
from workflows.core.tables.testing import look_up
from workflows.decisions.compiled import Compiled
from workflows.decisions.errors import FactsNotValid, TooMuchAsked

#: cases of one request
MAX_CASES: Final = 1_000
#: of one request: seconds, and bytes of the answer
SECONDS: Final = 5.0
MAX_ANSWER: Final = 8 * 1024 * 1024
#: rules of a case whose reasons are told; of the others, the ids
EXPLAINED: Final = 20


def ask(found: Compiled, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the table says about one case. Raises FactsNotValid."""
    try:
        decision = found.table.decide(facts)
    except FactsInvalid as error:
        raise FactsNotValid(faults=[Fault(join("facts", one.path), one.message) for one in error.faults]) from None
    return answer(found, decision, facts)


def ask_each(found: Compiled, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What it says about each; a case with facts that it does not take has `faults`. Raises TooMuchAsked."""
    results: list[dict[str, Any]] = []
    until, size = time.monotonic() + SECONDS, 0
    for facts in cases:
        try:
            result = answer(found, found.table.decide(facts), facts)
        except FactsInvalid as error:
            faults = [{"path": one.path, "message": one.message} for one in error.faults]
            result = {"output": None, "decided": False, "rules": [], "why": [], "fault": None, "faults": faults}
        size += len(orjson.dumps(result))
        if size > MAX_ANSWER or time.monotonic() > until:
            raise TooMuchAsked
        results.append(result)
    return results


def answer(found: Compiled, decision: Decision, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A decision as JSON."""
    return {
        "output": plain(decision.output),
        "decided": decision.is_decided,
        "rules": [found.table.rules[place].id for place in decision.rules],
        "why": [why(found, place, facts) for place in decision.rules[:EXPLAINED]],
        "fault": decision.fault or None,
        "faults": [],
    }


def why(found: Compiled, place: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Why a rule matched: each of its conditions, with the fact that fulfilled it."""
    rule = found.document["rules"][place]
    when = rule.get("when", {})
    tests = [
        {"input": one.name, "value": look_up(one.path, facts), "test": _text(when[one.name])}
        for one, cell in zip(found.table.inputs, found.table.rules[place].when, strict=True)
        if cell.any_of
    ]
    return {"rule": found.table.rules[place].id, "note": found.table.rules[place].note, "when": tests}


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else orjson.dumps(cell).decode()
