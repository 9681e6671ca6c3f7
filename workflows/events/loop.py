"""A loop of a consumer: a thread that takes what waits in its partitions, round after round.

Note [Rounds]
An idle loop is woken by PostgreSQL's NOTIFY and takes what is there at once. The more events come in, the longer it
lets them gather (for `flush` seconds at most, and never while more events wait than a round takes): a round costs as
much for ten events as for a hundred. It looks by itself as well, since busy producers do not announce each of their
commits: soon after it found something, then less and less often, down to twice a second.

Note [Loops]
A round first works in Python and then in PostgreSQL, and each waits for the other. So a consumer has several loops,
each with a connection and a share of its partitions (by their number): while PostgreSQL writes one loop's round, Python
reads the next loop's. Rounds are kept apart as consumers are (Note [Owners] in `store/owners`).
"""

import time
from collections.abc import Mapping, Sequence

import structlog
from django.db import connection

from erip.access.flags import asking as flags
from erip.foundation.db.connections import drop_connection
from erip.foundation.process.background import database_service
from workflows.core.assignment import share_of
from workflows.events.apart import Apart
from workflows.events.conf import conf
from workflows.events.effects import Effect, Unavailable
from workflows.events.faults import Faults
from workflows.events.pace import Pace
from workflows.events.rounds import Done, Given, RoundFailed, run
from workflows.events.store import months, owners, rounds
from workflows.events.store.owners import Owners

log = structlog.get_logger(__name__)

#: seconds from the last event to the loop's first look of its own; they double from look to look, up to this maximum
LOOK_FIRST, LOOK_IDLE = 0.05, 0.5
#: seconds before trying again: while PostgreSQL is away, and while what an effect needs is away
AWAY, UNAVAILABLE = 0.2, 0.5


class Loop:
    """Number `index` of `count` loops of a worker's consumer. Only the loop itself changes who owns its partitions, and
    only between two of its rounds."""

    def __init__(self, worker_id: int, effects: Sequence[Effect], apart: Apart, *, index: int, count: int) -> None:
        settings = conf()
        self._apart = apart
        self._worker_id = worker_id
        self._effects = effects
        self._index = index
        self._count = count
        self._lease = settings.lease
        self._whole = settings.round
        self._flush = settings.flush
        self._faults = Faults(attempts=settings.attempts, whole=settings.round)
        self._pace = Pace()
        self._own: set[int] = set()
        #: what the heartbeat found and the loop has not looked at yet; and how often the loop has changed anything
        self._found: Owners | None = None
        self._changes = 0
        self._named: object = None
        self._turned_at = time.monotonic()
        #: looks since the last event
        self._in_vain = 0
        #: whether the partitions and the log's months exist
        self._prepared = False
        self._service = database_service(
            f"events-consumer-{index}", self._consume, keeps=True, clean=self._clean, back_off=(AWAY, AWAY)
        )

    def start(self) -> None:
        self._service.start()

    def stop(self) -> None:
        """Finish the current round, and start no other."""
        self._service.stop(0)

    def join(self, seconds: float) -> None:
        self._service.join(seconds)

    def wake(self) -> None:
        """Something came in."""
        self._service.wake()

    @property
    def thread_id(self) -> int | None:
        """The thread's native id."""
        return self._service.native_id

    @property
    def capacity(self) -> float | None:
        """Events a second that it can serve; None: not measured yet."""
        return self._pace.capacity

    @property
    def changes(self) -> int:
        """A counter that each change of ownership raises: what was read at a lower count is out of date."""
        return self._changes

    def idle_for(self) -> float:
        """Seconds since its last turn: long ones mean that it is stuck."""
        return time.monotonic() - self._turned_at

    def learn(self, found: Owners, changes: int) -> None:
        """Take in who lives and who owns what, as read when the loop's counter was `changes`. Called by the
        heartbeat."""
        mine, owned = self._shares(found)
        if (mine != owned or owned != self._own or not found.owners) and changes == self._changes:
            self._found = found
            self._service.wake()

    def _shares(self, found: Owners) -> tuple[set[int], set[int]]:
        """Which of its partitions this loop should own, and which it does own."""
        mine = {
            number
            for number in share_of(self._worker_id, found.live, found.owners)
            if number % self._count == self._index
        }
        owned = {
            number
            for number, owner in found.owners.items()
            if owner == self._worker_id and number % self._count == self._index
        }
        return mine, owned

    def _consume(self) -> None:
        self._turned_at = time.monotonic()
        if not self._prepared:
            owners.ensure_partitions(conf().partitions)
            months.ensure_months_ahead(1)
            self._settle(owners.beat(self._worker_id, rate=None, lease=self._lease))
            self._prepared = True
        self._name_session()
        try:
            self._turn()
        except Unavailable as error:
            log.warning("effect_unavailable", error=error)
            self._service.pause(UNAVAILABLE)

    def _clean(self) -> None:
        drop_connection()
        # A month may be missing, or partitions may have been dropped: it checks again.
        self._prepared = False

    def _turn(self) -> None:
        """One turn: settle ownership if needed, do a round, and rest."""
        found, self._found = self._found, None
        if found is not None:
            self._settle(found)
        self._service.forget_wakes()
        more, took = self._take()
        self._in_vain = 0 if took else self._in_vain + 1
        if more or self._service.is_stopping:
            return
        if took:
            self._service.pause(self._pace.gather(self._flush))
        else:
            self._service.rest(min(LOOK_IDLE, LOOK_FIRST * 2 ** min(self._in_vain - 1, 10)))

    def _take(self) -> tuple[bool, int]:
        """Do one round over all healthy partitions, and one over each troubled partition. Returns whether more events
        wait, and how many were taken."""
        if not flags.is_on("event-effects"):
            return False, 0
        expecting = self._in_vain == 0
        mine = self._own if expecting else set(rounds.waiting(self._own)) if self._own else set()
        troubled = self._faults.troubled & mine
        more, took = False, 0
        if well := mine - troubled:
            with self._apart.beside_others():
                done = self._round(dict.fromkeys(well, self._whole), {})
            more, took = more or done.more, took + sum(done.events.values())
        for partition in sorted(troubled):
            due = self._faults.due(partition)
            if due is not None:
                done = self._careful(partition, *due)
                more, took = more or done.more, took + sum(done.events.values())
        for partition in self._faults.calmed(self._own, waiting=more or took > 0):
            owners.calm(self._worker_id, partition)
            log.info("partition_calm", partition=partition)
        return more, took

    def _careful(self, partition: int, limit: int, given_up: Mapping[tuple[int, int, int], Given]) -> Done:
        """A round over a troubled partition: Note [Deaths] in `faults`."""
        noted = self._faults.noted(partition)
        with self._apart.alone() if noted and self._faults.apart(partition) else self._apart.beside_others():
            if noted:
                first = self._faults.first(partition)
                if suspect := owners.suspect(self._worker_id, partition, first=first):
                    self._faults.suspected(partition, suspect, first=first)
            return self._round({partition: limit}, given_up)

    def _round(self, limits: Mapping[int, int], given_up: Mapping[tuple[int, int, int], Given]) -> Done:
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
            self._faults.went_well(done.events, buried=done.buried)
            self._pace.took(sum(done.events.values()), time.monotonic() - began)
        return done

    def _settle(self, found: Owners) -> None:
        """Give up partitions that others should own, and take those that no live consumer owns."""
        self._changes += 1
        if not found.owners:
            owners.ensure_partitions(conf().partitions)
            return
        mine, owned = self._shares(found)
        if too_many := owned - mine:
            owners.release(self._worker_id, sorted(too_many))
            log.info("partitions_released", partitions=sorted(too_many))
        wanted = mine - owned
        dead = {found.owners[number] for number in wanted} - found.live - {None}
        if dead:
            ended = owners.end_sessions([worker for worker in dead if worker is not None])
            log.warning("consumer_lost", workers=sorted(str(worker) for worker in dead), sessions_ended=ended)
        claimed = owners.claim(self._worker_id, wanted, lease=self._lease) if wanted else {}
        if claimed:
            log.info("partitions_claimed", partitions=sorted(claimed))
        before, self._own = self._own, (owned & mine) | set(claimed)
        self._faults.forget(before - self._own)
        for number, deaths in claimed.items():
            if deaths:
                self._faults.died(number, deaths)
        if lost := {number: deaths for number, deaths in claimed.items() if deaths}:
            log.warning("owners_died", deaths=lost)
        self._changes += 1

    def _name_session(self) -> None:
        """Name the database session, so that others can end it: Note [Owners]."""
        if connection.connection is None or connection.connection is not self._named:
            connection.ensure_connection()
            owners.name_session(self._worker_id)
            self._named = connection.connection
