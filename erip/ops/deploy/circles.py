"""Which servers may speak with each other: circles of certificates, each with its own authority.

`etcd-peers`: the members of etcd, among themselves. `etcd-clients`: the doors in front of them, the database nodes,
whose Patroni and guard connect to the doors, and PULSE. A database node cannot pass for a member of etcd, nor a member
for a node. `postgres`: the PostgreSQL servers, among themselves, and the processes of the platform, which log in with a
password too. `redis`: Redis and the Sentinels, among themselves, and again the platform. `patroni`: the REST APIs of
Patroni, among themselves, HAProxy, which asks them who leads, and again PULSE; changing anything takes a password too.
`web`: the web processes, and HAProxy. `flower`: Celery's monitor, and the web processes. `front`: what HAProxy shows to
users, who need none.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from erip.ops.ca import Authority, Issued, Leaf
from erip.ops.deploy.nodes import Address, EtcdPeer, PostgresPeer

PEERS, CLIENTS, POSTGRES, REDIS, PATRONI = "etcd-peers", "etcd-clients", "postgres", "redis", "patroni"
WEB, FLOWER, FRONT = "web", "flower", "front"
#: the platform, to PostgreSQL, Redis and the Sentinels
PLATFORM = "erip-platform"
#: PULSE, to the doors: it may look, and not ask for any key; and to Patroni
WATCHER = "erip-pulse"
#: Celery's monitor, to Redis and the Sentinels
MONITOR = "erip-flower"
#: the web processes, to Celery's monitor
WEBS = "erip-web"
#: HAProxy, to Patroni and the web processes, and to users
BALANCER = "erip-haproxy"


class Circles:
    """The authorities, with their keys below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._peers = Authority(folder / PEERS, "etcd peers")
        self._clients = Authority(folder / CLIENTS, "etcd clients")
        self._postgres = Authority(folder / POSTGRES, "PostgreSQL")
        self._redis = Authority(folder / REDIS, "Redis")
        self._patroni = Authority(folder / PATRONI, "Patroni")
        self._web = Authority(folder / WEB, "web")
        self._flower = Authority(folder / FLOWER, "Flower")
        self._front = Authority(folder / FRONT, "users")

    def replace_all(self, now: datetime) -> None:
        """All certificates from before this moment are due. The authorities stay, and none is revoked: a certificate
        that was stolen is good until it ends."""
        for authority in vars(self).values():
            authority.since = now

    def of_peer(self, folder: Path, peer: EtcdPeer) -> Issued:
        """For etcd itself, which is both server and client of its peers."""
        return self._peers.issue(folder, Leaf("etcd", peer.name, _reached(peer.host), server=True, client=True))

    def of_door(self, folder: Path, peer: EtcdPeer) -> Issued:
        """For the HAProxy in front of it."""
        return self._clients.issue(folder, Leaf("etcd-door", peer.name, _reached(peer.host), server=True))

    def of_database(self, folder: Path, node: PostgresPeer) -> Issued:
        """For the Patroni and the guard of a database node."""
        return self._clients.issue(folder, Leaf("postgres", node.name, _reached(node.host), client=True))

    def of_postgres(self, folder: Path, node: PostgresPeer, also: Sequence[str] = ()) -> Issued:
        """For PostgreSQL itself: a server to all, and a client of the one that leads. Patroni says localhost.

        also: the names of HAProxy, where clients who come through it check the name.
        """
        names = tuple(dict.fromkeys((*_reached(node.host), "localhost", *also)))
        return self._postgres.issue(folder, Leaf("postgres", node.name, names, server=True, client=True))

    def of_platform(self, folder: Path) -> Issued:
        """For the processes of the platform, to PostgreSQL."""
        return self._postgres.issue(folder, Leaf("platform", PLATFORM, (), client=True))

    def of_redis(self, folder: Path, name: str, host: str) -> Issued:
        """For a Redis: a server to all, and a client of the master."""
        return self._redis.issue(folder, Leaf("redis", name, _reached(host), server=True, client=True))

    def of_sentinel(self, folder: Path, name: str, host: str) -> Issued:
        """For a Sentinel: a server to all, and a client of every Redis and of the other Sentinels."""
        return self._redis.issue(folder, Leaf("sentinel", name, _reached(host), server=True, client=True))

    def of_broker_client(self, folder: Path) -> Issued:
        """For the processes of the platform, to Redis and the Sentinels."""
        return self._redis.issue(folder, Leaf("platform", PLATFORM, (), client=True))

    def of_broker_monitor(self, folder: Path) -> Issued:
        """For Celery's monitor, to Redis and the Sentinels."""
        return self._redis.issue(folder, Leaf("flower", MONITOR, (), client=True))

    def of_watcher(self, folder: Path) -> Issued:
        """For PULSE, which looks at the members through their doors."""
        return self._clients.issue(folder, Leaf("watcher", WATCHER, (), client=True))

    def of_patroni(self, folder: Path, node: PostgresPeer) -> Issued:
        """For Patroni's REST API, which HAProxy knows by its name, and for those who ask the other nodes'."""
        names = (*_reached(node.host), node.name)
        return self._patroni.issue(folder, Leaf("patroni", node.name, names, server=True, client=True))

    def of_balancer(self, folder: Path) -> Issued:
        """For HAProxy, to Patroni."""
        return self._patroni.issue(folder, Leaf("balancer", BALANCER, (), client=True))

    def of_patronis_watcher(self, folder: Path) -> Issued:
        """For PULSE, to Patroni."""
        return self._patroni.issue(folder, Leaf("watcher", WATCHER, (), client=True))

    def of_web(self, folder: Path, name: str, host: str) -> Issued:
        """For a web process, which HAProxy knows by its name."""
        return self._web.issue(folder, Leaf("web", name, (*_reached(host), name), server=True))

    def of_webs_balancer(self, folder: Path) -> Issued:
        """For HAProxy, to the web processes."""
        return self._web.issue(folder, Leaf("balancer", BALANCER, (), client=True))

    def of_flower(self, folder: Path, name: str, host: str) -> Issued:
        """For Celery's monitor, to the web processes."""
        return self._flower.issue(folder, Leaf("flower", name, (*_reached(host), name), server=True))

    def of_flowers_webs(self, folder: Path) -> Issued:
        """For the web processes, to Celery's monitor."""
        return self._flower.issue(folder, Leaf("web", WEBS, (), client=True))

    def of_front(self, folder: Path, names: Sequence[str]) -> Issued:
        """For HAProxy, to users, who know it under these names."""
        return self._front.issue(folder, Leaf("front", BALANCER, tuple(names), server=True))

    def of_etcds_site(self, out: Path, etcd: Sequence[EtcdPeer], postgres: Sequence[PostgresPeer]) -> list[Issued]:
        """The certificates around etcd, under `<out>/<name of the node>/tls/`."""
        made: list[Issued] = []
        for peer in etcd:
            made.append(self.of_peer(out / peer.name / "tls" / "peer", peer))
            made.append(self.of_door(out / peer.name / "tls" / "door", peer))
        made += [self.of_database(out / node.name / "tls" / "etcd", node) for node in postgres]
        made.append(self.of_watcher(out / "leaders" / "tls"))
        return made

    def of_site(
        self,
        out: Path,
        *,
        postgres: Sequence[PostgresPeer],
        redis: Sequence[Address],
        sentinel: Sequence[Address],
        web: Sequence[Address],
        flower: Sequence[Address],
        names: Sequence[str],
        front: bool,
    ) -> list[Issued]:
        """All others of a site. names: of HAProxy. front: whether users are shown one of ours."""
        made: list[Issued] = []
        for node in postgres:
            made.append(self.of_postgres(out / node.name / "tls" / "postgres", node, names))
            made.append(self.of_patroni(out / node.name / "tls" / "rest", node))
        made += [self.of_redis(out / one.name / "tls" / "redis", one.name, one.host) for one in redis]
        made += [self.of_sentinel(out / one.name / "tls" / "redis", one.name, one.host) for one in sentinel]
        made += [self.of_web(out / one.name / "tls" / "web", one.name, one.host) for one in web]
        # Every machine that runs a process of the platform has these two.
        made.append(self.of_platform(out / "platform" / "tls" / "postgres"))
        made.append(self.of_broker_client(out / "platform" / "tls" / "redis"))
        made.append(self.of_patronis_watcher(out / "leaders" / "tls" / "patroni"))
        made.append(self.of_balancer(out / "haproxy" / "tls" / "patroni"))
        made.append(self.of_webs_balancer(out / "haproxy" / "tls" / "web"))
        for one in flower:
            made.append(self.of_flower(out / one.name / "tls" / "flower", one.name, one.host))
            made.append(self.of_broker_monitor(out / one.name / "tls" / "redis"))
            made += [self.of_flowers_webs(out / each.name / "tls" / "flower") for each in web]
        if front:
            made.append(self.of_front(out / "haproxy" / "tls" / "front", names))
        return made


def _reached(host: str) -> tuple[str, ...]:
    return (host,)
