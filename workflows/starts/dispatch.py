"""The one place that publishes to the broker. A message is a hint: if it cannot be sent, the work is found anyway.

Note [Publishing]
The caller waits until its messages are sent, but never longer than PATIENCE: a request that started a run must be
answered, even while the broker's master or a name server is frozen. Socket timeouts cannot guarantee that (each
Sentinel has its own, and so has the master), so a separate thread sends the messages, and its callers wait with a
deadline.

When sending has failed FAILURES times the circuit breaker opens: from then on nobody waits at all. Every RETRY_AFTER
seconds one message is a trial, in the background; when it has been sent the breaker closes. What is not sent meanwhile
is not kept: hand-over, the workers' own look into PostgreSQL and the leader find the work.

A message costs its sender and its worker more than all else that is in it. So runs of one lane that came in while the
thread was sending share the next one; few of the most urgent lane do, because one worker gets them all.
"""

import itertools
import os
import queue
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection, pools

from erip.foundation.circuit import Circuit
from erip.foundation.process.messages import write
from erip.foundation.process.watched import sending_is_watched
from erip.foundation.service import Service
from workflows.core.states import Lane
from workflows.store.chunks import TOKEN, split

log = structlog.get_logger(__name__)

#: run ids in one message, at most: enough to share a message's cost, few enough to spread over workers
RUNS_PER_MESSAGE = 20
#: the same where each was sent by itself and shares the message only because the broker was slow: runs of one message
#: go to one worker, and urgent ones must not wait there for each other
SHARED: dict[str, int] = {Lane.CRITICAL: 4}
#: seconds that a caller waits for its messages to be sent, at most
PATIENCE = 0.5
#: failures in a row after which the broker counts as away
FAILURES = 2
#: seconds between two trials while it is away
RETRY_AFTER = 2.0
#: messages that may wait for the sending thread; more are not worth their memory
MOST_WAITING = 10_000

_URGENCY = {str(lane): number for number, lane in enumerate(Lane)}


def hint_after_commit(hints: Iterable[tuple[str, str]], *, wait: bool = True) -> None:
    """Publish (lane, run id) pairs once the current transaction is committed, or at once outside of one.

    wait: as of `hint`.
    """
    hints = list(hints)
    if hints:
        transaction.on_commit(lambda: hint(hints, wait=wait), robust=True)


def hint(hints: Iterable[tuple[str, str]], *, wait: bool = True) -> bool:
    """Tell the workers of each lane to look at these runs and chunks. Never raises, nor takes longer than PATIENCE.

    A run that is named several times has work for several workers, and gets its own message for each time but the
    first. Returns whether all messages are known to be sent.
    wait: for them to be sent. Whoever has more to do first need not.
    """
    by_lane: dict[str, Counter[str]] = defaultdict(Counter)
    for lane, run_id in hints:
        by_lane[lane][run_id] += 1
    messages: list[tuple[str, list[str]]] = []
    for lane, run_ids in by_lane.items():
        ids = [id_ for id_ in run_ids if not id_.startswith(TOKEN)]
        messages += [(lane, [id_]) for id_ in run_ids if id_.startswith(TOKEN)]
        messages += [(lane, ids[start : start + RUNS_PER_MESSAGE]) for start in range(0, len(ids), RUNS_PER_MESSAGE)]
        messages += [(lane, [run_id]) for run_id in (run_ids - Counter(list(run_ids))).elements()]
    return _publisher.publish(messages, wait=wait) if messages else True


@dataclass(order=True)
class _Message:
    urgency: int
    number: int
    lane: str = field(compare=False)
    run_ids: list[str] = field(compare=False)
    sent: "Future[bool]" = field(compare=False, default_factory=Future)


class Publisher:
    """The sending thread and its waiting callers. One per process; callable from any thread. See Note [Publishing]."""

    def __init__(self) -> None:
        self._service = Service("publisher", self._send_next)
        self.forget()

    def forget(self) -> None:
        """Start afresh in a forked process: it has no sending thread, and must not use its parent's connection."""
        self._waiting: queue.PriorityQueue[_Message] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._connection: Connection | None = None
        self._circuit = Circuit(FAILURES, RETRY_AFTER)
        #: on the monotonic clock: since when the thread has been sending one message
        self._sending_since: float | None = None

    @property
    def away(self) -> bool:
        """Whether nobody has to wait for the broker: it was away at the last look, or sending one message hangs."""
        if self._circuit.is_open:
            return True
        since = self._sending_since
        return since is not None and time.monotonic() - since > PATIENCE

    def publish(self, messages: list[tuple[str, list[str]]], *, wait: bool = True) -> bool:
        """Send (lane, run ids), the most urgent first. Whether all was sent within PATIENCE; without `wait`, whether
        all was sent by now."""
        if self.away:
            if self._waiting.empty() and self._sending_since is None:
                self._put(*messages[0])  # a trial, if it is time for one
            return False
        if self._waiting.qsize() + len(messages) > MOST_WAITING:
            return False
        deadline = time.monotonic() + PATIENCE
        futures = [self._put(lane, run_ids) for lane, run_ids in messages]
        if not wait:
            return all(future.done() and future.result() for future in futures)
        try:
            return all(future.result(max(0.0, deadline - time.monotonic())) for future in futures)
        except TimeoutError:
            log.warning("broker_slow", messages=len(messages))
            return False

    def _put(self, lane: str, run_ids: list[str]) -> "Future[bool]":
        message = _Message(_URGENCY.get(lane, len(_URGENCY)), next(self._numbers), lane, run_ids)
        self._waiting.put(message)
        self._service.start()
        return message.sent

    def _send_next(self) -> None:
        together = self._next()
        if not self._circuit.allows():
            _settle(together, sent=False)
            return
        self._sending_since = time.monotonic()
        try:
            self.send(together[0].lane, [run_id for message in together for run_id in message.run_ids])
            self._circuit.succeeded()
            _settle(together, sent=True)
        except Exception as error:
            self._circuit.failed()
            # kombu's OperationalError, redis' errors and, in some releases, raw AttributeErrors: whatever it is, the
            # runs are in PostgreSQL, and the workers and the leader find them there.
            log.warning("broker_unreachable", error=error, error_type=type(error).__name__)
            _settle(together, sent=False)
        finally:
            self._sending_since = None

    def _next(self) -> list[_Message]:
        """Waits for the most urgent message. With it come those that can share it."""
        first = self._waiting.get()
        together, named = [first], set(first.run_ids)
        most = SHARED.get(first.lane, RUNS_PER_MESSAGE)
        while len(named) < most and not _names_a_chunk(first):
            try:
                message = self._waiting.get_nowait()
            except queue.Empty:
                break
            fits = message.lane == first.lane and len(named) + len(message.run_ids) <= most
            if not fits or _names_a_chunk(message) or not named.isdisjoint(message.run_ids):
                self._waiting.put(message)
                break
            together.append(message)
            named.update(message.run_ids)
        return together

    def send(self, lane: str, run_ids: list[str]) -> None:
        """Send one message, on the connection of the publisher's thread. Raises whatever the broker's client does."""
        if self._connection is None:
            options: dict[str, Any] = settings.ERIP_PUBLISHER_TRANSPORT_OPTIONS
            self._connection = current_app.connection_for_write(transport_options=options)
        with pools.producers[self._connection].acquire(block=True, timeout=1) as producer:
            task, arguments = _task_of(run_ids)
            if sending_is_watched(current_app):
                current_app.send_task(task, kwargs=arguments, queue=lane, producer=producer, retry=False)
            else:
                producer.channel.push(lane, write(task, arguments, lane))


def _settle(messages: Iterable[_Message], *, sent: bool) -> None:
    for message in messages:
        message.sent.set_result(sent)


def _names_a_chunk(message: _Message) -> bool:
    return message.run_ids[0].startswith(TOKEN)


def _task_of(named: list[str]) -> tuple[str, dict[str, Any]]:
    """(the name of the task, its arguments). A release that knows no chunks passes over messages about them."""
    runs, chunks = split(named)
    return ("workflows.execute_chunks", {"chunk_ids": chunks}) if chunks else ("workflows.execute", {"run_ids": runs})


_publisher = Publisher()
os.register_at_fork(after_in_child=_publisher.forget)
