"""The consumer: a thread of a general worker that takes what waits in its partitions, round after round.

Note [Rounds]
An idle consumer is woken by PostgreSQL's NOTIFY and takes what is there at once. The more events come in, the longer it
lets them gather (`flush` at the most, and never while more waits than a round takes): a round costs as much for ten
events as for a hundred. It looks by itself as well, often while it is busy, since busy producers do not announce each
of their commits, and twice a second otherwise.

Three threads: the loop, which alone owns partitions and transactions; the heartbeat, which says that the loop goes on
and works out who should own what; and the listener. See Note [Owners] in `store/owners`.
"""

import threading
import time
from collections.abc import Mapping, Sequence

import psycopg2
import structlog
from django.db import InterfaceError, InternalError, OperationalError, connection

from erip.db.connections import drop_connection
from erip.db.listening import heard, listening
from workflows.core.assignment import share_of
from workflows.events.conf import conf
from workflows.events.effects import Effect, Unavailable
from workflows.events.faults import Faults
from workflows.events.pipeline import EFFECTS
from workflows.events.rounds import Done, RoundFailed, run
from workflows.events.store import months, owners, rounds
from workflows.events.store.journal import CHANNEL
from workflows.events.store.owners import Owners
from workflows.periodic import Periodic

log = structlog.get_logger(__name__)

#: seconds between two heartbeats
BEAT_EVERY = 0.5
#: seconds without a turn of the loop after which its heart stops beating
STUCK_AFTER = 30.0
#: seconds between two looks of its own: while busy, for BUSY_FOR after the last event; and otherwise
LOOK_BUSY, LOOK_IDLE, BUSY_FOR = 0.05, 0.5, 2.0
#: events a second from which a consumer lets them gather for the whole of `flush`; with fewer, for less
GATHER_AT = 2_000.0
#: fewer than these are not waited for
GATHER_FROM = 100.0
#: events in a round that tell how fast this consumer is
TELLING = 200
#: seconds before trying again: while PostgreSQL is away, while an effect is
AWAY, UNAVAILABLE = 0.2, 0.5
#: seconds in which the threads that are told to stop do
STOPS_WITHIN = 10.0


class Consumer:
    """One per worker process; it consumes from `start` to `stop`."""

    def __init__(self, worker_id: int, effects: Sequence[Effect] = EFFECTS) -> None:
        settings = conf()
        self._worker_id = worker_id
        self._effects = effects
        self._lease = settings.lease
        self._whole = settings.round
        self._flush = settings.flush
        self._faults = Faults(attempts=settings.attempts, whole=settings.round)
        self._pace = Pace()
        self._own: set[int] = set()
        #: what the heartbeat found out and the loop has not looked at; and how often the loop has changed anything
        self._found: Owners | None = None
        self._changes = 0
        self._named: object = None
        self._turned_at = time.monotonic()
        self._busy_until = 0.0
        self._stop = threading.Event()
        self._wake = threading.Event()
        #: held while the heart beats: who has left must not come back by a last beat
        self._beating = threading.Lock()
        self._heart = Periodic("events-heartbeat", BEAT_EVERY, self._beat)
        self._threads = [
            threading.Thread(target=self._consume, name="events-consumer", daemon=True),
            threading.Thread(target=self._listen, name="events-listener", daemon=True),
        ]

    def start(self) -> "Consumer":
        for thread in self._threads:
            thread.start()
        self._heart.start()
        log.info("consumer_started", worker_id=self._worker_id)
        return self

    @property
    def thread_ids(self) -> list[int]:
        """The native ids of the threads that consume."""
        return [thread.native_id for thread in self._threads if thread.native_id is not None]

    def stop(self) -> None:
        """Finish the round and give the partitions up."""
        self._stop.set()
        self._wake.set()
        self._threads[0].join(timeout=STOPS_WITHIN)
        self._heart.stop()
        try:
            with self._beating:
                owners.leave(self._worker_id)
        except (OperationalError, InterfaceError) as error:
            log.warning("consumer_left_without_a_word", error=str(error).strip())
            drop_connection()
        self._threads[1].join(timeout=STOPS_WITHIN)
        log.info("consumer_stopped", worker_id=self._worker_id)

    # --- the loop -----------------------------------------------------------------------------------------

    def _consume(self) -> None:
        prepared = False
        while not self._stop.is_set():
            self._turned_at = time.monotonic()
            try:
                if not prepared:
                    owners.ensure_partitions(conf().partitions)
                    months.ensure_months_ahead(1)
                    self._settle(owners.beat(self._worker_id, rate=None, lease=self._lease))
                    prepared = True
                self._name_session()
                self._turn()
            except Unavailable as error:
                log.warning("effect_unavailable", error=str(error))
                self._stop.wait(UNAVAILABLE)
            except (OperationalError, InterfaceError, InternalError) as error:
                log.warning("consumer_interrupted", error=str(error).strip())
                drop_connection()
                self._stop.wait(AWAY)
            except Exception:
                log.exception("consumer_failed")
                drop_connection()
                # A month that is missing, partitions that were dropped: begin anew.
                prepared = False
                self._stop.wait(AWAY)
        drop_connection()

    def _turn(self) -> None:
        """What has to be done about ownership, a round, and a rest."""
        found, self._found = self._found, None
        if found is not None:
            self._settle(found)
        self._wake.clear()
        more, took = self._take()
        now = time.monotonic()
        if took:
            self._busy_until = now + BUSY_FOR
        if more or self._stop.is_set():
            return
        if took:
            self._stop.wait(self._pace.gather(self._flush))
        elif not self._wake.is_set():
            self._wake.wait(LOOK_BUSY if now < self._busy_until else LOOK_IDLE)

    def _take(self) -> tuple[bool, int]:
        """A round over the partitions that are well, and one over each that is not. Returns whether more waits, and
        how many events were taken."""
        busy = time.monotonic() < self._busy_until
        mine = self._own if busy else set(rounds.waiting(self._own)) if self._own else set()
        troubled = self._faults.troubled & mine
        more, took = False, 0
        if well := mine - troubled:
            done = self._round(dict.fromkeys(well, self._whole), {})
            more, took = more or done.more, took + sum(done.events.values())
        for partition in sorted(troubled):
            due = self._faults.due(partition)
            if due is not None:
                done = self._round({partition: due[0]}, due[1])
                more, took = more or done.more, took + sum(done.events.values())
        return more, took

    def _round(self, limits: Mapping[int, int], given_up: Mapping) -> Done:
        began = time.monotonic()
        try:
            done = run(
                self._worker_id,
                limits,
                self._effects,
                given_up=given_up,
                guard=self._faults.guard,
                rates=self._pace.rates,
            )
        except RoundFailed as failure:
            self._faults.failed(set(failure.heads), failure)
            return Done(more=True)
        if done.events:
            self._faults.went_well(set(done.events), buried=done.buried)
            self._pace.took(sum(done.events.values()), time.monotonic() - began)
        return done

    # --- ownership ----------------------------------------------------------------------------------------

    def _beat(self) -> None:
        if time.monotonic() - self._turned_at > STUCK_AFTER:
            log.error("consumer_stuck", seconds=round(time.monotonic() - self._turned_at))
            return
        changes = self._changes
        with self._beating:
            if self._stop.is_set():
                return
            found = owners.beat(self._worker_id, rate=self._pace.capacity, lease=self._lease)
        mine = share_of(self._worker_id, found.live, found.owners)
        owned = {number for number, owner in found.owners.items() if owner == self._worker_id}
        if (mine != owned or owned != self._own or not found.owners) and changes == self._changes:
            self._found = found
            self._wake.set()

    def _settle(self, found: Owners) -> None:
        """Give up what others should own, take what nobody live owns."""
        self._changes += 1
        if not found.owners:
            owners.ensure_partitions(conf().partitions)
            return
        mine = share_of(self._worker_id, found.live, found.owners)
        owned = {number for number, owner in found.owners.items() if owner == self._worker_id}
        if too_many := owned - mine:
            owners.release(self._worker_id, sorted(too_many))
            log.info("partitions_released", partitions=sorted(too_many))
        wanted = mine - owned
        dead = {found.owners[number] for number in wanted} - found.live - {None}
        if dead:
            ended = owners.end_sessions([worker for worker in dead if worker is not None])
            log.warning("consumer_lost", workers=sorted(str(worker) for worker in dead), sessions_ended=ended)
        claimed = owners.claim(self._worker_id, wanted, lease=self._lease) if wanted else []
        if claimed:
            log.info("partitions_claimed", partitions=sorted(claimed))
        before, self._own = self._own, (owned & mine) | set(claimed)
        self._faults.forget(before - self._own)
        self._changes += 1

    def _name_session(self) -> None:
        """So that others can end it: Note [Owners]."""
        if connection.connection is None or connection.connection is not self._named:
            connection.ensure_connection()
            owners.name_session(self._worker_id)
            self._named = connection.connection

    # --- the listener -------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with listening(CHANNEL) as raw:
                    self._wake.set()
                    while not self._stop.is_set():
                        payloads = heard(raw, seconds=1.0)
                        if any(payloads):
                            self._beat()
                        if payloads:
                            self._wake.set()
            except (psycopg2.Error, OperationalError, InterfaceError) as error:
                log.warning("listener_lost_its_connection", error=str(error).strip())
                drop_connection()
                self._stop.wait(AWAY)
        drop_connection()


class Pace:
    """How fast events come in, and how fast this consumer is. The loop's thread; `capacity` is read by others."""

    def __init__(self) -> None:
        #: events a second that it can serve, measured while it was busy; None: not yet
        self.capacity: float | None = None
        self._inflow = 0.0
        self._last = time.monotonic()
        self._rates: dict[int, tuple[float, float]] = {}

    def took(self, events: int, seconds: float) -> None:
        """A round took so many events, in so many seconds."""
        now = time.monotonic()
        since, self._last = max(now - self._last, 0.001), now
        weight = min(1.0, since / 0.5)
        self._inflow += weight * (events / since - self._inflow)
        if events >= TELLING:
            speed = events / max(seconds, 0.0001)
            self.capacity = speed if self.capacity is None else self.capacity + 0.2 * (speed - self.capacity)

    def gather(self, flush: float) -> float:
        """Seconds for which to let events gather before the next round."""
        return 0.0 if self._inflow < GATHER_FROM else flush * min(1.0, self._inflow / GATHER_AT)

    def rates(self, events: Mapping[int, int]) -> dict[int, float | None]:
        """What was taken of each partition, as events a second over the last seconds."""
        now = time.monotonic()
        rates: dict[int, float | None] = {}
        for partition, count in events.items():
            rate, at = self._rates.get(partition, (0.0, now - 1.0))
            since = max(now - at, 0.001)
            rate += min(1.0, since / 2.0) * (count / since - rate)
            self._rates[partition] = (rate, now)
            rates[partition] = rate
        return rates
