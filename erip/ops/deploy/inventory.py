"""A production site, described in TOML; its passwords come from the environment alone.

    name = "erip"
    networks = ["10.0.0.0/24"]                  # who may log in to PostgreSQL, with a password

    [[redis]]      name, host, port = 6379      # three; the first is the first master
    [[sentinel]]   name, host, port = 26379     # three
    [[etcd]]       name, host, client_port = 2379, peer_port = 2380        # three
    [[postgres]]   name, host, port = 5432, rest_port = 8008               # three
    [[web]]        name, host, port = 8000
    [[flower]]     name, host, port = 5555      # none or one: Celery's monitor, which the web processes show
    [balancer]     web_port = 443, rw_port = 5000, ro_port = 5001
                   names = ["erip.example.org"] # by which users and the platform reach HAProxy
                   active = "blue"              # of two sets, blue-1 … and green-1 …: Note [Sets of web servers]
                   admin = "/run/erip-haproxy/admin.sock"   # takes the command that switches (`switch`)
    tls = true                                  # TLS 1.3 between all of them; false: between those around etcd alone
    [paths]        redis, sentinel, etcd, postgres (data), pgpass, bin_dir, etcd_run (where etcd is started), tls
    [backup]       path, keep_full = 2, program; s3_bucket, s3_endpoint, s3_region, s3_ca   # optional: WAL is archived
    [sizes]        redis_maxmemory, shared_buffers, max_connections, wal_keep_size, max_wal_size

Secrets: ERIP_DEPLOY_REDIS_PASSWORD, …_SENTINEL_PASSWORD, …_ETCD_PASSWORD (root's, for the keeper alone),
…_ETCD_PATRONI_PASSWORD, …_PATRONI_REST_PASSWORD, …_POSTGRES_SUPERUSER_PASSWORD, …_POSTGRES_REPLICATION_PASSWORD,
…_POSTGRES_REWIND_PASSWORD; with [backup] …_BACKUP_PASSWORD, which encrypts it, and with a bucket …_S3_KEY_PASSWORD and
…_S3_SECRET_PASSWORD. All or none of …_REDIS_WEB_PASSWORD, …_REDIS_WORKER_PASSWORD and so on (`LOGINS`): with them
each kind of process has a login of its own to Redis (`redis_users`), and Redis must be of version 7.

HAProxy's rules: ERIP_LB_… (`balancer`). Certificates: `certificates`.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from erip.foundation.os_errors import in_words
from erip.ops.ca import Issued
from erip.ops.deploy import redis_users
from erip.ops.deploy.backups import FILE as BACKUPS
from erip.ops.deploy.backups import S3, PgBackRestNode, Repository
from erip.ops.deploy.balancer import Balancer, Rules
from erip.ops.deploy.circles import BALANCER as BALANCERS
from erip.ops.deploy.circles import MONITOR, PLATFORM, WEBS, Circles
from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.identity import Identity, identity
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
)
from erip.ops.deploy.redis_users import FLOWER, LEADER, REPLICA, SENTINEL, WEB, WORKER

SECRETS = (
    *("REDIS", "SENTINEL", "ETCD", "ETCD_PATRONI", "PATRONI_REST"),
    *("POSTGRES_SUPERUSER", "POSTGRES_REPLICATION", "POSTGRES_REWIND"),
)
#: only with [backup]
BACKUP_SECRETS = ("BACKUP", "S3_KEY", "S3_SECRET")
#: by the variable's part: the login in `redis_users`; the last one is of the Sentinels, among themselves
LOGINS = {
    **{f"REDIS_{name.upper()}": name for name in (WEB, WORKER, LEADER, FLOWER, REPLICA, SENTINEL)},
    "SENTINEL_PEER": "",
}
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
    "flower": (0, {"port": 5555}),
}
#: of the servers for which logins are written: keys that may only be written, or only be read
REDIS_MAJOR = 7
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
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")


def load(file: Path) -> dict[str, Any]:
    """Raises DeployError."""
    try:
        return tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DeployError([in_words(error, file)]) from error


def files(site: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Every file of the site by its path: `<name of the node>/<file>`. Raises DeployError with every fault."""
    reader = _Reader(site, environment)
    found = {kind: reader.nodes(kind) for kind in KINDS}
    paths, sizes = reader.table("paths", PATHS), reader.table("sizes", SIZES)
    ports = reader.table("balancer", BALANCER)
    secrets = {name: reader.secret(name) for name in SECRETS}
    backup = reader.table("backup", BACKUP)
    repository = _repository(reader, backup) if "backup" in site else None
    logins = reader.logins()
    networks, names, encrypted = reader.networks(), reader.names(), reader.tls()
    active, admin = reader.switched("active"), reader.switched("admin")
    if len(found["flower"]) > 1:
        reader.faults.append("flower: there is one at most")
    own = _shows_our_certificate(encrypted, environment)
    if encrypted and not names:
        reader.faults.append('balancer.names: those by which HAProxy is reached, as in ["erip.example.org"]')
    if reader.faults:
        raise DeployError(reader.faults)

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

    def mine(circle: str, holder: str) -> Identity | None:
        return identity(tls / circle, holder) if encrypted else None

    shown = identity(tls / "front", BALANCERS).certificate if own else ""
    rules = Rules.from_environment(environment, certificate=str(shown))
    made: dict[str, str] = {}
    for one in found["redis"]:
        made[f"{one['name']}/redis.conf"] = RedisNode(
            **one,
            data=Path(paths["redis"]),
            password=secrets["REDIS"],
            master=None if one["name"] == master.name else master,
            listen=one["host"],
            maxmemory=sizes["redis_maxmemory"],
            replica_password=logins.get(REPLICA, ""),
            users=redis_users.lines({name: one for name, one in logins.items() if name}, major=REDIS_MAJOR),
            identity=mine("redis", one["name"]),
        ).render()
    for one in found["sentinel"]:
        made[f"{one['name']}/sentinel.conf"] = SentinelNode(
            **one,
            data=Path(paths["sentinel"]),
            service=name,
            master=master,
            password=logins.get(SENTINEL, secrets["REDIS"]),
            sentinel_password=secrets["SENTINEL"],
            peer_password=logins.get("", ""),
            users=redis_users.sentinel_lines(secrets["SENTINEL"], logins[""]) if logins else "",
            listen=one["host"],
            identity=mine("redis", one["name"]),
        ).render()
    for peer in etcd:
        made[f"{peer.name}/etcd.yml"] = EtcdNode(
            peer, etcd, Path(paths["etcd"]), name, identity(tls / "peer", peer.name), listen=peer.host
        ).render()
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
            mine("postgres", node.name),
            mine("rest", node.name),
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
    flower = Address(**found["flower"][0]) if found["flower"] else None
    made["haproxy/haproxy.cfg"] = Balancer(
        web,
        postgres,
        **ports,
        rules=rules,
        listen=listen,
        checks=mine("patroni", BALANCERS),
        backends=mine("web", BALANCERS),
        active=active,
        admin=admin,
    ).render()
    if encrypted:
        made |= environments(tls, name, web, flower)
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


def environments(tls: Path, master: str, webs: Sequence[Address], flower: Address | None) -> dict[str, str]:
    """The settings of the platform's processes: `tls.env` for each machine (deploy/systemd)."""
    broker = {
        "ERIP_SENTINEL_MASTER": master,
        "ERIP_BROKER_CA": str(tls / "redis" / "ca.crt"),
    }
    shared = {**broker, "ERIP_BROKER_CERTIFICATE": str(identity(tls / "redis", PLATFORM).certificate)}
    database = identity(tls / "postgres", PLATFORM)
    query = (
        f"sslmode=verify-full&sslrootcert={database.ca}&sslcert={database.certificate}&sslkey={database.certificate}"
    )
    note = "# DATABASE_URL, DATABASE_OWNER_URL and ERIP_REPLICA_URLS end with\n"
    note += f"# ?{query}&ssl_min_protocol_version=TLSv1.3\n"
    made = {"platform/tls.env": note + _lines(shared)}
    for web in webs:
        own = identity(tls / "web", web.name)
        server = {
            "ERIP_WEB_BIND": f"{_bracketed(web.host)}:{web.port}",
            "ERIP_WEB_CERTIFICATE": str(own.certificate),
            "ERIP_WEB_CLIENT_CA": str(own.ca),
        }
        if flower:
            # ERIP_FLOWER_LOGIN is a secret, and stands with the others.
            seen = identity(tls / "flower", WEBS)
            server |= {
                "ERIP_FLOWER_URL": f"https://{_bracketed(flower.host)}:{flower.port}",
                "ERIP_FLOWER_CA": str(seen.ca),
                "ERIP_FLOWER_WEB_CERTIFICATE": str(seen.certificate),
            }
        made[f"{web.name}/tls.env"] = note + _lines({**shared, **server})
    if flower:
        own = identity(tls / "flower", flower.name)
        login = identity(tls / "redis", MONITOR)
        made[f"{flower.name}/flower-tls.env"] = _lines(
            {
                **broker,
                "FLOWER_ADDRESS": flower.host,
                "ERIP_BROKER_CERTIFICATE": str(login.certificate),
                "ERIP_FLOWER_CERTIFICATE": str(own.certificate),
                "ERIP_FLOWER_CLIENT_CA": str(own.ca),
            }
        )
    return made


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _shows_our_certificate(encrypted: bool, environment: Mapping[str, str]) -> bool:
    return encrypted and not environment.get("ERIP_LB_CERTIFICATE")


def certificates(site: Mapping[str, Any], environment: Mapping[str, str], ca: Path, out: Path) -> list[Issued]:
    """Issues the certificates of a site that `files` has accepted; the authorities' keys are kept in `ca`.

    Raises AuthorityError and OSError.
    """
    reader, circles = _Reader(site, {}), Circles(ca)
    etcd = [EtcdPeer(**one) for one in reader.nodes("etcd")]
    postgres = [PostgresPeer(**one) for one in reader.nodes("postgres")]
    made = circles.of_etcds_site(out, etcd, postgres)
    if reader.tls():
        others = {
            kind: [Address(**one) for one in reader.nodes(kind)] for kind in ("redis", "sentinel", "web", "flower")
        }
        front = _shows_our_certificate(True, environment)
        made += circles.of_site(out, postgres=postgres, names=reader.names(), front=front, **others)
    return made


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
        known = {*usual, *(("listen", "names", "active", "admin") if name == "balancer" else ())}
        self.faults += [f"{name}.{key}: not known" for key in sorted(found.keys() - known)]
        return {key: found.get(key, value) for key, value in usual.items()}

    def secret(self, name: str, form: re.Pattern[str] = SAFE_SECRET) -> str:
        variable = f"ERIP_DEPLOY_{name}_PASSWORD"
        value = self._environment.get(variable, "")
        if not form.fullmatch(value):
            self.faults.append(f"{variable}: set it to 16 or more letters, digits and - _ . ~")
        return value

    def logins(self) -> dict[str, str]:
        """The passwords by `LOGINS`; none of them if none is set."""
        if not any(self._environment.get(f"ERIP_DEPLOY_{name}_PASSWORD") for name in LOGINS):
            return {}
        return {login: self.secret(name) for name, login in LOGINS.items()}

    def networks(self) -> tuple[str, ...]:
        found = self._site.get("networks", [])
        if not found or not all(isinstance(one, str) and "/" in one for one in found):
            self.faults.append('networks: name those that may log in to PostgreSQL, as in ["10.0.0.0/24"]')
            return ()
        return tuple(found)

    def names(self) -> tuple[str, ...]:
        """Of HAProxy."""
        found = self._site.get("balancer", {}).get("names", [])
        if not isinstance(found, list) or not all(isinstance(one, str) and _NAME.fullmatch(one) for one in found):
            self.faults.append("balancer.names: must be host names or addresses")
            return ()
        return tuple(found)

    def switched(self, key: str) -> str:
        """Of HAProxy: "" where it is not said."""
        found = self._site.get("balancer", {}).get(key, "")
        if not isinstance(found, str):
            self.faults.append(f"balancer.{key}: {found!r} is not a text")
            return ""
        return found

    def tls(self) -> bool:
        found = self._site.get("tls", True)
        if not isinstance(found, bool):
            self.faults.append("tls: must be true or false")
        return found is True

    def _text(self, one: Mapping[str, Any], kind: str, index: int, name: str) -> str:
        value = one.get(name)
        if not isinstance(value, str) or not value:
            self.faults.append(f"{kind}[{index}].{name}: missing")
            return ""
        return value
