"""A production site, described in TOML; its passwords come from the environment alone.

    name = "erip"
    networks = ["10.0.0.0/24"]                  # who may log in to PostgreSQL, with a password

    [[redis]]      name, host, port = 6379      # three; the first is the first master
    [[sentinel]]   name, host, port = 26379     # three
    [[etcd]]       name, host, client_port = 2379, peer_port = 2380        # three
    [[postgres]]   name, host, port = 5432, rest_port = 8008               # three
    [[web]]        name, host, port = 8000
    [balancer]     web_port = 443, rw_port = 5000, ro_port = 5001
    [paths]        redis, sentinel, etcd, postgres (data), pgpass, bin_dir, etcd_run (where etcd is started), tls
    [backup]       path, keep_full = 2, program; s3_bucket, s3_endpoint, s3_region, s3_ca   # optional: WAL is archived
    [sizes]        redis_maxmemory, shared_buffers, max_connections, wal_keep_size, max_wal_size

Secrets: ERIP_DEPLOY_REDIS_PASSWORD, …_SENTINEL_PASSWORD, …_ETCD_PASSWORD (root's, for the keeper alone),
…_ETCD_PATRONI_PASSWORD, …_PATRONI_REST_PASSWORD, …_POSTGRES_SUPERUSER_PASSWORD, …_POSTGRES_REPLICATION_PASSWORD,
…_POSTGRES_REWIND_PASSWORD; with [backup] …_BACKUP_PASSWORD, which encrypts it, and with a bucket …_S3_KEY_PASSWORD and
…_S3_SECRET_PASSWORD. HAProxy's rules: ERIP_LB_… (`balancer`). Certificates: `certificates`.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from erip.ops.ca import Issued
from erip.ops.deploy.backups import FILE as BACKUPS
from erip.ops.deploy.backups import S3, PgBackRestNode, Repository
from erip.ops.deploy.balancer import Balancer, Rules
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.nodes import (
    SOCKET,
    Address,
    Archive,
    EtcdDoor,
    EtcdKeeper,
    EtcdNode,
    EtcdPeer,
    PatroniNode,
    PatroniSecrets,
    PostgresPeer,
    RedisNode,
    SentinelNode,
    identity,
)

SECRETS = (
    *("REDIS", "SENTINEL", "ETCD", "ETCD_PATRONI", "PATRONI_REST"),
    *("POSTGRES_SUPERUSER", "POSTGRES_REPLICATION", "POSTGRES_REWIND"),
)
#: only with [backup]
BACKUP_SECRETS = ("BACKUP", "S3_KEY", "S3_SECRET")
SAFE_SECRET = re.compile(r"[A-Za-z0-9_.~-]{16,}")
#: others make these
S3_SECRET = re.compile(r"[A-Za-z0-9_.~/+=-]{16,}")
# How many servers of each kind there must be: the first four kinds need a majority after the loss of one.
KINDS: dict[str, tuple[int, dict[str, int]]] = {
    "redis": (3, {"port": 6379}),
    "sentinel": (3, {"port": 26379}),
    "etcd": (3, {"client_port": 2379, "peer_port": 2380}),
    "postgres": (3, {"port": 5432, "rest_port": 8008}),
    "web": (2, {"port": 8000}),
}
PATHS = {
    "redis": "/var/lib/redis",
    "sentinel": "/var/lib/redis/sentinel",
    "etcd": "/var/lib/etcd/erip",
    "etcd_run": "/run/erip-etcd",
    "tls": "/etc/erip/tls",
    "postgres": "/var/lib/postgresql/15/erip",
    "pgpass": "/var/lib/postgresql/erip.pgpass",
    "bin_dir": "/usr/lib/postgresql/15/bin",
}
SIZES = {
    "redis_maxmemory": "1gb",
    "shared_buffers": "1GB",
    "max_connections": 300,
    "wal_keep_size": "512MB",
    "max_wal_size": "2GB",
}
BACKUP = {
    "path": "",
    "keep_full": 2,
    "program": "/usr/bin/pgbackrest",
    "configuration": "/etc/erip/pgbackrest.conf",
    "own": "/var/lib/pgbackrest/erip",
    "s3_bucket": "",
    "s3_endpoint": "",
    "s3_region": "",
    "s3_ca": "",
}
BALANCER = {"web_port": 443, "rw_port": 5000, "ro_port": 5001}


def load(file: Path) -> dict[str, Any]:
    """Raises DeployError."""
    try:
        return tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DeployError([f"{file}: {error}"]) from error


def files(site: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Every file of the site by its path: `<name of the node>/<file>`. Raises DeployError with every fault."""
    reader = _Reader(site, environment)
    found = {kind: reader.nodes(kind) for kind in KINDS}
    paths, sizes = reader.table("paths", PATHS), reader.table("sizes", SIZES)
    ports = reader.table("balancer", BALANCER)
    secrets = {name: reader.secret(name) for name in SECRETS}
    networks = reader.networks()
    backup = reader.table("backup", BACKUP)
    repository = _repository(reader, backup) if "backup" in site else None
    if reader.faults:
        raise DeployError(reader.faults)

    rules = Rules.from_environment(environment)
    name = str(site.get("name", "erip"))
    master = Address(**found["redis"][0])
    etcd = tuple(EtcdPeer(**one) for one in found["etcd"])
    postgres = tuple(PostgresPeer(**one) for one in found["postgres"])
    shared = PatroniSecrets(
        superuser=secrets["POSTGRES_SUPERUSER"],
        replication=secrets["POSTGRES_REPLICATION"],
        rewind=secrets["POSTGRES_REWIND"],
        rest=secrets["PATRONI_REST"],
        etcd=secrets["ETCD_PATRONI"],
    )
    socket, tls = Path(paths["etcd_run"]) / SOCKET, Path(paths["tls"])
    made: dict[str, str] = {}
    for one in found["redis"]:
        made[f"{one['name']}/redis.conf"] = RedisNode(
            **one,
            data=Path(paths["redis"]),
            password=secrets["REDIS"],
            master=None if one["name"] == master.name else master,
            listen=one["host"],
            maxmemory=sizes["redis_maxmemory"],
        ).render()
    for one in found["sentinel"]:
        made[f"{one['name']}/sentinel.conf"] = SentinelNode(
            **one,
            data=Path(paths["sentinel"]),
            service=name,
            master=master,
            password=secrets["REDIS"],
            sentinel_password=secrets["SENTINEL"],
            listen=one["host"],
        ).render()
    for peer in etcd:
        mine = identity(tls / "peer", peer.name)
        made[f"{peer.name}/etcd.yml"] = EtcdNode(peer, etcd, Path(paths["etcd"]), name, mine, listen=peer.host).render()
        made[f"{peer.name}/door.cfg"] = EtcdDoor(
            peer, socket, tuple(node.name for node in postgres), identity(tls / "door", peer.name), listen=peer.host
        ).render()
        made[f"{peer.name}/keeper.toml"] = EtcdKeeper(socket, name, secrets["ETCD"], secrets["ETCD_PATRONI"]).render()
    for node in postgres:
        made[f"{node.name}/patroni.yml"] = PatroniNode(
            node,
            etcd,
            name,
            Path(paths["postgres"]),
            Path(paths["pgpass"]),
            Path(paths["bin_dir"]),
            shared,
            identity(tls / "etcd", node.name),
            networks=networks,
            listen=node.host,
            max_connections=int(sizes["max_connections"]),
            shared_buffers=sizes["shared_buffers"],
            wal_keep_size=sizes["wal_keep_size"],
            max_wal_size=sizes["max_wal_size"],
            archive=Archive(Path(backup["program"]), Path(backup["configuration"])) if repository else None,
        ).render()
        if repository:
            made[f"{node.name}/{BACKUPS}"] = PgBackRestNode(
                name, Path(paths["postgres"]), node.port, repository, Path(backup["own"]), spooled=True
            ).render()
    web = [Address(**one) for one in found["web"]]
    listen = str(site.get("balancer", {}).get("listen", "*"))
    made["haproxy/haproxy.cfg"] = Balancer(web, postgres, **ports, rules=rules, listen=listen).render()
    return made


def _repository(reader: "_Reader", backup: Mapping[str, Any]) -> Repository:
    """Faults are added to the reader's."""
    if not str(backup["path"]).startswith("/"):
        reader.faults.append("backup.path: name the folder, or the place in the bucket, by its absolute path")
    if not isinstance(backup["keep_full"], int) or backup["keep_full"] < 1:
        reader.faults.append(f"backup.keep_full: {backup['keep_full']!r} is not a whole number above 0")
    cipher, s3 = reader.secret("BACKUP"), None
    if backup["s3_bucket"]:
        for key in ("s3_endpoint", "s3_region"):
            if not backup[key]:
                reader.faults.append(f"backup.{key}: missing")
        s3 = S3(
            bucket=backup["s3_bucket"],
            endpoint=backup["s3_endpoint"],
            region=backup["s3_region"],
            key=reader.secret("S3_KEY", S3_SECRET),
            secret=reader.secret("S3_SECRET", S3_SECRET),
            ca=backup["s3_ca"],
        )
    return Repository(Path(backup["path"]), cipher, backup["keep_full"], s3)


def certificates(site: Mapping[str, Any], ca: Path, out: Path) -> list[Issued]:
    """Issues the certificates of a site that `files` has accepted; the authorities' keys are kept in `ca`.

    Raises AuthorityError and OSError.
    """
    reader = _Reader(site, {})
    etcd = [EtcdPeer(**one) for one in reader.nodes("etcd")]
    postgres = [PostgresPeer(**one) for one in reader.nodes("postgres")]
    return Circles(ca).of_site(out, etcd, postgres)


class _Reader:
    """Reads the description of a site and collects every fault."""

    def __init__(self, site: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._site, self._environment = site, environment
        self.faults: list[str] = []

    def nodes(self, kind: str) -> list[dict[str, Any]]:
        wanted, ports = KINDS[kind]
        found = self._site.get(kind, [])
        if not isinstance(found, list) or len(found) < wanted:
            self.faults.append(f"{kind}: at least {wanted} are needed")
            return []
        nodes = []
        for index, one in enumerate(found):
            node: dict[str, Any] = {
                "name": self._text(one, kind, index, "name"),
                "host": self._text(one, kind, index, "host"),
            }
            for name, usual in ports.items():
                value = one.get(name, usual)
                if not isinstance(value, int) or not 0 < value < 65536:
                    self.faults.append(f"{kind}[{index}].{name}: {value!r} is not a port number")
                node[name] = value
            self.faults += [f"{kind}[{index}].{name}: not known" for name in sorted(one.keys() - node.keys())]
            nodes.append(node)
        names = [node["name"] for node in nodes]
        self.faults += [f"{kind}: {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
        return nodes

    def table(self, name: str, usual: Mapping[str, Any]) -> dict[str, Any]:
        found = self._site.get(name, {})
        known = {*usual, *(("listen",) if name == "balancer" else ())}
        self.faults += [f"{name}.{key}: not known" for key in sorted(found.keys() - known)]
        return {key: found.get(key, value) for key, value in usual.items()}

    def secret(self, name: str, form: re.Pattern[str] = SAFE_SECRET) -> str:
        variable = f"ERIP_DEPLOY_{name}_PASSWORD"
        value = self._environment.get(variable, "")
        if not form.fullmatch(value):
            self.faults.append(f"{variable}: set it to 16 or more letters, digits and - _ . ~")
        return value

    def networks(self) -> tuple[str, ...]:
        found = self._site.get("networks", [])
        if not found or not all(isinstance(one, str) and "/" in one for one in found):
            self.faults.append('networks: name those that may log in to PostgreSQL, as in ["10.0.0.0/24"]')
            return ()
        return tuple(found)

    def _text(self, one: Mapping[str, Any], kind: str, index: int, name: str) -> str:
        value = one.get(name)
        if not isinstance(value, str) or not value:
            self.faults.append(f"{kind}[{index}].{name}: missing")
            return ""
        return value
