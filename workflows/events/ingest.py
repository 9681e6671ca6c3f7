"""The ingest writer: one thread of a web process through which all events that it accepts reach the journal.

It commits in groups (`erip.foundation.process.group_commit`; Note [Shared commits] in `sharing` says when requests wait
for one another), synchronously. Each is answered after that commit, and never before. It also keeps the gate, since it
is the one that talks to PostgreSQL: back-pressure and quotas are judged here, so that a request that waits for the
answer needs no connection.

Note [Unknown outcome]
When the connection breaks during a commit nobody knows whether it happened. The group is written again: events that
were journalled twice are recognised by their identities. What could not be written in time is answered with 503, and
may be in the journal all the same; a client that sends it again does no harm.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from erip.audit import starts as audit
from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.process.group_commit import GroupCommit
from workflows.core.blocks import Entry, encode
from workflows.core.cloudevents import Batch
from workflows.core.pressure import Pressure, PressurePolicy, retry_after
from workflows.events import sealing
from workflows.events.conf import conf
from workflows.events.errors import JournalFull, JournalUnavailable
from workflows.events.quotas import Quotas
from workflows.events.sharing import Sharing
from workflows.journal import store as journal

log = structlog.get_logger(__name__)

#: seconds for which one survey of the journal is good
SURVEY_SECONDS = 0.25
#: seconds between two tries while PostgreSQL is away: first, and at most
RETRY_AFTER = (0.05, 0.5)
#: seconds between two announcements of a busy process: consumers that are at work look for themselves
ANNOUNCE_EVERY = 0.02
#: seconds that a caller waits beyond the time that the writer may take
GIVE_UP_AFTER = 2.0


@dataclass(slots=True)
class _Piece:
    """A request's events."""

    partitions: Mapping[int, Sequence[Entry]]
    events: int
    sources: Mapping[str, int]
    #: who sent them, for the audit log
    sender: Mapping[str, Any]
    #: when it came, and until when it may be written: on the monotonic clock
    came: float
    deadline: float
    #: whether it has passed the gate: it counts only once there, however often it is written
    admitted: bool = False
    done: "Future[None]" = field(default_factory=Future)


class IngestWriter:
    """One per process; `submit` may be called from any thread."""

    def __init__(self) -> None:
        self._quotas = Quotas()
        self._pressure: Pressure | None = None
        self._surveyed_at = 0.0
        self._announced_at = 0.0
        #: never set; waiting on it, unlike a sleep, can be interrupted
        self._away = threading.Event()
        self._sharing = Sharing(time.monotonic())
        self._groups: GroupCommit[_Piece] = GroupCommit("ingest-writer", self._write_or_fail, wait=self._wait)

    def submit(self, batch: Batch) -> "Future[None]":
        """Journal these events. The future is done when they are durable; it raises JournalFull, QuotaExceeded or
        JournalUnavailable if they are not."""
        now = time.monotonic()
        sender = audit.sender(batch.events, batch.sources)
        piece = _Piece(batch.partitions, batch.events, batch.sources, sender, now, now + conf().ingest_seconds)
        self._sharing.came(piece.events, now)
        piece.done.add_done_callback(lambda _: self._sharing.answered(time.monotonic()))
        self._groups.put(piece)
        return piece.done

    def knock(self, events: int) -> None:
        """Raises JournalFull where the last survey left no room for (about) this many events. So a request that will be
        refused is not even read; otherwise a flood of refusals would take the time in which events are consumed."""
        pressure, surveyed_at = self._pressure, self._surveyed_at
        if pressure is not None and time.monotonic() - surveyed_at < SURVEY_SECONDS:
            seconds = retry_after(events, pressure, _policy())
            if seconds is not None:
                raise JournalFull(seconds)

    def forget(self) -> None:
        """Look at quotas and pressure anew at the next request."""
        self._quotas.forget()
        self._surveyed_at = 0.0

    def stop(self) -> None:
        """Write what was handed over, then end."""
        self._groups.stop(conf().ingest_seconds + GIVE_UP_AFTER)

    def _wait(self, group: list[_Piece]) -> float:
        events = sum(piece.events for piece in group)
        return self._sharing.wait(len(group), events, group[0].came, conf().flush, time.monotonic())

    def _write_or_fail(self, group: list[_Piece]) -> None:
        try:
            self._write(group)
        except Exception as error:
            left = [piece for piece in group if not piece.done.done()]
            if len(left) > 1 and isinstance(error, ERRORS):
                # It may be one request's doing, which the others must not suffer for.
                log.warning("ingest_one_by_one", error=error, requests=len(left))
                self._write_each(left)
                return
            for piece in left:
                piece.done.set_exception(error)
            raise

    def _write_each(self, group: list[_Piece]) -> None:
        failure: Exception | None = None
        for piece in group:
            try:
                if self._in_time(piece):
                    self._write_or_fail([piece])
            except Exception as error:  # its caller was told
                failure = error
        if failure is not None:
            raise failure

    def _write(self, group: list[_Piece]) -> None:
        pause, most = RETRY_AFTER
        while group:
            try:
                group = [piece for piece in group if self._admit(piece)]
                if group:
                    self._commit(group)
                return
            except ERRORS as error:
                if not is_passing(error):
                    raise
                log.warning("ingest_delayed", error=error, requests=len(group))
                drop_connection()
                self._away.wait(pause)
                pause = min(pause * 2, most)
                group = [piece for piece in group if self._in_time(piece)]

    @staticmethod
    def _in_time(piece: _Piece) -> bool:
        if piece.done.done():
            return False
        if time.monotonic() < piece.deadline:
            return True
        piece.done.set_exception(JournalUnavailable())
        return False

    def _admit(self, piece: _Piece) -> bool:
        """Whether it may come in, by Note [Back-pressure] in `core/pressure`, and its sources' quotas."""
        if piece.admitted or piece.done.done():
            return piece.admitted
        pressure = self._survey()
        seconds = retry_after(piece.events, pressure, _policy())
        try:
            if seconds is not None:
                raise JournalFull(seconds)
            self._quotas.take(piece.sources)
        except ERRORS:
            raise
        except Exception as refusal:
            piece.done.set_exception(refusal)
            return False
        # Events that come in before the next survey are counted here.
        self._pressure = replace(pressure, waiting=pressure.waiting + piece.events)
        piece.admitted = True
        return True

    def _survey(self) -> Pressure:
        now = time.monotonic()
        if self._pressure is None or now - self._surveyed_at > SURVEY_SECONDS:
            self._pressure = journal.pressure(lease=conf().lease)
            self._surveyed_at = now
        return self._pressure

    def _commit(self, group: list[_Piece]) -> None:
        most = conf().round
        merged: dict[int, list[Entry]] = {}
        for piece in group:
            for partition, entries in piece.partitions.items():
                merged.setdefault(partition, []).extend(entries)
        blocks = [
            (partition, len(part), encode(part))
            for partition, entries in merged.items()
            for start in range(0, len(entries), most)
            for part in (entries[start : start + most],)
        ]
        if blocks:
            now = time.monotonic()
            announce = now - self._announced_at > ANNOUNCE_EVERY
            journal.insert_blocks(blocks, [piece.sender for piece in group], notify=announce)
            if announce:
                self._announced_at = now
        for piece in group:
            piece.done.set_result(None)


def _policy() -> PressurePolicy:
    settings = conf()
    return PressurePolicy(settings.bound, settings.min_rate, settings.max_backlog)


_writer: IngestWriter | None = None
_lock = threading.Lock()


def writer() -> IngestWriter:
    """This process's."""
    global _writer
    if _writer is None:
        with _lock:
            if _writer is None:
                _writer = IngestWriter()
    return _writer


def knock(events: int) -> None:
    """Call it before reading a request of about this many events. Raises JournalFull."""
    writer().knock(events)


def accept(batch: Batch) -> None:
    """Journal these events, sealed as their types say, and wait until they are durable. Raises JournalFull,
    QuotaExceeded, JournalUnavailable, KeysInvalid."""
    sealing.seal(batch)
    try:
        writer().submit(batch).result(timeout=conf().ingest_seconds + GIVE_UP_AFTER)
    except TimeoutError as error:
        # The writer is waiting for PostgreSQL, which neither answers nor closes the connection.
        raise JournalUnavailable from error


def forget() -> None:
    """Look at quotas and pressure anew: for tests."""
    if _writer is not None:
        _writer.forget()


def stop() -> None:
    """Write what was handed over and end this process's writer, if there is one; the next event starts a new one."""
    global _writer
    with _lock:
        ended, _writer = _writer, None
    if ended is not None:
        ended.stop()


def _forget_parent() -> None:
    """In a child process: the parent's thread is not here."""
    global _writer, _lock
    _writer, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_parent)
