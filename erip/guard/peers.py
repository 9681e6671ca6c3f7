"""The peer watch: what the guard of a standby does when the leader's node is lost as a whole.

Note [Peer watch]. A guard that died with its node cannot let go of the key. Each standby's guard looks at the leader's two
ports, Patroni's and PostgreSQL's. When it finds both dead again and again, it cuts its own WAL receiver (Note [The cut]),
looks once more, and puts its vote beside Patroni's keys. When every synchronous standby has voted against the same
leadership, whoever sees that first deletes the leader key, in one transaction that requires the key, the list of
synchronous standbys and all votes to be unchanged.

It is safe if the verdict is wrong (a partition): without a synchronous standby the old leader can acknowledge nothing, and
its Patroni steps down when it finds the key gone. It is useless if a synchronous standby is lost together with the leader:
then the key is waited for, as without a guard.
"""

import logging
import time
from collections.abc import Callable

from . import cluster as clusters
from . import probes
from .configuration import Configuration
from .etcd import Entry, Etcd, EtcdError
from .receiver import Receiver
from .suspicion import Suspicion, look
from .votes import ballot, unanimous

log = logging.getLogger(__name__)

#: seconds between two looks at a leader that answers, and at one that does not
CALM, ALERT = 0.25, 0.1
PROBE_SECONDS = 0.5
#: seconds after which a vote goes by itself
VOTE_SECONDS = 5


class PeerWatch:
    """One round after the other; `round` says how long to wait for the next."""

    def __init__(
        self,
        configuration: Configuration,
        etcd: Etcd,
        cluster: Callable[[], clusters.Cluster | None],
        receiver: Receiver,
    ) -> None:
        """`cluster` gives a recent reading, or None when there is none."""
        self._me = configuration.name
        self._configuration = configuration
        self._etcd = etcd
        self._cluster = cluster
        self._receiver = receiver
        self._held: Suspicion | None = None
        self._voted = False

    def round(self) -> float:
        """Look, and act on a suspicion that is ripe. Seconds until the next round."""
        cluster = self._cluster()
        leader = cluster.leader if cluster else None
        member = cluster.members.get(leader.value) if cluster and leader else None
        if cluster is None or leader is None or member is None or cluster.paused or self._me not in cluster.voters:
            self._drop("there is nobody to suspect")
            return CALM
        self._look(leader, member)
        if self._held is None:
            return CALM
        if self._held.ripe(time.monotonic()):
            self._vote(leader, member)
        return ALERT

    def _look(self, leader: Entry, member: clusters.Member) -> None:
        patroni = probes.patroni(member.rest, timeout=PROBE_SECONDS)
        # PostgreSQL starts a process for each look, so it is asked only when Patroni does not answer.
        answers = patroni is probes.Reach.ANSWERS
        postgres = probes.Reach.ANSWERS if answers else probes.postgres(member.postgres, timeout=PROBE_SECONDS)
        held = look(self._held, time.monotonic(), leader.revision, patroni, postgres)
        if held is None and self._held is not None:
            self._drop(f"{leader.value} answers")
        self._held = held

    def _vote(self, leader: Entry, member: clusters.Member) -> None:
        if not self._voted or not self._receiver.still_cut():
            self._withdraw()
            log.warning("%s is dead at both ports: cutting our WAL receiver", leader.value)
            if not self._receiver.cut():
                log.warning("our WAL receiver could not be cut: no vote")
                return
            self._look(leader, member)
            if self._held is None:
                return
        try:
            key = f"{self._configuration.votes_prefix}{self._me}"
            self._etcd.put(key, ballot(leader), lease=self._etcd.grant(VOTE_SECONDS))
            self._voted = True
            self._release()
        except EtcdError as error:
            log.warning("etcd: %s", error)

    def _release(self) -> None:
        """Delete the leader key if all agree, by a reading of now."""
        prefix = self._configuration.prefix
        cluster = clusters.read(prefix, self._etcd.under(prefix))
        cast = self._etcd.under(self._configuration.votes_prefix)
        votes = {key.removeprefix(self._configuration.votes_prefix): vote for key, vote in cast.items()}
        unchanged = unanimous(cluster, votes)
        if unchanged is None or cluster.leader is None:
            return
        gone = self._etcd.delete_if(cluster.leader, unchanged=unchanged)
        log.warning("all synchronous standbys agree: the key of %s is %s", cluster.leader.value, _said(gone))

    def _drop(self, why: str) -> None:
        """Forget the suspicion, take the vote back, give the receiver back."""
        if self._held is not None:
            log.info("no suspicion any more: %s", why)
        self._held = None
        self._withdraw()
        self._receiver.give_back()

    def _withdraw(self) -> None:
        """A vote must not stand a moment longer than the receiver is cut."""
        if self._voted:
            try:
                self._etcd.delete(f"{self._configuration.votes_prefix}{self._me}")
                self._voted = False
            except EtcdError as error:
                log.warning("etcd: %s", error)


def _said(gone: bool) -> str:
    return "deleted" if gone else "no longer the one we voted against"
