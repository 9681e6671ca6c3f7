"""Pools of psycopg2 connections, one for each database and process, on SQLAlchemy's QueuePool.

A new connection costs 13 to 14 ms (SCRAM), a checkout well under one. Web requests each run in a thread of their own,
so without a pool each of them would open one.

Note [Generations]
After a failover every connection is dead, but each would fail a caller before it is dropped. So each connection belongs
to the generation of the pool in which it was opened. A thread that finds one broken, or finds that its server takes no
writes any more, begins the next generation. Connections of earlier generations are closed when they come back or are
about to be handed out. So a failover harms at most the work that was under way.

Note [Trimming]
SQLAlchemy closes a connection that comes back beyond the pool's size at once, and the next thread opens another: 500
threads on 20 kept and 200 possible connections did little else. So all are kept while they are used, and those that
have been idle for SPARE_FOR are closed, down to ERIP_DB_POOL_SIZE. No more than CONNECTING are opened at the same time,
while the others wait for one that comes back (Note [Growing] in `turns`).

Note [Hung server]
When a statement is waiting and no other statement of this process was answered for ERIP_DB_HUNG_AFTER seconds, the pool
opens a new connection: that distinguishes a hung server from a slow statement. If connecting fails as well, the waiting
statements are cut (Note [Cut by shutdown] in `deadlines`). So a long statement may take as long as it needs while its
server is alive.
"""

import gc
import os
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import psycopg2
import structlog
from django.conf import settings
from psycopg2.extensions import TRANSACTION_STATUS_UNKNOWN
from sqlalchemy.pool import QueuePool

from erip.foundation.db import metrics
from erip.foundation.db.breaker import Breaker
from erip.foundation.db.deadlines import Clock, watcher
from erip.foundation.db.errors import PoolExhausted
from erip.foundation.db.pooled.checkouts import Checkout, calling_stack, current_stack, told
from erip.foundation.db.pooled.turns import Turns
from erip.foundation.service import once

__all__ = ["Pool", "PoolExhausted", "close_all", "pool_of"]

log = structlog.get_logger(__name__)

#: a connection that was idle for longer than these seconds is asked whether it is still alive
TRUST = 1.0
#: seconds it has to answer
PING_WITHIN = 4.0
#: connections opened at the same time
CONNECTING = 4
#: seconds after which a thread waiting to connect checks whether that is hopeless
LOOK_AGAIN = 0.1
#: seconds that a connection beyond ERIP_DB_POOL_SIZE may lie idle
SPARE_FOR = 30.0

Connect = Callable[[], Any]


class _Places(QueuePool):
    """SQLAlchemy's pool, extended to give up an idle connection. SQLAlchemy has no public way to do that."""

    def drop_oldest(self, *, keep: int, spare: Callable[[Any], bool]) -> None:
        """Close the connection that has been idle longest, if more than `keep` are idle and it is `spare`."""
        places = self._pool
        with places.mutex:  # type: ignore[attr-defined]
            lying = places.queue  # type: ignore[attr-defined]
            # Last in, first out: the first is the oldest.
            if len(lying) <= keep or not spare(lying[0].dbapi_connection):
                return
            oldest = lying.popleft()
        oldest.close()
        self._dec_overflow()


class Pool:
    """The connections of this process to one database."""

    def __init__(self, name: str, connect: Connect, probe: Connect) -> None:
        """connect: opens a connection. probe: the same, to see whether that works; the caller closes it."""
        self.name = name
        self.generation = 0
        self._connect = connect
        self._probe = probe
        self._lock = threading.Lock()
        self._queue = _Places(
            self._open,
            # Note [Trimming]
            pool_size=settings.ERIP_DB_POOL_SIZE + settings.ERIP_DB_POOL_OVERFLOW,
            max_overflow=0,
            timeout=settings.ERIP_DB_POOL_TIMEOUT,
            recycle=settings.ERIP_DB_POOL_RECYCLE,
            # The connection that was used last is the one least likely to need a ping.
            use_lifo=True,
        )
        self._places = settings.ERIP_DB_POOL_SIZE + settings.ERIP_DB_POOL_OVERFLOW
        self._turns = Turns(self._places)
        self._connecting = threading.Semaphore(CONNECTING)
        #: places of connections that the garbage collector returned; its callback can run at any point in the code
        self._orphaned: queue.SimpleQueue[None] = queue.SimpleQueue()
        #: (generation, idle since) of each connection that is open
        self._known: weakref.WeakKeyDictionary[Any, tuple[int, float]] = weakref.WeakKeyDictionary()
        #: weak, so that the connection of a thread that ended comes back with the thread's wrapper
        self._out: dict[int, weakref.ref[Checkout]] = {}
        #: when the server last answered any statement
        self._answered = time.monotonic()
        self._probing: tuple[float, threading.Thread] | None = None
        self.breaker = Breaker(
            name,
            lambda: probe().close(),
            period=settings.ERIP_DB_BREAKER_SECONDS,
            longest=settings.ERIP_DB_BREAKER_MAX_SECONDS,
        )
        metrics.CHECKED_OUT.labels(name).set_function(lambda: len(self._out))
        metrics.IDLE.labels(name).set_function(self._spare)
        self._checkouts, self._waited = metrics.CHECKOUTS.labels(name), metrics.WAITED.labels(name)
        self._allow()
        watcher.add(self.look)

    # --- handing out and taking back ---

    def checkout(self, owner: Any, *, patience: float, kept: bool = False) -> Checkout:
        """A live connection. Raises PoolExhausted, CircuitOpen, psycopg2.Error.

        owner: the wrapper that gets it. patience: seconds to wait for a database that may be failing over.
        kept: its thread holds it for as long as it lives.
        """
        began = time.monotonic()
        if self.breaker.is_open and not self._spare():
            self.breaker.admit(patience)
        if not self._turns.free:
            metrics.WAITS.labels(self.name).inc()
        if not self._turns.take(settings.ERIP_DB_POOL_TIMEOUT):
            metrics.TIMEOUTS.labels(self.name).inc()
            raise PoolExhausted(self._exhausted())
        try:
            checkout = self._take_one(owner, kept)
        except BaseException:
            self._turns.give()
            raise
        key = id(checkout)
        self._out[key] = weakref.ref(checkout, lambda _: self._came_back_by_itself(key))
        self._checkouts.inc()
        self._waited.observe(time.monotonic() - began)
        return checkout

    def _take_one(self, owner: Any, kept: bool) -> Checkout:
        while True:
            held = self._queue.connect()
            real: Any = held.dbapi_connection
            generation, idle_since = self._known.get(real, (-1, 0.0))
            clock = Clock(real)
            if generation == self.generation and self._lives(real, idle_since, clock):
                break
            held.invalidate()
        return Checkout(held, real, clock, generation, kept, weakref.ref(owner), calling_stack())

    def give_back(self, checkout: Checkout) -> None:
        """Return a connection; the pool rolls back what was left open. A broken one is dropped."""
        if self._out.pop(id(checkout), None) is None:
            return
        held, real = checkout.held, checkout.real
        try:
            if (
                checkout.broken
                or real.closed
                or checkout.generation != self.generation
                or real.info.transaction_status == TRANSACTION_STATUS_UNKNOWN
            ):
                held.invalidate()
                self._allow()
            else:
                self._known[real] = (checkout.generation, time.monotonic())
                _pings.add(checkout.clock)
                with checkout.clock.running(PING_WITHIN):
                    held.close()
        finally:
            self._turns.give()

    def invalidate(self, generation: int, why: str) -> None:
        """Connections of this generation are of no use any more: Note [Generations]."""
        with self._lock:
            if generation != self.generation:
                return  # another thread found that first
            self.generation += 1
        self._allow()
        metrics.INVALIDATIONS.labels(self.name).inc()
        log.warning("connections_given_up", database=self.name, why=why)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        watcher.remove(self.look)
        with self._lock:
            self.generation += 1
        self._queue.dispose()

    def _open(self) -> Any:
        self._await_turn_to_connect()
        generation, began = self.generation, time.monotonic()
        try:
            real = self._connect()
        except Exception as error:
            metrics.CONNECTS.labels(self.name, "failed").inc()
            self.breaker.failed(error, began)
            raise
        finally:
            self._connecting.release()
        metrics.CONNECTS.labels(self.name, "ok").inc()
        self.breaker.succeeded()
        self.answered()
        self._known[real] = (generation, time.monotonic())
        self._allow()
        return real

    def _allow(self) -> None:
        """Note [Growing] in `turns`. A connection that was in use when its generation ended still holds its place."""
        known, generation = list(self._known.items()), self.generation
        usable = sum(of == generation and not real.closed for real, (of, _) in known)
        outdated = sum(checkout.generation != generation for checkout in self._all_out())
        self._turns.allow(usable + outdated + CONNECTING)

    def _await_turn_to_connect(self) -> None:
        """Note [Trimming]. Raises psycopg2.OperationalError as soon as connecting is hopeless: see `breaker`.

        On a hung server each connect lasts until its own limit. A thread queued behind several of those would still be
        waiting long after another primary has taken over.
        """
        until = time.monotonic() + settings.ERIP_DB_POOL_TIMEOUT
        while not self._connecting.acquire(timeout=LOOK_AGAIN):
            if self.breaker.is_open or time.monotonic() > until:
                raise psycopg2.OperationalError("no connection to the server was opened in time by those before")
        if self.breaker.is_open:
            self._connecting.release()
            raise psycopg2.OperationalError("the server cannot be reached")

    def _lives(self, real: Any, idle_since: float, clock: Clock) -> bool:
        if real.closed:
            return False
        if time.monotonic() - idle_since < TRUST:
            return True
        try:
            _pings.add(clock)
            with clock.running(PING_WITHIN), real.cursor() as cursor:
                cursor.execute("SELECT 1")
            real.rollback()
        except Exception:
            # The others are no better.
            self.invalidate(self._known[real][0], "a connection died while it lay idle")
            return False
        self.answered()
        return True

    def _came_back_by_itself(self, key: int) -> None:
        if self._out.pop(key, None) is not None:
            self._orphaned.put(None)

    def _spare(self) -> int:
        """How many connections lie in the pool and can be used. (The queue also counts closed ones.)"""
        out = {id(checkout.real) for checkout in self._all_out()}
        known = list(self._known.items())
        return sum(
            generation == self.generation and not real.closed and id(real) not in out for real, (generation, _) in known
        )

    def _all_out(self) -> list[Checkout]:
        return [checkout for ref in list(self._out.values()) if (checkout := ref())]

    def _exhausted(self) -> str:
        out = self._all_out()
        longest = max(out, key=lambda checkout: time.monotonic() - checkout.since, default=None)
        who = f"; the longest is {longest.thread_name}'s, {time.monotonic() - longest.since:.1f} s" if longest else ""
        return (
            f"no connection came free within {settings.ERIP_DB_POOL_TIMEOUT:g} s "
            f"(all {self._places} of this process are in use{who})"
        )

    # --- called by the watcher ---

    def answered(self) -> None:
        self._answered = time.monotonic()

    def look(self, now: float) -> None:
        """Report leaks, cut what is overdue, find out whether the server hangs."""
        while not self._orphaned.empty():
            self._orphaned.get()
            metrics.ABANDONED.labels(self.name).inc()
            self._turns.give()
        self._trim(now)
        self._allow()
        out = self._all_out()
        hung_for = settings.ERIP_DB_HUNG_AFTER
        waiting: list[tuple[Checkout, float]] = []
        self._collect_from_the_dead(out)
        for checkout in out:
            since, limit = checkout.clock.since, checkout.clock.limit
            if since is None:
                self._report_leak(checkout, now)
            elif limit is not None and now - since > limit:
                self._cut(checkout, since, "limit")
            elif now - since > hung_for:
                waiting.append((checkout, since))
        for clock in list(_pings):
            since, limit = clock.since, clock.limit
            if since is not None and limit is not None and now - since > limit:
                clock.cut(since)
        if self._probing is not None:
            began, thread = self._probing
            if thread.is_alive():
                return
            self._probing = None
            if self._answered <= began:
                # Neither a statement nor the probe has had an answer since.
                for checkout, since in waiting:
                    self._cut(checkout, since, "hung")
                self.invalidate(self.generation, "the server does not answer")
        elif waiting and now - self._answered > hung_for:
            self._probing = (now, once(f"database-probe-{self.name}", self._ask))

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            self._probe().close()
        except Exception as error:
            self.breaker.failed(error, began)
            log.warning("database_does_not_answer", database=self.name, error=error)
        else:
            self.answered()

    def _cut(self, checkout: Checkout, since: float, why: str) -> None:
        checkout.broken = True
        if checkout.clock.cut(since):
            metrics.CUT.labels(self.name, why).inc()
            log.warning(
                "statement_cut",
                database=self.name,
                why=why,
                seconds=round(time.monotonic() - since, 1),
                thread=checkout.thread_name,
            )

    @staticmethod
    def _collect_from_the_dead(out: list[Checkout]) -> None:
        """A connection held by a thread that ended comes back with its wrapper, which is part of a reference cycle:
        collect it."""
        alive = sys._current_frames().keys() if out else ()
        ended = [each for each in out if not each.collected and each.thread not in alive]
        for checkout in ended:
            checkout.collected = True
        if ended:
            out.clear()
            del checkout
            ended.clear()
            gc.collect()

    def _trim(self, now: float) -> None:
        """Note [Trimming]: close the one that has been idle longest, one in each round."""
        self._queue.drop_oldest(
            keep=settings.ERIP_DB_POOL_SIZE,
            spare=lambda real: real is None or now - self._known.get(real, (0, 0.0))[1] >= SPARE_FOR,
        )

    def _report_leak(self, checkout: Checkout, now: float) -> None:
        if checkout.kept or checkout.reported or checkout.quiet_for(now) < settings.ERIP_DB_LEAK_AFTER:
            return
        checkout.reported = True
        metrics.LEAKS.labels(self.name).inc()
        log.warning(
            "connection_leaked",
            database=self.name,
            thread=checkout.thread_name,
            held_seconds=round(now - checkout.since, 1),
            quiet_seconds=round(checkout.quiet_for(now), 1),
            taken_at=told(checkout.stack),
            thread_is_at=told(current_stack(checkout.thread)),
        )

    # --- fork ---

    def forget(self) -> list[Any]:
        """In a child process, none of the pool may be used, closed or collected. Returns the objects to keep alive for
        that."""
        kept: list[Any] = [self._queue, self._connect, self._probe]
        for ref in list(self._out.values()):
            checkout = ref()
            if checkout is None:
                continue
            finalizer = getattr(checkout.held, "_finalizer", None)
            if finalizer is not None:
                finalizer.detach()
            kept.append(checkout)
            owner = checkout.owner()
            if owner is not None:
                owner.forget()
        return kept


_pools: dict[str, Pool] = {}
_lock = threading.Lock()
#: pings in progress, in all pools
_pings: "weakref.WeakSet[Clock]" = weakref.WeakSet()
#: what a child process inherited from its parent
_inherited: list[Any] = []


def pool_of(key: str, name: str, connect: Connect, probe: Connect) -> Pool:
    """The pool of the database that `key` names; made at its first use."""
    pool = _pools.get(key)
    if pool is None:
        with _lock:
            pool = _pools.get(key)
            if pool is None:
                pool = _pools[key] = Pool(name, connect, probe)
    return pool


def close_all(key: str | None = None) -> None:
    """Close what lies idle, of this pool or of all: a test database that is dropped must have no connections."""
    with _lock:
        closed = [_pools.pop(name) for name in ([*_pools] if key is None else [key]) if name in _pools]
    for pool in closed:
        pool.close()


def _forget() -> None:
    """In a child process: the sockets belong to the parent, so forget them and never close them."""
    global _lock
    _lock = threading.Lock()
    for pool in _pools.values():
        _inherited.extend(pool.forget())
    _pools.clear()
    _pings.clear()


os.register_at_fork(after_in_child=_forget)
