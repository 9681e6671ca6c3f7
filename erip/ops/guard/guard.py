"""The guard itself: looks at its node ten times a second, and acts on what the judge says."""

import logging
import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType

from erip.foundation.service import Service
from erip.ops.guard import cluster as clusters
from erip.ops.guard import probes
from erip.ops.guard.configuration import Configuration
from erip.ops.guard.etcd import Etcd, EtcdError
from erip.ops.guard.judgement import Do, Judge, Look, Verdict
from erip.ops.guard.node import Node
from erip.ops.guard.outside import Outside
from erip.ops.guard.peers import PeerWatch
from erip.ops.guard.receiver import Receiver

log = logging.getLogger(__name__)

TICK = 0.1
#: how many seconds a reading of etcd is trusted
READING_SECONDS = 3.0
#: how many seconds the guard tries to let go of the leader key; after that the peers wait until the key expires
RELEASE_SECONDS = 3.0
#: seconds between the end of a leader and the start of its Patroni; the others use them to elect one of their own, and
#: to serve the clients that have waited
ELECTION_SECONDS = 3.0
#: seconds for Patroni to end in good order
STOP_SECONDS = 18.0
#: a Patroni that lived for less is started again later and later
STEADY_SECONDS, LONGEST_BACKOFF = 10.0, 10.0


class Guard:
    """The guard of one node. `run` returns when a signal ends it."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._node = Node(configuration.file, configuration.data)
        # One for each thread that asks.
        self._etcd, self._readers_etcd = self._client(), self._client()
        self._reading: tuple[float, clusters.Cluster] | None = None
        self._outside = Outside(configuration.name, lambda: self._reading, configuration.rest_tls)
        self._patroni_heard: float | None = None
        self._postmaster_heard = time.monotonic()
        self._started = 0.0
        self._failures = 0
        self._stop: int | None = None
        self._wakeup, self._wake = os.pipe()

    def run(self) -> int:
        """Until SIGTERM or SIGINT: then Patroni and PostgreSQL end in good order. SIGHUP goes to Patroni."""
        self._catch_signals()
        self._in_background("cluster", self._read_cluster)
        self._in_background("patroni", self._ask_patroni)
        self._in_background("postmaster", self._ask_postmaster)
        receiver = Receiver(self._configuration)
        watch = PeerWatch(self._configuration, self._client(), self._recent, receiver, self._hold_patroni)
        self._in_background("peers", watch.round)
        self._in_background("outside", self._outside.round)
        self._start_patroni()
        judge = Judge(time.monotonic())
        while self._stop is None:
            self._pause(TICK)
            if self._stop is None:
                self._act(judge.judge(self._look()))
        return self._end()

    # --- looking ----------------------------------------------------------------------------------------

    def _look(self) -> Look:
        runs = self._node.patroni_runs
        cluster = self._recent() if runs else self._read_now()
        known = cluster or (self._reading[1] if self._reading else None)
        return Look(
            now=time.monotonic(),
            patroni_runs=runs,
            patroni_heard=self._patroni_heard,
            postmaster=self._node.postmaster(),
            postmaster_heard=self._postmaster_heard,
            leads=cluster.led_by(self._configuration.name) if cluster else None,
            led=known.led_by(self._configuration.name) if known else False,
            outside_heard=self._outside.heard,
            paused=known.paused if known else False,
        )

    def _recent(self) -> clusters.Cluster | None:
        reading = self._reading
        return reading[1] if reading and time.monotonic() - reading[0] < READING_SECONDS else None

    def _read_now(self) -> clusters.Cluster | None:
        """For a verdict that depends on who leads at this moment."""
        prefix = self._configuration.prefix
        try:
            return clusters.read(prefix, self._etcd.under(prefix))
        except EtcdError as error:
            log.warning("etcd: %s", error)
            return None

    # --- acting -----------------------------------------------------------------------------------------

    def _act(self, verdict: Verdict) -> None:
        if verdict.do is Do.NOTHING:
            return
        log.warning("%s: %s", verdict.reason, verdict.do)
        if verdict.do is Do.FENCE:
            self._fence()
            if self._reading and self._reading[1].voters:
                self._rest(ELECTION_SECONDS)
        else:
            self._node.kill_patroni()
        self._back_off()
        if self._stop is None:
            self._start_patroni()

    def _fence(self) -> None:
        """The order matters: no process of this node may act on the key or acknowledge a write once the key is free."""
        self._node.kill_patroni()
        if not self._node.kill_postgres():
            log.error("PostgreSQL cannot be killed: the leader key is kept")
            return
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            try:
                key = self._etcd.get(self._configuration.leader_key)
                ours = key is not None and key.value == self._configuration.name
                gone = bool(key and ours and self._etcd.delete_if(key))
                log.warning("the leader key is %s", "let go of" if gone else "not ours any more")
                return
            except EtcdError as error:
                log.warning("etcd: %s", error)
            if time.monotonic() >= deadline:
                return
            time.sleep(0.1)

    def _hold_patroni(self, held: bool) -> None:
        """Stop Patroni for a moment, or let it go on; its silence in between does not count against it."""
        self._node.tell_patroni(signal.SIGSTOP if held else signal.SIGCONT)
        if self._patroni_heard is not None:
            self._patroni_heard = time.monotonic()

    def _back_off(self) -> None:
        self._failures = self._failures + 1 if time.monotonic() - self._started < STEADY_SECONDS else 0
        if self._failures:
            self._rest(min(LONGEST_BACKOFF, 0.25 * 2**self._failures))

    def _start_patroni(self) -> None:
        self._node.start_patroni()
        self._patroni_heard = None
        self._started = self._postmaster_heard = time.monotonic()

    def _end(self) -> int:
        log.info("ending")
        self._node.tell_patroni(signal.SIGTERM)
        self._node.tell_patroni(signal.SIGCONT)
        if not self._node.wait_for_patroni(STOP_SECONDS):
            log.warning("Patroni does not end: killed")
            self._node.kill_patroni()
            self._node.kill_postgres()
        return 0

    # --- what runs beside -------------------------------------------------------------------------------

    def _client(self) -> Etcd:
        known = self._configuration
        return Etcd(known.etcd, known.etcd_user, known.etcd_password, tls=known.etcd_tls)

    def _in_background(self, name: str, round_: Callable[[], float]) -> None:
        def turn() -> None:
            service.pause(round_())

        service = Service(name, turn, back_off=(1.0, 1.0))
        service.start()

    def _read_cluster(self) -> float:
        """Once a second, with its own client."""
        prefix = self._configuration.prefix
        began = time.monotonic()
        try:
            self._reading = (began, clusters.read(prefix, self._readers_etcd.under(prefix)))
        except EtcdError as error:
            log.warning("etcd: %s", error)
        return 1.0

    def _ask_patroni(self) -> float:
        known = self._configuration
        if probes.patroni(known.rest, timeout=1.0, tls=known.rest_tls) is probes.Reach.ANSWERS:
            self._patroni_heard = time.monotonic()
        return 1.0

    def _ask_postmaster(self) -> float:
        """Only the leader's is judged by its silence, and each look starts a process of PostgreSQL."""
        cluster = self._recent()
        if (
            cluster is None
            or not cluster.led_by(self._configuration.name)
            or probes.postgres(self._configuration.postgres, timeout=0.5) is probes.Reach.ANSWERS
        ):
            self._postmaster_heard = time.monotonic()
        return 0.5

    # --- signals ----------------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGHUP, lambda number, _frame: self._node.tell_patroni(number))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stop = number

    def _rest(self, seconds: float) -> None:
        """Wait for `seconds`, whatever children do, or until we are asked to stop."""
        until = time.monotonic() + seconds
        while self._stop is None and (left := until - time.monotonic()) > 0:
            self._pause(left)

    def _pause(self, seconds: float) -> None:
        """Wait until a child ends or a signal comes, for `seconds` at most."""
        if select.select([self._wakeup], [], [], seconds)[0]:
            os.read(self._wakeup, 512)
