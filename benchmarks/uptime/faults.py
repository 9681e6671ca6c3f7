"""Puts a fault in and takes it out again, with real signals and real commands.

A fault knows how to heal before it is put in, so that it can be taken out whenever the benchmark ends.
"""

import signal
import threading
from typing import Any, Protocol

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.retry import Retry

from erip.foundation.process.broker_tls import client_of
from erip.ops.stack.ha.tls import of_broker

from . import processes
from .cut import Cut
from .kinds import Action, Kind
from .topology import PATIENCE, Topology, Victim

#: bytes; less than an empty server needs
FULL = 1


class Fault(Protocol):
    """Both methods block for at most a few seconds and raise BenchmarkError, OSError or RedisError.

    `heal` may be called more than once, and while `inject` runs in another thread.
    """

    def inject(self) -> None: ...

    def heal(self) -> None: ...


def fault(kind: Kind, topology: Topology, victim: Victim) -> Fault:
    """The fault, not yet put in."""
    match kind.action:
        case Action.KILL:
            return _Kill(topology.owner, victim)
        case Action.FREEZE:
            return _Freeze(topology.owner, victim)
        case Action.FILL:
            return _Fill(victim)
        case Action.FLUSH:
            return _Flush(victim)
        case Action.CUT:
            return Cut(topology.owner, victim)


class _Kill:
    """Healed by the process that restarts what was killed."""

    def __init__(self, owner: processes.Owner, victim: Victim) -> None:
        self._owner, self._victim = owner, victim

    def inject(self) -> None:
        processes.kill(self._owner, self._victim.pids)

    def heal(self) -> None:
        pass


class _Freeze:
    def __init__(self, owner: processes.Owner, victim: Victim) -> None:
        self._owner, self._victim = owner, victim
        self._frozen: list[Any] = []
        self._lock = threading.Lock()
        self._over = False

    def inject(self) -> None:
        with self._lock:
            if not self._over:
                self._frozen = processes.family(self._owner, self._victim.pids)
                processes.send(self._frozen, signal.SIGSTOP)

    def heal(self) -> None:
        with self._lock:
            self._over = True
            # Children first: a parent that thaws before them may take them for dead.
            processes.send(list(reversed(self._frozen)), signal.SIGCONT)


class _Flush:
    def __init__(self, victim: Victim) -> None:
        self._victim = victim

    def inject(self) -> None:
        with _client(self._victim) as client:
            client.flushall()

    def heal(self) -> None:
        pass


class _Fill:
    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self._before: str | None = None
        self._lock = threading.Lock()
        self._over = False

    def inject(self) -> None:
        with self._lock, _client(self._victim) as client:
            if not self._over:
                self._before = str(client.config_get("maxmemory")["maxmemory"])
                client.config_set("maxmemory", FULL)

    def heal(self) -> None:
        with self._lock:
            self._over = True
            if self._before is not None:
                with _client(self._victim) as client:
                    client.config_set("maxmemory", self._before)
                self._before = None


def _client(victim: Victim) -> Client:
    assert victim.redis is not None
    mine = victim.redis.identity
    return client_of(
        of_broker(mine) if mine else None,
        host=victim.redis.host,
        port=victim.redis.port,
        password=victim.redis.password or None,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
