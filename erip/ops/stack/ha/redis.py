"""Three Redis, of which one is master, and three Sentinels that watch them. All of them speak TLS 1.3 alone."""

import signal
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from erip.foundation.process.broker_tls import client_of
from erip.ops.deploy import redis_users
from erip.ops.deploy.circles import MONITOR, PLATFORM, Circles
from erip.ops.deploy.identity import Identity, identity
from erip.ops.deploy.nodes import Address, RedisNode, SentinelNode
from erip.ops.stack.ha.node import Node
from erip.ops.stack.ha.tls import of_broker
from erip.ops.stack.ports import LOOPBACK

#: as ERIP_SENTINEL_MASTER has it by default
SERVICE = "erip"


def platforms(home: Path) -> Identity:
    """The files of the platform, of the stack whose servers are in `home`: they lie beside those of the first Redis."""
    return identity(home / "ha" / "redis-1" / "tls", PLATFORM)


def monitors(home: Path) -> Identity:
    """The same of Celery's monitor."""
    return identity(home / "ha" / "redis-1" / "tls", MONITOR)


@dataclass
class Redis(Node):
    """One Redis. `master` is the server that it follows before Sentinel says otherwise; None for the first master."""

    password: str = field(repr=False)
    #: passwords by the names in `redis_users`
    logins: Mapping[str, str] = field(repr=False)
    master: Address | None
    circles: Circles

    rewrites = True

    @property
    def command(self) -> list[str]:
        return [str(self.binary.path), str(self.configuration)]

    def render(self) -> str:
        return RedisNode(
            self.name,
            LOOPBACK,
            self.port,
            self.data,
            self.password,
            self.master,
            replica_password=self.logins[redis_users.REPLICA],
            users=redis_users.lines(self.logins, major=self.binary.major),
            maxmemory="256mb",
            identity=identity(self.tls, self.name),
        ).render()

    def certify(self) -> bool:
        # The platform's lies beside it, and is renewed with it. It is read anew for each connection.
        self.circles.of_broker_client(self.tls)
        self.circles.of_broker_monitor(self.tls)
        return self.circles.of_redis(self.tls, self.name, LOOPBACK).fresh

    def renew(self) -> bool:
        """Redis reads its certificate again when its name is set once more."""
        fresh = super().renew()
        file = identity(self.tls, self.name)
        if fresh and not ask(self.port, file, self.password, "CONFIG", "SET", "tls-cert-file", str(file.certificate)):
            print(f"{self.name} has not read its new certificate", flush=True)
        return fresh

    def ready(self) -> bool:
        return ask(self.port, identity(self.tls, self.name), self.password, "PING") is not None


@dataclass
class Sentinel(Node):
    """One Sentinel."""

    password: str = field(repr=False)
    sentinel_password: str = field(repr=False)
    #: with which the Sentinels speak to each other
    peer_password: str = field(repr=False)
    master: Address
    circles: Circles

    rewrites = True
    # It has no command to read its certificate again. The supervisor starts it again within a second.
    reload_signal = signal.SIGTERM
    one_at_a_time = True

    @property
    def title(self) -> str:
        return f"Sentinel {self.binary.version}"

    @property
    def command(self) -> list[str]:
        return [str(self.binary.path), str(self.configuration), "--sentinel"]

    def render(self) -> str:
        return SentinelNode(
            self.name,
            LOOPBACK,
            self.port,
            self.data,
            SERVICE,
            self.master,
            self.password,
            self.sentinel_password,
            peer_password=self.peer_password,
            users=redis_users.sentinel_lines(self.sentinel_password, self.peer_password),
            identity=identity(self.tls, self.name),
        ).render()

    def certify(self) -> bool:
        return self.circles.of_sentinel(self.tls, self.name, LOOPBACK).fresh

    def ready(self) -> bool:
        """Whether it knows a master with both replicas, and both other Sentinels."""
        state = master_state(self.port, identity(self.tls, self.name), self.sentinel_password)
        return state.get("num-slaves") == "2" and state.get("num-other-sentinels") == "2"


def master_state(port: int, mine: Identity, password: str) -> dict[str, str]:
    """What the Sentinel on `port` says of the master (`ip`, `port`, `flags` …); empty when it does not answer."""
    answer = ask(port, mine, password, "SENTINEL", "MASTER", SERVICE)
    if isinstance(answer, dict):
        return {str(key): str(value) for key, value in answer.items()}
    words = [str(word) for word in answer or ()]
    return dict(zip(words[::2], words[1::2], strict=False))


def ask(port: int, mine: Identity, password: str, *words: str) -> Any:
    """The answer to one command, over TLS; None when there is none within a second."""
    client = client_of(
        of_broker(mine),
        host=LOOPBACK,
        port=port,
        password=password,
        socket_connect_timeout=1,
        socket_timeout=1,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    with closing(client):
        try:
            client.response_callbacks.clear()
            return client.execute_command(*words)  # type: ignore[no-untyped-call]
        except RedisError:
            return None
