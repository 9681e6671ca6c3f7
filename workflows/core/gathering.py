"""Events that are gathered for one run: which run each is gathered for, and when that run starts. Pure.

Note [Gathering]
A rule with `collect`, or with `debounce: {for, max}`, does not start a run at once. The first event of a case opens a
*pending start*; the events that follow are added to it, and one run is started for all of them:
- `collect`: `for` after the first event, or at once with event number `max`, or when the next event would make what is
  kept more than MAX_BYTES; its input reads all `events`;
- `debounce`: when no event has come for `for`, but `max` after the first one at the latest; its input reads the last
  `event`, and `count`.
A pending start is a row that is written in the transaction that logs the events, and that goes in the transaction that
starts the run: so each event is in exactly one of them, whoever is killed when. It holds the rule as it was when the
first event came. A rule that is changed, switched off or deleted gathers nothing more; what it had gathered starts its
run in its time all the same, unless a person discards it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from workflows.core.rules import Gathering
from workflows.core.triggers import Gather

#: bytes that are kept of the events of one run, as JSON; one event may have more
MAX_BYTES = 1024 * 1024

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending start that takes events."""

    id: str
    count: int
    size: int
    since: datetime
    due_at: datetime


@dataclass(slots=True)
class Change(Generic[Item]):
    """What becomes of one pending start in a round."""

    pending: Pending
    #: it is new
    opened: bool
    #: what is added, with what its event says: of a debounce only the last one
    added: list[tuple[Gather, Item]] = field(default_factory=list)
    #: it takes no more events, and starts now
    closed: bool = False


def first_due(gathering: Gathering, now: datetime) -> datetime:
    """When the run of a pending start that is opened now starts, if nothing else comes."""
    return now + timedelta(seconds=gathering.seconds)


def settle(
    gathered: Sequence[tuple[Gather, Item]], known: Mapping[str, Pending], now: datetime, new_id: Callable[[], str]
) -> list[Change[Item]]:
    """What the events of a round, in their order, change. known: the open pending start of each case; one with a count
    of 0 was opened for this round. new_id: gives the id of a further one."""
    changes: list[Change[Item]] = []
    current: dict[str, Change[Item]] = {}
    for gather, item in gathered:
        gathering = gather.rule.gathering
        assert gathering is not None
        change = current.get(gather.case)
        if change is None:
            pending = known[gather.case]
            change = current[gather.case] = Change(pending, opened=False)
            changes.append(change)
        full = change.pending.size + gather.size > MAX_BYTES and gathering.all
        if change.closed or (change.pending.count and (full or now >= change.pending.due_at)):
            change.closed = True
            fresh = Pending(new_id(), 0, 0, now, first_due(gathering, now))
            change = current[gather.case] = Change(fresh, opened=True)
            changes.append(change)
        _add(change, gathering, gather, item, now)
    return changes


def _add(change: Change[Item], gathering: Gathering, gather: Gather, item: Item, now: datetime) -> None:
    pending = change.pending
    if gathering.all:
        change.added.append((gather, item))
        size = pending.size + gather.size
        change.pending = replace(pending, count=pending.count + 1, size=size)
        change.closed = change.pending.count >= gathering.most_events
        return
    change.added = [(gather, item)]
    latest = pending.since + timedelta(seconds=gathering.most_seconds)
    due_at = min(now + timedelta(seconds=gathering.seconds), latest)
    change.pending = replace(pending, count=pending.count + 1, size=gather.size, due_at=due_at)


def spell(count: int, since: datetime, due_at: datetime, now: datetime, gathering: Gathering, problem: str) -> str:
    """What a pending start waits for, in one sentence."""
    events = f"{count:,} {'event' if count == 1 else 'events'} since {since.isoformat(timespec='seconds')}"
    at = due_at.isoformat(timespec="seconds")
    if problem:
        return f"{events}; the run could not be started ({problem}), and is tried again at {at}."
    if now >= due_at:
        return f"{events}; the run is about to start."
    if gathering.all:
        return f"{events}; the run starts at {at}, or at once with event number {gathering.most_events:,}."
    latest = (since + timedelta(seconds=gathering.most_seconds)).isoformat(timespec="seconds")
    return f"{events}; the run starts at {at} unless another comes before, and at {latest} at the latest."
