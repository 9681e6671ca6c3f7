"""A clock's deadline, computed from its row: the same for whoever computes it, with the row's own duty and facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workflows.clocks.models import LegalClock, State
from workflows.core.clocks.clock import Clock
from workflows.core.clocks.deadline import Circumstances, Deadline, deadline
from workflows.core.clocks.stopping import Stop
from workflows.core.clocks.versions import data_versions
from workflows.core.clocks.where import places
from workflows.library.compass.obligations import stages

#: The ladder of a clock. `warn` comes before the deadline, by a quarter of the period, a day at most; the others after
#: it.
RUNGS: Final = ("warn", "breach", "escalate", "escalate", "escalate")
WARN, BREACH = 0, 1
WARN_SHARE: Final = 0.25
WARN_AT_MOST: Final = timedelta(hours=24)
#: from the deadline to the rungs after it
AFTER: Final = {2: timedelta(hours=1), 3: timedelta(hours=4), 4: timedelta(hours=24)}


@dataclass(frozen=True, slots=True)
class Ladder:
    next_rung: int
    next_rung_at: datetime | None


def moments_of(row: LegalClock) -> dict[str, datetime]:
    """The moments that it may count from. What a person corrected goes before what was assessed."""
    known = {**row.facts["moments"], **row.facts["amended"]}
    submitted = {name: at_of(text) for name, text in row.facts["submitted"].items()}
    return {**{name: at_of(text) for name, text in known.items()}, **stages(submitted)}


def reckoned(row: LegalClock, *, explain: bool = False) -> Deadline | None:
    """None: what it counts from has not happened. Raises OutOfRange, BadClock."""
    extended = row.extended
    given = Circumstances(
        where=places(row.facts["places"]),
        facts=frozenset(row.facts["facts"]),
        stops=[
            Stop(at_of(one["since"]), one["until"] and at_of(one["until"]), one["reason"], one["by"], one["article"])
            for one in row.stops
        ],
        extended=(at_of(extended["until"]), extended["reason"]) if extended else None,
        explain=explain,
    )
    return deadline([Clock.of(one) for one in row.duty["clocks"]], moments_of(row), given)


def refresh(row: LegalClock, now: datetime) -> None:
    """Bring the row's deadline, state and ladder up to date. The caller saves it. Raises OutOfRange, BadClock."""
    before = row.due_at
    found = reckoned(row)
    row.versions = data_versions()
    if found is None:
        # A forecast of a stage not yet submitted stays as it was found.
        row.trigger = next((str(one["trigger"]) for one in row.duty["clocks"]), "")
        row.since = None
        row.provisional = row.due_at is not None
    else:
        row.trigger, row.since = found.trigger, found.since
        row.due_at, row.arguable_until = found.at, found.arguable_until
        needed = {found.trigger, *(name for one in row.duty["clocks"] for name in one.get("requires", ()))}
        row.provisional = found.assumed or not needed.isdisjoint(row.facts["assumed"])
    if row.state not in (State.FILED, State.DISMISSED):
        standing = bool(row.stops) and row.stops[-1]["until"] is None
        row.state = State.STOPPED if standing else State.WAITING if found is None else State.RUNNING
    if row.due_at != before:
        row.turn += 1
        row.next_rung = WARN
    ladder = next_of(row, now)
    row.next_rung, row.next_rung_at = ladder.next_rung, ladder.next_rung_at


def next_of(row: LegalClock, now: datetime) -> Ladder:
    """The rung that comes next. A deadline that has passed already is a breach at once, with no warning."""
    if row.state != State.RUNNING or row.due_at is None or row.since is None or row.next_rung >= len(RUNGS):
        return Ladder(row.next_rung, None)
    rung = BREACH if row.next_rung == WARN and row.due_at <= now else row.next_rung
    return Ladder(rung, rung_at(rung, row.since, row.due_at))


def rung_at(rung: int, since: datetime, due: datetime) -> datetime:
    if rung == WARN:
        return due - min(max(due - since, timedelta(0)) * WARN_SHARE, WARN_AT_MOST)
    return due + AFTER.get(rung, timedelta(0))


def counts_from(duty: Mapping[str, Any]) -> set[str]:
    """The triggers of a duty's clocks."""
    return {str(one["trigger"]) for one in duty["clocks"]}


def at_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def text_of(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
