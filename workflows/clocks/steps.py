"""What workers run for the `clocks` of a definition: Note [Clocks are steps] in `workflows.core.declared`.

The body decides what starts from when. The clocks are written with its result, by `starting.start_declared`.
`clocks.file` stands in `filing`, `clocks.touched` in `touching`, `clocks.standing` in `standing`; the registry looks
for all of them here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field

from erip.foundation.moments import moment
from workflows.clocks import filing, standing, touching
from workflows.clocks.reckoning import text_of
from workflows.core.clocks.clock import TRIGGERS
from workflows.core.clocks.deadline import stands_in
from workflows.core.declared import USES
from workflows.core.graph import Retry
from workflows.library.compass import data
from workflows.library.compass.obligations import Rule
from workflows.library.vocabulary import PLACES
from workflows.registry import StepContext, step

__all__ = ["filing", "standing", "start", "touching"]

log = structlog.get_logger(__name__)

#: characters of a value that a note shows
_SHOWN = 100


class Wanted(BaseModel):
    """One entry of `clocks`, rendered. Whatever an expression gave is taken: a deadline is not lost for a word."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    obligation: str = Field(max_length=60)
    starts: Any = None
    places: Any = None
    condition: Any = Field(default=True, alias="if")
    #: by key, why an expression could not be computed (Note [Each clock alone] in `workflows.core.declared`)
    failed: dict[str, str] = {}


class StartInput(BaseModel):
    """The clocks that one step starts."""

    model_config = ConfigDict(extra="forbid")

    clocks: list[Wanted] = Field(max_length=50)


class Started(BaseModel):
    """A clock: what its deadline hangs on, and what was assumed; "" is nothing."""

    obligation: str
    facts: dict[str, Any]
    note: str = ""


class NotStarted(BaseModel):
    obligation: str
    why: str


class Clocks(BaseModel):
    started: list[Started]


class StartOutput(BaseModel):
    """as_of: the run's creation. clocks: null where none started."""

    as_of: datetime
    clocks: Clocks | None
    not_started: list[NotStarted] = []


@step(USES, timeout=10.0, retry=Retry(max_attempts=10), summary="Start legal clocks; definitions with `clocks` do.")
def start(data_: StartInput, ctx: StepContext) -> StartOutput:
    rules = {rule.code: rule for rule in data.rules()}
    started: list[Started] = []
    left: list[NotStarted] = []
    for wanted in data_.clocks:
        rule = rules.get(wanted.obligation)
        if wanted.condition is False:
            left.append(NotStarted(obligation=wanted.obligation, why="its condition does not hold"))
        elif rule is None or not rule.document:
            why = "there is no such duty any more" if rule is None else "the duty has no clock any more"
            left.append(NotStarted(obligation=wanted.obligation, why=why))
        else:
            started.append(_started(wanted, rule, ctx.run_created_at))
    return StartOutput(as_of=ctx.run_created_at, clocks=Clocks(started=started) if started else None, not_started=left)


def _started(wanted: Wanted, rule: Rule, created: datetime) -> Started:
    notes = [f"{key} cannot be computed ({why})" for key, why in wanted.failed.items()]
    if notes:
        # PULSE groups it, so that whoever wrote the definition hears of it. What it says may quote the data of a run.
        log.error("clock_expression_failed", obligation=rule.code, keys=sorted(wanted.failed))
    if wanted.condition is not True:
        notes.append(f"the condition gave {_shown(wanted.condition)}, which is neither true nor false: it starts")
    moments, assumed = _moments(wanted.starts, rule, created, notes)
    return Started(
        obligation=rule.code,
        facts={
            "moments": {name: text_of(at) for name, at in moments.items()},
            "amended": {},
            "assumed": assumed,
            "places": _places(wanted.places, rule, notes),
            "facts": [],
            "submitted": {},
        },
        note="; ".join(notes),
    )


def _moments(starts: Any, rule: Rule, created: datetime, notes: list[str]) -> tuple[dict[str, datetime], list[str]]:
    """The moments, and which of them are assumed. One that is given for the duty is that of all its triggers: whichever
    of them it is, the deadline is not later than the law's. Where no clock of the duty can run on what is known, the
    run's creation stands in for what is missing: a clock that waits for ever alarms nobody."""
    triggers = list(dict.fromkeys(name for clock in rule.clocks for name in (clock.trigger, *clock.requires)))
    given = (
        {name: starts.get(name) for name in TRIGGERS} if isinstance(starts, dict) else dict.fromkeys(triggers, starts)
    )
    found: dict[str, datetime] = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            found[name] = moment(value)
        except (ValueError, TypeError, AttributeError):
            said = f"starts gave {_shown(value)}, which is no moment"
            if said not in notes:
                notes.append(said)
    if any(stands_in(clock, found) and found.keys() >= set(clock.requires) for clock in rule.clocks):
        return found, []
    missing = [name for name in triggers if name not in found]
    which = f" ({', '.join(missing)})" if found else ""
    notes.append(f"when it started{which} is not known: it counts from the run's creation, and may be due earlier")
    return {**dict.fromkeys(missing, created), **found}, missing


def _places(given: Any, rule: Rule, notes: list[str]) -> list[str]:
    """Where the law applies: where it was said, or everywhere where the duty is law."""
    words: Sequence[Any] = given if isinstance(given, list) else [given] if isinstance(given, str) else []
    heads = _heads(words, notes)
    return heads or sorted(rule.jurisdictions)


def _heads(words: Iterable[Any], notes: list[str]) -> list[str]:
    found: dict[str, None] = {}
    for word in words:
        heads = PLACES.heads(word) if isinstance(word, str) else ()
        if not heads:
            notes.append(f"{_shown(word)} is no place that is known")
        found.update(dict.fromkeys(heads))
    return list(found)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
