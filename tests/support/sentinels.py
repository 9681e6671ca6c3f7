"""Three Redis and three Sentinels of the test's own, on free ports: killed, frozen and failed over for real."""

import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from erip.ops.stack.ports import LOOPBACK, any_free
from tests.workers import until

MASTER = "erip"
PASSWORD = secrets.token_urlsafe(12)
SENTINEL_PASSWORD = secrets.token_urlsafe(12)

NODE = """\
bind {host}
port {port}
dir {folder}
requirepass {password}
masterauth {password}
save ""
appendonly no
maxmemory-policy noeviction
min-replicas-to-write 1
min-replicas-max-lag 2
repl-ping-replica-period 1
repl-timeout 5
repl-diskless-sync-delay 0
"""
SENTINEL = """\
bind {host}
port {port}
dir {folder}
requirepass {sentinel_password}
sentinel monitor {master} {host} {first} 2
sentinel auth-pass {master} {password}
sentinel down-after-milliseconds {master} 1000
sentinel failover-timeout {master} 4000
sentinel parallel-syncs {master} 2
"""


@dataclass
class Node:
    """One Redis or Sentinel."""

    port: int
    configuration: Path
    password: str
    sentinel: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        program = "redis-sentinel" if self.sentinel else "redis-server"
        with (self.configuration.parent / "log").open("ab") as log:
            self.process = subprocess.Popen([program, str(self.configuration)], stdout=log, stderr=log)
        until(self.answers, what=f"{program} on {self.port}")

    def client(self) -> redis.Redis:
        return redis.Redis(
            host=LOOPBACK, port=self.port, password=self.password, socket_timeout=1, decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def role(self) -> str:
        """master or slave; empty while it does not answer."""
        try:
            with self.client() as client:
                return client.role()[0]
        except redis.RedisError:
            return ""

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)


@dataclass
class Cluster:
    nodes: list[Node]
    sentinels: list[Node]

    @property
    def url(self) -> str:
        return ";".join(f"sentinel://:{PASSWORD}@{LOOPBACK}:{one.port}/0" for one in self.sentinels)

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables for a process that uses this cluster."""
        return {
            "ERIP_BROKER_URL": self.url,
            "ERIP_SENTINEL_MASTER": MASTER,
            "ERIP_SENTINEL_PASSWORD": SENTINEL_PASSWORD,
        }

    def master(self) -> Node:
        """The master that the Sentinels name, once that server itself reports that it is the master."""
        found: list[Node] = []

        def named() -> bool:
            for sentinel in self.sentinels:
                try:
                    with sentinel.client() as client:
                        port = int(client.sentinel_get_master_addr_by_name(MASTER)[1])
                except (redis.RedisError, TypeError):
                    continue
                found[:] = [node for node in self.nodes if node.port == port and node.role() == "master"]
                return bool(found)
            return False

        until(named, what="the Sentinels name a master")
        return found[0]

    def replicas(self) -> list[Node]:
        master = self.master()
        return [node for node in self.nodes if node is not master]

    def whole(self) -> bool:
        """Whether both replicas follow the master, and all Sentinels know of each other."""
        with self.master().client() as client:
            info = client.info("replication")
        following = sum(info.get(f"slave{n}", {}).get("state") == "online" for n in range(2))
        known = []
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                state = client.sentinel_master(MASTER)
                known.append((state["num-slaves"], state["num-other-sentinels"]))
        return following == 2 and set(known) == {(2, 2)}

    def mend(self) -> None:
        """Start all that do not run, and wait until the cluster is whole again."""
        for node in [*self.nodes, *self.sentinels]:
            node.thaw()
            node.start()
        until(self.whole, seconds=60, what="the cluster is whole")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    first = any_free()
    ports = [first, any_free(), any_free()]
    nodes, sentinels = [], []
    for number, port in enumerate(ports):
        text = NODE.format(host=LOOPBACK, port=port, folder=_home(folder, f"redis-{number}"), password=PASSWORD)
        if number:
            text += f"replicaof {LOOPBACK} {first}\n"
        nodes.append(Node(port, _write(folder / f"redis-{number}" / "conf", text), PASSWORD))
    for number in range(3):
        port = any_free()
        text = SENTINEL.format(
            host=LOOPBACK, port=port, folder=_home(folder, f"sentinel-{number}"), master=MASTER, first=first,
            password=PASSWORD, sentinel_password=SENTINEL_PASSWORD,
        )  # fmt: skip
        path = _write(folder / f"sentinel-{number}" / "conf", text)
        sentinels.append(Node(port, path, SENTINEL_PASSWORD, sentinel=True))
    made = Cluster(nodes, sentinels)
    try:
        for node in [*nodes, *sentinels]:
            node.start()
        until(made.whole, seconds=60, what="the cluster is whole")
        yield made
    finally:
        for node in [*sentinels, *nodes]:
            node.thaw()
            node.kill()


def _home(folder: Path, name: str) -> Path:
    home = folder / name
    home.mkdir()
    return home


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
