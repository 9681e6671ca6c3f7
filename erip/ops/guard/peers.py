"""The peer watch: what the guard of a standby does when the leader's node is lost as a whole.

Note [Peer watch]. A guard that died with its node cannot let go of the key. Each standby's guard looks at the leader's
two ports, Patroni's and PostgreSQL's. When it finds both dead again and again, it cuts its own WAL receiver (Note [The
cut]), looks once more meanwhile, and puts its vote beside Patroni's keys. When every synchronous standby has voted
against the same leadership, the first guard to see that deletes the leader key, in one transaction that requires the
key, the list of synchronous standbys and all votes to be unchanged. A vote is withdrawn before its cut ends.

It is safe if the verdict is wrong (a partition): without a synchronous standby the old leader can acknowledge nothing,
and its Patroni steps down when it finds the key gone. What remains: a leader that comes back in the very moment between
the deletion and the promotion may find a standby whose Patroni points it back, for one round, to the leader it knew.

It does not help if a synchronous standby is lost together with the leader: the key then lives as long as it would
without a guard.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from erip.ops.guard import cluster as clusters
from erip.ops.guard import probes
from erip.ops.guard.configuration import Configuration
from erip.ops.guard.etcd import Entry, Etcd, EtcdError
from erip.ops.guard.receiver import Receiver
from erip.ops.guard.suspicion import SILENCE, Suspicion, look
from erip.ops.guard.votes import ballot, unanimous

log = logging.getLogger(__name__)

#: seconds between two looks at a leader that answers, and at one that does not
CALM, ALERT = 0.2, 0.1
#: seconds that the leader has for its answer, at the first look, and when there are votes to be counted meanwhile
PROBE_SECONDS, PROBE_SECONDS_VOTED = 0.4, 0.1
#: seconds for which a vote stands and its Patroni is stopped; and the pause after that, if the others disagree
HOLD, REST = 3.0, 3.0
#: seconds after which the vote of a dead guard expires
VOTE_SECONDS = 5


class PeerWatch:
    """Works in rounds; `round` returns how long to wait for the next."""

    def __init__(
        self,
        configuration: Configuration,
        etcd: Etcd,
        cluster: Callable[[], clusters.Cluster | None],
        receiver: Receiver,
        hold_patroni: Callable[[bool], None],
    ) -> None:
        """`cluster` gives a recent reading, or None when there is none; `hold_patroni` stops it, or lets it go on."""
        self._me = configuration.name
        self._configuration = configuration
        self._etcd = etcd
        self._cluster = cluster
        self._receiver = receiver
        self._hold_patroni = hold_patroni
        self._held: Suspicion | None = None
        self._voted_at: float | None = None
        self._not_before = 0.0
        self._over = 0  # the revision of a leadership that is known to have ended
        self._pool = ThreadPoolExecutor(2, "peer-probe")

    def round(self) -> float:
        """Look, and act on a suspicion that is ripe. Returns the seconds until the next round."""
        cluster = self._cluster()
        leader = cluster.leader if cluster else None
        member = cluster.members.get(leader.value) if cluster and leader else None
        idle = cluster is None or cluster.paused or self._me not in cluster.voters
        if idle or leader is None or member is None or leader.revision == self._over:
            self._drop("there is nobody to suspect")
            return CALM
        self._look(leader, member)
        if self._held is None:
            return CALM
        if self._held.ripe(time.monotonic()):
            self._vote(leader, member)
        return ALERT

    def _look(self, leader: Entry, member: clusters.Member) -> None:
        """PostgreSQL starts a process for each look, so it is asked only when Patroni does not answer."""
        began = time.monotonic()
        if self._held is not None:
            self._note(leader, began, *(asked.result() for asked in self._ask_both(member, self._patience(began))))
            return
        tls = self._configuration.rest_tls
        patroni = postgres = probes.patroni(member.rest, timeout=PROBE_SECONDS, tls=tls)
        if patroni is not probes.Reach.ANSWERS:
            postgres = probes.postgres(member.postgres, timeout=PROBE_SECONDS)
        self._note(leader, began, patroni, postgres)

    def _ask_both(self, member: clusters.Member, seconds: float) -> tuple[Future[probes.Reach], Future[probes.Reach]]:
        """At once: time matters now."""
        return (
            self._pool.submit(probes.patroni, member.rest, timeout=seconds, tls=self._configuration.rest_tls),
            self._pool.submit(probes.postgres, member.postgres, timeout=seconds),
        )

    def _patience(self, now: float) -> float:
        """How long a look at a suspected leader may take: all the time until the suspicion is ripe. A leader that is
        only slow answers within that time, but not within several short looks.
        """
        if self._voted_at is not None or self._held is None:
            return PROBE_SECONDS_VOTED
        return max(PROBE_SECONDS_VOTED, self._held.since + SILENCE - now)

    def _note(self, leader: Entry, began: float, patroni: probes.Reach, postgres: probes.Reach) -> None:
        held = look(self._held, began, leader.revision, patroni, postgres)
        if held is None and self._held is not None:
            self._drop(f"{leader.value} answers")
        self._held = held

    def _vote(self, leader: Entry, member: clusters.Member) -> None:
        """Cut, look again, vote, and see whether all have voted; the vote and the cut do not last longer than HOLD."""
        now = time.monotonic()
        try:
            if now < self._not_before or not self._stands(leader):
                return
            if self._voted_at is None and not self._cut_and_vote(leader, member):
                return
            self._release(leader)
        except EtcdError as error:
            log.warning("etcd: %s", error)
        if self._voted_at is not None and time.monotonic() - self._voted_at > HOLD:
            log.warning("the other standbys do not agree that %s is dead", leader.value)
            self._let_go()

    def _cut_and_vote(self, leader: Entry, member: clusters.Member) -> bool:
        log.warning("%s is dead at both ports: cutting our WAL receiver", leader.value)
        self._hold_patroni(True)
        try:
            began, asked = time.monotonic(), self._ask_both(member, PROBE_SECONDS_VOTED)
            if self._receiver.cut():
                self._note(leader, began, *(one.result() for one in asked))
                if self._held is not None:
                    self._voted_at = time.monotonic()  # from here on there may be a vote, whatever happens
                    key = f"{self._configuration.votes_prefix}{self._me}"
                    self._etcd.put(key, ballot(leader), lease=self._etcd.grant(VOTE_SECONDS))
                    return True
            else:
                log.warning("our WAL receiver could not be cut: no vote")
        except BaseException:
            self._let_go()
            raise
        self._let_go()
        return False

    def _stands(self, leader: Entry) -> bool:
        """Whether the leadership that we suspect is the current one: the common reading may be a second old."""
        now = self._etcd.get(self._configuration.leader_key)
        return self._still(leader, now)

    def _still(self, leader: Entry, now: Entry | None) -> bool:
        """Whether `now` shows that leadership. If not, the race needs our Patroni, which goes on at once."""
        if now is not None and now.revision == leader.revision:
            return True
        self._over = leader.revision
        self._drop("the leadership has ended")
        return False

    def _release(self, leader: Entry) -> None:
        """Delete the leader key if a fresh reading shows that all agree."""
        prefix = self._configuration.prefix
        cluster = clusters.read(prefix, self._etcd.under(prefix))
        if not self._still(leader, cluster.leader):
            return
        cast = self._etcd.under(self._configuration.votes_prefix)
        votes = {key.removeprefix(self._configuration.votes_prefix): vote for key, vote in cast.items()}
        unchanged = unanimous(cluster, votes)
        if unchanged is None:
            return
        gone = self._etcd.delete_if(leader, unchanged=unchanged)
        log.warning("all synchronous standbys agree: the key of %s is %s", leader.value, _said(gone))
        self._still(leader, None if gone else self._etcd.get(leader.key))

    def _drop(self, why: str) -> None:
        """Forget the suspicion."""
        if self._held is not None:
            log.info("no suspicion any more: %s", why)
        self._held = None
        if self._voted_at is not None:
            self._let_go()

    def _let_go(self) -> None:
        """Take the vote back, then let Patroni go on, which restores the receiver. The order matters: a vote must not
        stand a moment longer than the receiver is cut. A vote that etcd does not let us take back ends with its lease.
        """
        if self._voted_at is not None:
            try:
                self._etcd.delete(f"{self._configuration.votes_prefix}{self._me}")
            except EtcdError as error:
                log.warning("etcd: %s", error)
                time.sleep(VOTE_SECONDS + 1)
        self._voted_at = None
        self._not_before = time.monotonic() + REST
        self._hold_patroni(False)


def _said(gone: bool) -> str:
    return "deleted" if gone else "no longer the one we voted against"
