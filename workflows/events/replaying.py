"""Replays: events of the log take effect again, for one consumer of them.

A replay writes nothing into the log: its events go through the journal, in the order of their partitions, to the effect
that the target names, and to nobody else. They count as waiting events like any others (Note [Back-pressure]).
"""

from collections import Counter
from dataclasses import dataclass

import structlog
from django.db import connection, transaction

from erip.access.flags import asking as flags
from workflows.events.effects import Effect
from workflows.events.errors import ReplayTooLarge, UnknownTarget
from workflows.events.pipeline import effect_of, effects
from workflows.events.queries import Filter
from workflows.events.store import replays

log = structlog.get_logger(__name__)

#: events of one replay
MAX_EVENTS = 100_000
#: events that are read at a time
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """events: how many there are. effects: what they would cause, by trigger or subscription; only set by a dry run."""

    target: str
    events: int
    effects: dict[str, int]


def preview(wanted: Filter, target: str) -> Replayed:
    """Find out what a replay would do, without doing it. Raises UnknownTarget, ReplayTooLarge."""
    effect = _effect(target)
    events = _count(wanted)
    planned: Counter[str] = Counter()
    where, parameters = wanted.sql()
    with transaction.atomic():
        for chunk in replays.logged_events(where, parameters, chunk=CHUNK):
            try:
                planned.update(effect.plan(target, chunk))
            except LookupError as error:
                raise UnknownTarget(f'There is no "{target}" to replay to.') from error
    return Replayed(target, events, dict(planned))


def replay(wanted: Filter, target: str, *, by: str) -> Replayed:
    """Make these events take effect again. by: the principal. Raises UnknownTarget, ReplayTooLarge,
    SwitchedOff."""
    flags.need("event-replays", by)
    effect = _effect(target)
    _count(wanted)
    where, parameters = wanted.sql()
    with transaction.atomic():
        try:
            effect.plan(target, [])
        except LookupError as error:
            raise UnknownTarget(f'There is no "{target}" to replay to.') from error
        chunks = replays.logged_events(where, parameters, chunk=CHUNK)
        events = replays.insert_replays((event for chunk in chunks for event in chunk), target)
    log.info("events_replayed", target=target, events=events, by=by)
    return Replayed(target, events, {})


def _effect(target: str) -> Effect:
    effect = effect_of(target)
    if effect is None:
        names = ", ".join(effect.name for effect in effects()) or "nothing"
        raise UnknownTarget(f'There is no "{target}" to replay to; there is {names}.')
    return effect


def _count(wanted: Filter) -> int:
    where, parameters = wanted.sql()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM events_event WHERE {where} LIMIT %s) found",  # noqa: S608
            [*parameters, MAX_EVENTS + 1],
        )
        count: int = cursor.fetchone()[0]
    if count > MAX_EVENTS:
        raise ReplayTooLarge
    return count
