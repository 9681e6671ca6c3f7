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

from workflows.core.blocks import Columns, Entry, columns, entries
from workflows.events.conf import conf
from workflows.events.effects import AfterCommit, Effect, Rejection, Round, Unavailable
from workflows.events.logged import FreshEvents, LoggedEvent, Part
from workflows.events.store import deadletters, rounds
from workflows.events.store.deadletters import Dead
from workflows.events.store.rounds import StoredBlock, Taken, log_line, log_lines

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

    events: Sequence[LoggedEvent] = ()
    #: how many events it takes, those included that were logged before
    taken: int = 0
    lines: list[str] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    gone: list[tuple[int, int]] = field(default_factory=list)
    partly: list[tuple[int, int, int]] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    #: (effect, event) pairs that are left out
    left_out: set[tuple[str, int]] = field(default_factory=set)
    heads: dict[int, Place] = field(default_factory=dict)


class _Piece(NamedTuple):
    """Events to take: those of a block from `first` to `upto`."""

    partition: int
    block: StoredBlock
    columns: Columns
    first: int
    upto: int


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
        pieces = _pieces(taken, limits, work, done)
        try:
            _log(pieces, now, work, done, given_up)
        except (OperationalError, InterfaceError, InternalError):
            raise
        except Exception as error:
            raise RoundFailed(LOG, error, work.heads, work.taken) from error
        for effect in effects:
            told = _apply(effect, work, worker_id, guard)
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


def _pieces(taken: Sequence[Taken], limits: Mapping[int, int], work: _Work, done: Done) -> list[_Piece]:
    """The events to take, in order; whole blocks unless there is a reason to split them."""
    whole = conf().round
    found: list[_Piece] = []
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
            found.append(_Piece(partition.number, block, columns(block.body), block.done, upto))
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
        work.taken += count
    return found


def _log(
    pieces: Sequence[_Piece],
    now: datetime,
    work: _Work,
    done: Done,
    given_up: Mapping[tuple[int, int, int], Given],
) -> None:
    """Separate the fresh events from those that were logged before, and write the fresh ones into the log."""
    if not given_up and all(piece.block.replay is None for piece in pieces):
        digests = [
            blake2b(f"{source}\0{id_}".encode(), digest_size=16).hexdigest()
            for _, _, of, first, upto in pieces
            for source, id_ in zip(of.sources[first:upto], of.ids[first:upto], strict=True)
        ]
        known = rounds.remember(digests, now)
        if not known and len(set(digests)) == len(digests):
            _log_all(pieces, now, work, done)
        else:
            _log_each(_candidates(pieces), digests, known, now, work, done, given_up)
        return
    candidates = _candidates(pieces)
    some = [
        None
        if one.block.replay is not None or (given_up and _given(one, given_up, LOG))
        else blake2b(f"{one.entry.source}\0{one.entry.id}".encode(), digest_size=16).hexdigest()
        for one in candidates
    ]
    known = rounds.remember([digest for digest in some if digest is not None], now)
    _log_each(candidates, some, known, now, work, done, given_up)


def _log_all(pieces: Sequence[_Piece], now: datetime, work: _Work, done: Done) -> None:
    """Write all of these events into the log: none of them was there."""
    logged_at = now.isoformat()
    positions = work.positions
    parts: list[Part] = []
    for partition, block, of, first, upto in pieces:
        position = positions[partition]
        positions[partition] = position + upto - first
        at = block.accepted_at
        work.lines.append(log_lines(partition, position, logged_at, at.isoformat(), of, first, upto))
        parts.append(Part(partition, position, now, at, of, first, upto))
        done.logged += upto - first
    work.events = FreshEvents(parts)
    rounds.log(work.lines)


def _candidates(pieces: Sequence[_Piece]) -> list[_Candidate]:
    found: list[_Candidate] = []
    for partition, block, of, first, upto in pieces:
        each = entries(of)
        found += [_Candidate(partition, block, offset, each[offset]) for offset in range(first, upto)]
    return found


def _log_each(
    candidates: Sequence[_Candidate],
    digests: Sequence[str | None],
    known: set[str],
    now: datetime,
    work: _Work,
    done: Done,
    given_up: Mapping[tuple[int, int, int], Given],
) -> None:
    """Write those into the log that were not there, each once. digests: None for what is not to be logged."""
    logged_at = now.isoformat()
    accepted: dict[int, str] = {}
    events: list[LoggedEvent] = []
    positions, lines = work.positions, work.lines
    work.events = events
    for one, digest in zip(candidates, digests, strict=True):
        partition, block, entry = one.partition, one.block, one.entry
        given = given_up.get((partition, block.seq, one.offset)) if given_up else None
        if digest is None:
            if block.replay is None:
                work.dead.append(_buried(one, None, None, given))
                continue
            event = _replayed(entry, block.replay)
        elif digest not in known:
            known.add(digest)  # it may come once more in the same round
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


def _apply(effect: Effect, work: _Work, worker_id: int, guard: Guard) -> AfterCommit | None:
    name, events = effect.name, work.taken
    concerned = work.events
    if not isinstance(concerned, FreshEvents):
        concerned = [event for event in concerned if event.replay is None or event.replay.partition(":")[0] == name]
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
