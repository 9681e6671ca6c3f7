"""Three Redis, of which one is master, and three Sentinels that watch them."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from erip.ops.deploy import redis_users
from erip.ops.deploy.nodes import Address, RedisNode, SentinelNode
from erip.ops.stack.ha.node import Node
from erip.ops.stack.ports import LOOPBACK

#: as ERIP_SENTINEL_MASTER has it by default
SERVICE = "erip"


@dataclass
class Redis(Node):
    """One Redis. `master` is the server that it follows before Sentinel says otherwise; None for the first master."""

    password: str = field(repr=False)
    #: passwords by the names in `redis_users`
    logins: Mapping[str, str] = field(repr=False)
    master: Address | None

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
        ).render()

    def ready(self) -> bool:
        return ask(self.port, self.password, "PING") is not None


@dataclass
class Sentinel(Node):
    """One Sentinel."""

    password: str = field(repr=False)
    sentinel_password: str = field(repr=False)
    #: with which the Sentinels speak to each other
    peer_password: str = field(repr=False)
    master: Address

    rewrites = True

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
        ).render()

    def ready(self) -> bool:
        """Whether it knows a master with both replicas, and both other Sentinels."""
        state = master_state(self.port, self.sentinel_password)
        return state.get("num-slaves") == "2" and state.get("num-other-sentinels") == "2"


def master_state(port: int, password: str) -> dict[str, str]:
    """What the Sentinel on `port` says of the master (`ip`, `port`, `flags` …); empty when it does not answer."""
    answer = ask(port, password, "SENTINEL", "MASTER", SERVICE)
    if isinstance(answer, dict):
        return {str(key): str(value) for key, value in answer.items()}
    words = [str(word) for word in answer or ()]
    return dict(zip(words[::2], words[1::2], strict=False))


def ask(port: int, password: str, *words: str) -> Any:
    """The answer to one command; None when there is none within a second."""
    client = Client(
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
