"""One round of a consumer: the events that wait in its partitions are logged and take effect, in one transaction.

`run` opens the transaction. A failure in it is raised as RoundFailed, and `faults` decides what happens next; an error
of the database itself is raised unchanged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

import structlog
from django.db import InterfaceError, InternalError, OperationalError, connection, transaction

from workflows.core.blocks import Entry, decode
from workflows.events.conf import conf
from workflows.events.effects import AfterCommit, Effect, LoggedEvent, Rejection, Round, Unavailable
from workflows.events.store import deadletters, rounds
from workflows.events.store.deadletters import Dead
from workflows.events.store.rounds import StoredBlock, Taken, log_line

logger = structlog.get_logger(__name__)

#: the name of what fails when an event cannot be written into the log
LOG = "log"

#: an event's place in the journal: block, offset
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Given:
    """An effect that is given up for one event: `effect` is not tried again for it. attempts: how often it was
    tried."""

    effect: str
    code: str
    message: str
    attempts: int


class RoundFailed(Exception):
    """A round was rolled back: `effect` failed on one of its events. heads: the first event of each partition."""

    def __init__(self, effect: str, error: Exception, heads: Mapping[int, Place], events: int) -> None:
        super().__init__(f"{effect}: {error}")
        self.effect = effect
        self.error = error
        self.heads = heads
        self.events = events


@dataclass(slots=True)
class Done:
    """The result of a round. events: how many were taken from each partition, duplicates and replays included."""

    events: dict[int, int] = field(default_factory=dict)
    logged: int = 0
    buried: int = 0
    #: partitions in which more events wait
    more: bool = False


@dataclass(slots=True)
class _Work:
    """What one round reads and writes."""

    events: list[LoggedEvent] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    gone: list[tuple[int, int]] = field(default_factory=list)
    partly: list[tuple[int, int, int]] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    #: (effect, event) pairs that are left out
    left_out: set[tuple[str, int]] = field(default_factory=set)
    heads: dict[int, Place] = field(default_factory=dict)


class _Candidate(NamedTuple):
    partition: int
    block: StoredBlock
    offset: int
    entry: Entry


Guard = Callable[[Effect, Round], AfterCommit | None]


def run(
    worker_id: int,
    limits: Mapping[int, int],
    effects: Sequence[Effect],
    *,
    given_up: Mapping[tuple[int, int, int], Given],
    guard: Guard,
    rates: Callable[[Mapping[int, int]], Mapping[int, float | None]],
) -> Done:
    """Take the events that wait in these partitions, if this worker owns them. Raises RoundFailed, Unavailable, and
    errors of the database.

    limits: partition → events. given_up: (partition, block, offset) of events that are buried instead. guard: calls an
    effect. rates: gives the partitions' rates, from the number of events that this round took from each.
    """
    done = Done()
    after: list[AfterCommit] = []
    with transaction.atomic():
        now, taken = rounds.read(worker_id, limits)
        if not taken:
            return done
        work = _Work()
        candidates = _candidates(taken, limits, work, done)
        try:
            _log(candidates, taken, now, work, done, given_up)
        except (OperationalError, InterfaceError, InternalError):
            raise
        except Exception as error:
            raise RoundFailed(LOG, error, work.heads, len(candidates)) from error
        for effect in effects:
            told = _apply(effect, work, worker_id, guard, len(candidates))
            if told is not None:
                after.append(told)
        if work.dead:
            deadletters.bury(work.dead)
        rate = rates(done.events)
        rounds.finish(
            {number: (position, rate.get(number)) for number, position in work.positions.items()},
            work.gone,
            work.partly,
            now,
        )
    done.buried = len(work.dead)
    for call in after:
        try:
            call()
        except Exception:
            logger.exception("after_commit_failed")
    return done


def _candidates(taken: Sequence[Taken], limits: Mapping[int, int], work: _Work, done: Done) -> list[_Candidate]:
    """The events to take, in order; whole blocks unless there is a reason to split them."""
    whole = conf().round
    found: list[_Candidate] = []
    for partition in taken:
        limit = limits[partition.number]
        # A block is taken whole if possible, to decode it only once; an extremely large one is split over several
        # rounds.
        left = limit if limit < whole else 2 * whole
        count = 0
        work.positions[partition.number] = partition.position
        for block in partition.blocks:
            if left <= 0:
                break
            upto = min(block.done + left, block.events)
            entries = decode(block.body)
            found += [
                _Candidate(partition.number, block, offset, entries[offset]) for offset in range(block.done, upto)
            ]
            if upto == block.events:
                work.gone.append((partition.number, block.seq))
            else:
                work.partly.append((partition.number, block.seq, upto))
            left -= upto - block.done
            count += upto - block.done
        first = partition.blocks[0]
        work.heads[partition.number] = (first.seq, first.done)
        done.events[partition.number] = count
        done.more |= count >= limit
    return found


def _log(
    candidates: Sequence[_Candidate],
    taken: Sequence[Taken],
    now: datetime,
    work: _Work,
    done: Done,
    given_up: Mapping[tuple[int, int, int], Given],
) -> None:
    """Separate the fresh events from those that were logged before, and write the fresh ones into the log."""
    digests = [
        None
        if one.block.replay is not None or (given_up and _given(one, given_up, LOG))
        else blake2b(f"{one.entry.source}\0{one.entry.id}".encode(), digest_size=16).hexdigest()
        for one in candidates
    ]
    fresh = rounds.take_fresh([digest for digest in digests if digest is not None], now)
    logged_at = now.isoformat()
    accepted: dict[int, str] = {}
    positions, events, lines = work.positions, work.events, work.lines
    for one, digest in zip(candidates, digests, strict=True):
        partition, block, entry = one.partition, one.block, one.entry
        given = given_up.get((partition, block.seq, one.offset)) if given_up else None
        if digest is None:
            if block.replay is None:
                work.dead.append(_buried(one, None, None, given))
                continue
            event = _replayed(entry, block.replay)
        elif digest in fresh:
            fresh.remove(digest)
            position = positions[partition]
            positions[partition] = position + 1
            at = accepted.get(block.seq)
            if at is None:
                at = accepted[block.seq] = block.accepted_at.isoformat()
            type_, source, subject, id_, text, _, sender = entry
            lines.append(
                log_line(partition, position, logged_at, at, type_, source, subject, id_, text.decode(), sender)
            )
            event = LoggedEvent(
                partition, position, now, block.accepted_at, type_, source, subject, id_, text, None, sender
            )
        else:
            continue  # it is in the log already
        if given is not None:
            work.dead.append(_buried(one, event.position, event.logged_at, given))
            work.left_out.add((given.effect, id(event)))
        events.append(event)
    rounds.log(lines)
    done.logged = len(lines)


def _given(one: _Candidate, given_up: Mapping[tuple[int, int, int], Given], effect: str) -> bool:
    given = given_up.get((one.partition, one.block.seq, one.offset))
    return given is not None and given.effect == effect


def _replayed(entry: Entry, target: str) -> LoggedEvent:
    assert entry.past is not None
    partition, position, logged_at, accepted_at = entry.past
    return LoggedEvent(
        partition,
        position,
        datetime.fromisoformat(logged_at),
        datetime.fromisoformat(accepted_at),
        entry.type,
        entry.source,
        entry.subject,
        entry.id,
        entry.text,
        target,
        entry.sender,
    )


def _apply(effect: Effect, work: _Work, worker_id: int, guard: Guard, events: int) -> AfterCommit | None:
    name = effect.name
    concerned = [event for event in work.events if event.replay is None or event.replay.partition(":")[0] == name]
    if work.left_out:
        concerned = [event for event in concerned if (name, id(event)) not in work.left_out]
    if not concerned:
        return None
    round_ = Round(concerned, worker_id)
    try:
        # A savepoint for each effect would cost two round trips: an effect that fails therefore fails the round.
        told = guard(effect, round_)
    except Unavailable:
        raise
    except (OperationalError, InterfaceError) as error:
        if connection.connection is None or connection.connection.closed:
            raise  # it is not the effect that failed
        raise RoundFailed(name, error, work.heads, events) from error
    except Exception as error:
        raise RoundFailed(name, error, work.heads, events) from error
    work.dead += [_rejected(rejection) for rejection in round_.rejections]
    return told


def _rejected(rejection: Rejection) -> Dead:
    event = rejection.event
    return Dead(
        partition=event.partition,
        position=event.position,
        logged_at=event.logged_at,
        block=None,
        offset=None,
        type=event.type,
        source=event.source,
        subject=event.subject,
        id=event.id,
        text=event.text.decode(),
        effect=rejection.effect,
        target=rejection.target,
        code=rejection.code,
        message=rejection.message,
        attempts=1,
        sender=event.sender,
    )


def _buried(one: _Candidate, position: int | None, logged_at: datetime | None, given: Given | None) -> Dead:
    assert given is not None
    entry = one.entry
    return Dead(
        partition=one.partition,
        position=position,
        logged_at=logged_at,
        block=one.block.seq,
        offset=one.offset,
        type=entry.type,
        source=entry.source,
        subject=entry.subject,
        id=entry.id,
        text=entry.text.decode(),
        effect=given.effect,
        target=one.block.replay.partition(":")[2] or None if one.block.replay else None,
        code=given.code,
        message=given.message,
        attempts=given.attempts,
        sender=entry.sender,
    )
