"""Plays shipped definitions on the machine alone: shipped tables decide, and nothing is looked up or sent."""

from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from workflows import library
from workflows.core.graph import Graph
from workflows.core.machine import RunView
from workflows.core.secrets import given as given_secrets
from workflows.core.sensitive import plain as plain_data
from workflows.core.states import RunState
from workflows.core.tables.document import read
from workflows.core.tables.plain import plain
from workflows.library.shipping import files
from workflows.testing import Result, answer, memory, signal
from workflows.testing.moments import Moment
from workflows.testing.one_step import MOMENT, RUN_ID
from workflows.testing.stubs import Stubs

TABLES = {row["name"]: read(row["table"]) for row in files.fixture("decision-tables.yaml")}


def decided(asked: Any) -> dict[str, Any]:
    """In place of `decisions.decide`."""
    table = TABLES[asked.table]
    found = table.decide(asked.facts)
    rules = [table.rules[place].id for place in found.rules]
    return {"result": plain(found.output), "table": asked.table, "version": 1, "rules": rules}


@lru_cache(maxsize=8)
def graph(name: str) -> tuple[Graph, Any]:
    """A shipped definition, checked once for all tests."""
    return memory.read(Path(library.__file__).parent / "definitions" / f"{name}.yaml")


def play(name: str, given: dict[str, Any], stubs: dict[str, Any], during: tuple[Moment, ...]) -> Result:
    """As `run_workflow`."""
    checked, specs = graph(name)
    assert checked.input_faults(given) == []
    assert memory.signal_faults(checked, during) == []
    assert checked.timeout is not None
    view = RunView(RUN_ID, name, None, checked.lane, RunState.PENDING, given, MOMENT)
    every = {**stubs, **({"decisions.decide": decided} if name in DECIDES else {})}
    run = memory.InMemory(checked, view, Stubs(checked, every, specs), MOMENT + timedelta(seconds=checked.timeout))
    with given_secrets({}), plain_data():
        return run.happen(during)


#: those that ask a table by a step of the kind `decision`
DECIDES = ("regulatory-change", "vendor-assessment")


def yes(step: str, after: str, form: Any = None) -> Moment:
    return answer(step, approved=True, after=after, form=form)


def no(step: str, after: str, form: Any = None) -> Moment:
    return answer(step, approved=False, after=after, form=form)


def send(after: str, name: str = "remedied", **payload: Any) -> Moment:
    return signal(name, payload, after=after)


def done(result: Result) -> set[str]:
    return {id for id, step in result.steps.items() if step.state == "SUCCEEDED"}
