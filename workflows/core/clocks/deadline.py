"""The deadline of an obligation, from all its clocks together."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from workflows.core.clocks.clock import FALLBACKS, Clock
from workflows.core.clocks.reckoning import Reading, reckon
from workflows.core.clocks.stopping import Stop
from workflows.core.clocks.where import Where

#: In this order things happen: a word that stands in for one before it may make a deadline later than the truth.
_ORDER = (
    "incident", "suspected", "detected", "believed", "aware", "confirmed", "determined", "classified", "material",
    "paid", "fix_available", "handled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deadline:
    """at: the moment that alarms. trigger: from which it is counted; since: when that happened. assumed: a later word
    stands in for the trigger, so the truth may be earlier."""

    at: datetime
    trigger: str
    since: datetime
    due: Reading
    arguable: Reading
    assumed: bool = False

    @property
    def arguable_until(self) -> datetime:
        return self.arguable.at


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a deadline hangs on beside the moments. facts: of the organisation. extended: a later end that an authority
    granted, and its reason."""

    where: Sequence[Where] = ()
    facts: Collection[str] = ()
    stops: Sequence[Stop] = ()
    extended: tuple[datetime, str] | None = None
    #: also say how the readings came about
    explain: bool = False


NOTHING = Circumstances()


def deadline(
    clocks: Sequence[Clock], moments: Mapping[str, datetime], given: Circumstances = NOTHING
) -> Deadline | None:
    """The deadline from all the clocks together; None while none of their triggers has happened. Raises OutOfRange."""
    clocks = [clock for clock in clocks if all(name in moments for name in clock.requires)]
    if len(clocks) == 1 and given.extended is None:
        return _earliest(clocks, moments, given)
    strict = [clock for clock in clocks if not clock.arguable]
    due = _earliest([clock for clock in strict if not clock.backstop], moments, given)
    limit = _earliest([clock for clock in strict if clock.backstop], moments, given)
    if due is not None and limit is not None and due.since <= limit.at:
        due = _bounded(due, limit)
    found = due or limit
    defended = _earliest([clock for clock in clocks if clock.arguable], moments, given)
    if found is None:
        # Only a reading to be defended runs: it is the only one there is.
        return defended
    if defended is not None and defended.arguable.at > found.arguable.at:
        found = replace(found, arguable=defended.arguable)
    return found if given.extended is None else _extended(found, *given.extended)


def _bounded(due: Deadline, limit: Deadline) -> Deadline:
    first = min(due, limit, key=lambda one: one.at)
    return replace(first, arguable=min(due.arguable, limit.arguable, key=lambda one: one.at))


def _extended(found: Deadline, until: datetime, reason: str) -> Deadline:
    until = until.astimezone(UTC)
    if until <= found.at:
        return found
    how = (*found.due.how, f"extended until {until.isoformat(timespec='seconds')}: {reason}")
    due = replace(found.due, at=until, how=how)
    return replace(found, at=until, due=due, arguable=due if until >= found.arguable.at else found.arguable)


def _earliest(clocks: Iterable[Clock], moments: Mapping[str, datetime], given: Circumstances) -> Deadline | None:
    found: list[Deadline] = []
    for clock in clocks:
        trigger = stands_in(clock, moments)
        if trigger is None:
            continue
        since = moments[trigger]
        reckoned = reckon(clock, since, given.where, stops=given.stops, facts=given.facts, explain=given.explain)
        assumed = trigger != clock.trigger and _later(trigger, clock.trigger)
        found.append(
            Deadline(reckoned.due.at, trigger, since.astimezone(UTC), reckoned.due, reckoned.arguable, assumed)
        )
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    first = min(found, key=lambda one: one.at)
    return replace(first, arguable=min((one.arguable for one in found), key=lambda one: one.at))


def stands_in(clock: Clock, moments: Mapping[str, datetime]) -> str | None:
    """The trigger that the clock counts from: its own, or, while that is not known, the earliest one instead of it."""
    if clock.trigger in moments:
        return clock.trigger
    groups = FALLBACKS.get(clock.trigger, ()) if clock.fallback is None else (clock.fallback,)
    for group in groups:
        known = [name for name in group if name in moments]
        if known:
            return min(known, key=lambda name: moments[name])
    return None


def _later(name: str, than: str) -> bool:
    return name in _ORDER and than in _ORDER and _ORDER.index(name) > _ORDER.index(than)
