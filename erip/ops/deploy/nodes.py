"""The servers of a highly available site, each with what its template needs. Values only: nothing here is started."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from erip.ops.deploy.identity import Identity, files_of
from erip.ops.deploy.templates import render


@dataclass(frozen=True)
class Address:
    """Where a server is reached, and what it is called."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class RedisNode:
    """One Redis. `master` is the server that it follows at its first start; None for the first master itself."""

    name: str
    host: str
    port: int
    data: Path
    password: str = field(repr=False)
    master: Address | None
    listen: str = "127.0.0.1"
    maxmemory: str = "1gb"
    #: of the login `replica`; "": replicas have the password of `default`
    replica_password: str = field(default="", repr=False)
    #: lines for further logins (`redis_users`)
    users: str = field(default="", repr=False)
    #: with it Redis speaks TLS 1.3 alone, and only with holders of a certificate; None: it speaks plain TCP
    identity: Identity | None = None

    def render(self) -> str:
        return render("redis/redis.conf", {**asdict(self), "users": "", **files_of(self.identity)}) + self.users


@dataclass(frozen=True)
class SentinelNode:
    """One Sentinel. It watches the master called `service`, which is at `master` at first."""

    name: str
    host: str
    port: int
    data: Path
    service: str
    master: Address
    password: str = field(repr=False)
    sentinel_password: str = field(repr=False)
    listen: str = "127.0.0.1"
    down_after_ms: int = 1500
    #: with which Sentinels speak to each other as the login `sentinel`; "": with `sentinel_password`
    peer_password: str = field(default="", repr=False)
    #: lines for the logins of Sentinel, of which `default` may only ask; `password` is then of Redis's login `sentinel`
    users: str = field(default="", repr=False)
    #: as Redis's
    identity: Identity | None = None

    def render(self) -> str:
        own = {"name": self.service, "users": "", "own_logins": bool(self.users), **files_of(self.identity)}
        return render("redis/sentinel.conf", {**asdict(self), **own}) + self.users


@dataclass(frozen=True)
class EtcdPeer:
    """Where one etcd listens: for Patroni and for its peers."""

    name: str
    host: str
    client_port: int
    peer_port: int


#: the socket of an etcd, in the folder that it is started in. etcd takes no other form
SOCKET = "client.sock:0"
#: room for etcd's store: Patroni's keys take less than one megabyte
QUOTA_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class EtcdNode:
    """One etcd of the cluster `peers`, which includes this one."""

    me: EtcdPeer
    peers: tuple[EtcdPeer, ...]
    data: Path
    token: str
    identity: Identity
    listen: str = "127.0.0.1"
    quota_bytes: int = QUOTA_BYTES

    def render(self) -> str:
        shared = {"peers": [asdict(peer) for peer in self.peers], "data": self.data, "token": self.token}
        own = {"listen": self.listen, "quota_bytes": self.quota_bytes, "socket_name": SOCKET, **asdict(self.identity)}
        return render("etcd/etcd.yml", {**asdict(self.me), **shared, **own})


@dataclass(frozen=True)
class EtcdDoor:
    """The HAProxy in front of one etcd. `holders`: the names in the certificates that it admits.

    watcher: the name that may look how etcd is, and read no key.
    """

    me: EtcdPeer
    socket: Path
    holders: tuple[str, ...]
    identity: Identity
    listen: str = "127.0.0.1"
    watcher: str = "erip-pulse"

    def render(self) -> str:
        own = {
            "socket": self.socket,
            "holders": list(self.holders),
            "watcher": self.watcher,
            "listen": self.listen,
            **asdict(self.identity),
        }
        return render("etcd/door.cfg", {**asdict(self.me), **own})


@dataclass(frozen=True)
class EtcdKeeper:
    """The keeper of one etcd (`erip.ops.guard.keeper`)."""

    socket: Path
    scope: str
    root_password: str = field(repr=False)
    patroni_password: str = field(repr=False)
    quota_bytes: int = QUOTA_BYTES

    def render(self) -> str:
        return render("etcd/keeper.toml", asdict(self))


@dataclass(frozen=True)
class PostgresPeer:
    """Where one PostgreSQL and its Patroni listen."""

    name: str
    host: str
    port: int
    rest_port: int


@dataclass(frozen=True)
class PatroniSecrets:
    """Passwords that all nodes of one cluster share."""

    superuser: str = field(repr=False)
    replication: str = field(repr=False)
    rewind: str = field(repr=False)
    rest: str = field(repr=False)
    etcd: str = field(repr=False)


@dataclass(frozen=True)
class Archive:
    """What archives PostgreSQL's write-ahead log: pgBackRest, with this configuration (`backups`)."""

    program: Path
    configuration: Path


@dataclass(frozen=True)
class PatroniNode:
    """One PostgreSQL under Patroni. Sizes are PostgreSQL's own (`128MB`); `networks` may log in, with a password."""

    me: PostgresPeer
    etcd: tuple[EtcdPeer, ...]
    scope: str
    data: Path
    pgpass: Path
    bin_dir: Path
    secrets: PatroniSecrets
    etcd_identity: Identity
    #: with it PostgreSQL speaks TLS 1.3 alone, and only with holders of a certificate; None: it speaks plain TCP
    identity: Identity | None = None
    #: the same for Patroni's REST API
    rest_identity: Identity | None = None
    networks: tuple[str, ...] = ("127.0.0.1/32",)
    listen: str = "127.0.0.1"
    locale: str = "C.UTF-8"
    socket_directory: str = ""
    max_connections: int = 300
    shared_buffers: str = "1GB"
    wal_keep_size: str = "512MB"
    max_wal_size: str = "2GB"
    #: None: nothing is archived
    archive: Archive | None = None

    def render(self) -> str:
        apart = ("me", "secrets", "archive", "etcd_identity", "identity", "rest_identity")
        own = {key: value for key, value in asdict(self).items() if key not in apart}
        secrets = {f"{name}_password": value for name, value in asdict(self.secrets).items()}
        files = {f"etcd_{name}": value for name, value in asdict(self.etcd_identity).items()}
        rest = {f"rest_{name}": value for name, value in files_of(self.rest_identity).items()}
        mine = {**files_of(self.identity), **rest}
        pgbackrest = {"program": "", "configuration": ""} if self.archive is None else asdict(self.archive)
        mine |= {f"archive_{name}": value for name, value in pgbackrest.items()}
        return render("patroni/patroni.yml", {**own, **asdict(self.me), **secrets, **files, **mine})
