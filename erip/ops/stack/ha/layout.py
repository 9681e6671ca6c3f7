"""What the highly available stack consists of, in the order of its start."""

import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from erip.foundation.process.trust import context_of
from erip.ops.deploy import balancer
from erip.ops.deploy.balancer import NO_CERTIFICATE, PER_PROCESS, Balancer, Rules
from erip.ops.deploy.circles import WATCHER, Circles
from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.identity import identity
from erip.ops.deploy.nodes import QUOTA_BYTES, Address, EtcdPeer, PatroniSecrets, PostgresPeer
from erip.ops.deploy.redis_users import FLOWER, LEADER, REPLICA, SENTINEL, WEB, WORKER
from erip.ops.stack import ports, services
from erip.ops.stack.children import Server
from erip.ops.stack.errors import StackError
from erip.ops.stack.ha import haproxy
from erip.ops.stack.ha.backup import Backups
from erip.ops.stack.ha.etcd import Door, Etcd, Keeper, socket_of
from erip.ops.stack.ha.haproxy import HaProxy
from erip.ops.stack.ha.patroni import SCOPE, Patroni
from erip.ops.stack.ha.programs import Programs
from erip.ops.stack.ha.redis import SERVICE, Redis, Sentinel, monitors, platforms
from erip.ops.stack.ha.tls import Reached
from erip.ops.stack.logins import Logins
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.privileges import choose_user, server_home
from erip.ops.stack.services import Service, Tls
from erip.ops.stack.state import State, make_secrets, write_private

THREE = (1, 2, 3)
#: the port of Celery's monitor, for the web processes, which show it to people
FLOWER_OWN = "flower-1"
REDIS_LOGINS = (WEB, WORKER, LEADER, FLOWER, REPLICA, SENTINEL)
WEBS = ("web-1", "web-2")
LEADERS = ("leader-1", "leader-2")
GENERAL_WORKERS = ("worker-general-1", "worker-general-2")
SECRETS = (
    *("sentinel", "sentinel_peer", "sentinel_redis", "replica_redis"),
    *("etcd", "etcd_patroni", "etcd_token", "patroni_rest", "postgres_replication", "postgres_rewind"),
    *("backup_cipher", "backup_files"),
)
PORTS = (
    *(f"{kind}-{n}" for kind in ("redis", "sentinel", "etcd", "postgres") for n in THREE),
    *(f"etcd-{n}-peer" for n in THREE),
    *(f"postgres-{n}-rest" for n in THREE),
    *("postgres-rw", "postgres-ro", *WEBS),
)


class HaLayout:
    """The stack under `state`. names: of services, of which `flower` alone matters: it runs if it is named."""

    name = "ha"

    def __init__(self, state: State, names: Sequence[str] = services.ALL) -> None:
        self.state = state
        self._flower = "flower" in names
        self.user = choose_user(state)
        self.home = server_home(state, self.user)
        self._web: int | None = None

    @cached_property
    def _circles(self) -> Circles:
        return Circles(self.home / "ha" / "ca")

    @cached_property
    def secrets(self) -> dict[str, str]:
        return make_secrets(self.state.secrets, dict.fromkeys(SECRETS, 24))

    @cached_property
    def _backups(self) -> Backups | None:
        return Backups.wanted(SCOPE, self.secrets, self.user)

    @property
    def addresses(self) -> dict[str, str]:
        if not self._web:
            return {}
        web = f"{_scheme()}://{LOOPBACK}:{self._web}"
        return {"web": web, **({"flower": web + services.FLOWER_AT} if self._flower else {})}

    def replace_certificates(self) -> None:
        # A certificate holds whole seconds.
        self._circles.replace_all(datetime.now(UTC).replace(microsecond=0))

    def serves(self) -> bool:
        return services.answers(self.addresses["web"], self._front())

    def _front(self) -> ssl.SSLContext | None:
        """How to ask HAProxy. A certificate of the user's may be in any name: of that the port is all that is known."""
        match front(os.environ):
            case balancer.NO_CERTIFICATE:
                return None
            case haproxy.OWN:
                return context_of(str(self._haproxy.front.ca), None)
            case _:
                return ssl._create_unverified_context()  # noqa: S323  # nosec B323

    def servers(self) -> Iterator[list[Server]]:
        for variable in ("DATABASE_URL", "DATABASE_OWNER_URL", "ERIP_BROKER_URL", "ERIP_WORKER_BROKER_URL"):
            if os.environ.get(variable):
                raise StackError(f"A highly available stack has servers of its own: unset {variable}.")
        self._programs = Programs.find(self.home / "wheels", self.user)
        self._ports = ports.choose_lasting([*PORTS, *([FLOWER_OWN] if self._flower else [])], self.state.ports)
        self._web = ports.choose("web", self.state.ports)
        (self.home / "ha").mkdir(mode=0o755, exist_ok=True)
        yield [*self._redis(), *self._etcd()]
        yield [*self._doors(), *self._keepers()]
        yield [*self._sentinels(), *self._patroni()]
        self._haproxy = self._make_haproxy()
        yield [self._haproxy]

    def settings(self) -> dict[str, str]:
        if front(os.environ) == haproxy.OWN:
            # For the user, who has no way into the folders of the servers.
            write_private(self.state.ca, self._haproxy.front.ca.read_text())
        else:
            self.state.ca.unlink(missing_ok=True)
        told = services.settings(
            self.state,
            self.secrets,
            database=self._haproxy.database,
            owner=self._haproxy.owner,
            broker=self.broker(LEADER),
            workers_broker=self.broker(WORKER),
            web=self.addresses["web"],
        )
        backups: dict[str, str] = {}
        if self._backups:
            nodes = [self.home / "ha" / peer.name for peer in self._postgres_peers()]
            self._backups.begin(nodes)
            backups = self._backups.settings(nodes, self.secrets["backup_files"])
        shown: dict[str, str] = {}
        if self._flower:
            monitor = f"https://{LOOPBACK}:{self._ports[FLOWER_OWN]}"
            shown = services.shown_flower(monitor, self._monitors_login, self._haproxy.webs_to_flower)
        return {
            **told,
            **backups,
            **shown,
            "ERIP_REPLICA_URLS": self._haproxy.replicas,
            "ERIP_SENTINEL_MASTER": SERVICE,
            "ERIP_SENTINEL_PASSWORD": self.secrets["sentinel"],
            "ERIP_BROKER_CA": str(platforms(self.home).ca),
            "ERIP_BROKER_CERTIFICATE": str(platforms(self.home).certificate),
            # HAProxy, which is on this machine; a variable that the user set wins.
            "ERIP_TRUSTED_PROXIES": os.environ.get("ERIP_TRUSTED_PROXIES") or LOOPBACK,
            **self._watched(),
        }

    @property
    def _monitors_login(self) -> str:
        return f"erip:{self.secrets['flower']}"

    def broker(self, login: str) -> str:
        """ERIP_BROKER_URL of this login to the Redis that the Sentinels name."""
        known = f"{login}:{self.secrets[f'{login}_redis']}"
        return ";".join(f"sentinel://{known}@{LOOPBACK}:{self._ports[f'sentinel-{n}']}/0" for n in THREE)

    def _watched(self) -> dict[str, str]:
        """Where PULSE looks. It has a certificate for the doors of etcd, which let it see how that is."""
        tls = self.home / "ha" / "etcd-1-door" / "tls"
        patroni = identity(self._haproxy.tls / "patroni", WATCHER)
        settings = {
            "ERIP_PULSE_ETCD_URLS": ",".join(f"https://{LOOPBACK}:{peer.client_port}" for peer in self._etcd_peers()),
            "ERIP_PULSE_CA": str(tls / "ca.crt"),
            "ERIP_PULSE_CERTIFICATE": str(tls / f"{WATCHER}.pem"),
            "ERIP_PULSE_PATRONI_URLS": ",".join(
                f"https://{LOOPBACK}:{peer.rest_port}" for peer in self._postgres_peers()
            ),
            "ERIP_PULSE_PATRONI_CA": str(patroni.ca),
            "ERIP_PULSE_PATRONI_CERTIFICATE": str(patroni.certificate),
            "ERIP_PULSE_HAPROXY": str(self._haproxy.stats or ""),
            "ERIP_PULSE_CERTIFICATES": ",".join(self._certificates()),
        }
        return {name: os.environ.get(name) or value for name, value in settings.items()}

    def _certificates(self) -> Iterator[str]:
        """All that servers show, and the platform's own."""
        yield from (f"{LOOPBACK}:{self._ports[f'{kind}-{n}']}" for kind in ("redis", "sentinel", "etcd") for n in THREE)
        yield from (f"{LOOPBACK}:{self._ports[f'postgres-{n}-rest']}" for n in THREE)
        yield from (f"postgres://{LOOPBACK}:{self._ports[f'postgres-{n}']}" for n in THREE)
        yield from (f"{LOOPBACK}:{self._ports[name]}" for name in WEBS)
        if front(os.environ) != NO_CERTIFICATE:
            yield f"{LOOPBACK}:{self._web}"
        clients = [platforms(self.home), self._haproxy.reached.identity, self._haproxy.to_patroni, self._haproxy.to_web]
        if self._flower:
            yield f"{LOOPBACK}:{self._ports[FLOWER_OWN]}"
            clients += [monitors(self.home), self._haproxy.webs_to_flower]
        yield from (str(one.certificate) for one in clients)

    def services(self, env: dict[str, str]) -> list[Service]:
        """Two of each process that matters. Threads are few: many processes share few cores here."""
        env = {"ERIP_WEB_WORKERS": _web_workers(), **env}
        brokers = services.Brokers(*(self.broker(kind) for kind in (WEB, WORKER, LEADER)))
        web, worker, leader = (brokers.given(env, kind) for kind in (WEB, WORKER, LEADER))
        critical = _named(worker, "worker-critical")
        return [
            *(services.web(name, _named(web, name), self._ports[name], tls=self._tls_of(name)) for name in WEBS),
            services.worker("worker-critical", critical, queues="critical", node="critical", threads="4"),
            *(
                services.general_worker(name, _named(worker, name), node=name.removeprefix("worker-"), threads="8")
                for name in GENERAL_WORKERS
            ),
            *(services.leader(name, _named(leader, name)) for name in LEADERS),
            *self._monitors(),
        ]

    def _monitors(self) -> list[Service]:
        own = self._haproxy.of_flower
        if own is None:
            return []
        reached = monitors(self.home)
        settings = {
            "ERIP_SENTINEL_MASTER": SERVICE,
            "ERIP_SENTINEL_PASSWORD": self.secrets["sentinel"],
            "ERIP_BROKER_CA": str(reached.ca),
            "ERIP_BROKER_CERTIFICATE": str(reached.certificate),
        }
        known = services.Monitor(self.broker(FLOWER), self._monitors_login, settings)
        return [services.flower("flower", self._ports[FLOWER_OWN], known, tls=Tls(own, self._haproxy.webs_to_flower))]

    def _tls_of(self, web: str) -> Tls:
        return Tls(self._haproxy.of_web(web), self._haproxy.to_web)

    # --- servers ----------------------------------------------------------------------------------------

    def _redis(self) -> list[Server]:
        first = Address("redis-1", LOOPBACK, self._ports["redis-1"])
        return [
            Redis(
                **self._place(f"redis-{n}"),
                binary=self._programs.redis,
                password=self.secrets["redis"],
                logins={kind: self.secrets[f"{kind}_redis"] for kind in REDIS_LOGINS},
                master=None if n == 1 else first,
                circles=self._circles,
            )
            for n in THREE
        ]

    def _sentinels(self) -> list[Server]:
        return [
            Sentinel(
                **self._place(f"sentinel-{n}"),
                binary=self._programs.redis,
                password=self.secrets["sentinel_redis"],
                sentinel_password=self.secrets["sentinel"],
                peer_password=self.secrets["sentinel_peer"],
                master=Address("redis-1", LOOPBACK, self._ports["redis-1"]),
                circles=self._circles,
            )
            for n in THREE
        ]

    def _etcd(self) -> list[Server]:
        peers = self._etcd_peers()
        return [
            Etcd(
                **{**self._place(peer.name), "port": peer.peer_port},
                binary=self._programs.etcd,
                me=peer,
                peers=peers,
                token=self.secrets["etcd_token"],
                circles=self._circles,
                **self._etcd_logins(),
            )
            for peer in peers
        ]

    def _doors(self) -> list[Server]:
        return [
            Door(
                **{**self._place(f"{peer.name}-door"), "port": peer.client_port},
                binary=self._programs.haproxy,
                me=peer,
                socket=self._etcd_socket(peer),
                holders=tuple(node.name for node in self._postgres_peers()),
                circles=self._circles,
            )
            for peer in self._etcd_peers()
        ]

    def _keepers(self) -> list[Server]:
        return [
            Keeper(
                **self._place(f"{peer.name}-keeper"),
                binary=self._programs.etcd,
                socket=self._etcd_socket(peer),
                **self._etcd_logins(),
            )
            for peer in self._etcd_peers()
        ]

    def _etcd_logins(self) -> dict[str, Any]:
        """What an etcd and its keeper both know."""
        return {
            "scope": SCOPE,
            "root_password": self.secrets["etcd"],
            "patroni_password": self.secrets["etcd_patroni"],
            "quota_bytes": _quota_bytes(),
        }

    def _etcd_socket(self, peer: EtcdPeer) -> Path:
        return socket_of(self.home / "ha" / peer.name)

    def _patroni(self) -> list[Server]:
        known = self.secrets
        shared = PatroniSecrets(
            superuser=known["postgres_superuser"],
            replication=known["postgres_replication"],
            rewind=known["postgres_rewind"],
            rest=known["patroni_rest"],
            etcd=known["etcd_patroni"],
        )
        return [
            Patroni(
                **self._place(peer.name),
                binary=self._programs.postgres,
                me=peer,
                etcd=self._etcd_peers(),
                secrets=shared,
                circles=self._circles,
                reached=Reached(self.home / "ha" / "haproxy" / "tls"),
                backups=self._backups,
            )
            for peer in self._postgres_peers()
        ]

    def _make_haproxy(self) -> HaProxy:
        try:
            limits = {"concurrency": PER_PROCESS * int(_web_workers())}
            rules = Rules.from_environment(os.environ, certificate=haproxy.OWN, **limits)
        except DeployError as error:
            raise StackError(str(error)) from error
        assert self._web
        return HaProxy(
            **{**self._place("haproxy"), "port": self._web},
            binary=self._programs.haproxy,
            balancer=Balancer(
                [Address(name, LOOPBACK, self._ports[name]) for name in WEBS],
                self._postgres_peers(),
                self._web,
                self._ports["postgres-rw"],
                self._ports["postgres-ro"],
                rules,
            ),
            flower=Address("flower", LOOPBACK, self._ports[FLOWER_OWN]) if self._flower else None,
            superuser_password=self.secrets["postgres_superuser"],
            password=self.secrets["postgres_app"],
            logins=Logins.of(self.secrets),
            circles=self._circles,
        )

    def _place(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "folder": self.home / "ha" / name,
            "port": self._ports.get(name, 0),
            "log": self.state.logs / f"{name}.log",
            "user": self.user,
        }

    def _etcd_peers(self) -> tuple[EtcdPeer, ...]:
        return tuple(
            EtcdPeer(f"etcd-{n}", LOOPBACK, self._ports[f"etcd-{n}"], self._ports[f"etcd-{n}-peer"]) for n in THREE
        )

    def _postgres_peers(self) -> tuple[PostgresPeer, ...]:
        return tuple(
            PostgresPeer(f"postgres-{n}", LOOPBACK, self._ports[f"postgres-{n}"], self._ports[f"postgres-{n}-rest"])
            for n in THREE
        )


def _quota_bytes() -> int:
    """Room for the store of each etcd (ERIP_ETCD_QUOTA_BYTES, for trials with a full one). Raises StackError."""
    text = os.environ.get("ERIP_ETCD_QUOTA_BYTES") or str(QUOTA_BYTES)
    if not text.isdigit() or int(text) < 1_000_000:
        raise StackError(f"ERIP_ETCD_QUOTA_BYTES: {text!r} is not a number of bytes of a million or more")
    return int(text)


def front(environment: Mapping[str, str]) -> str:
    """The certificate of the users' ports: a file's path, or OWN (the default), or NO_CERTIFICATE."""
    return environment.get("ERIP_LB_CERTIFICATE") or haproxy.OWN


def _scheme() -> str:
    return "http" if front(os.environ) == NO_CERTIFICATE else "https"


def _web_workers() -> str:
    """Processes of each web server. One, as there are two servers already. Raises StackError."""
    text = os.environ.get("ERIP_WEB_WORKERS") or "1"
    if not text.isdigit() or int(text) < 1:
        raise StackError(f"ERIP_WEB_WORKERS: {text!r} is not a whole number above 0")
    return text


def _named(env: dict[str, str], name: str) -> dict[str, str]:
    """PostgreSQL shows which process a connection belongs to, and so which candidate leads."""
    separator = "&" if "?" in env["DATABASE_URL"] else "?"
    return {**env, "DATABASE_URL": f"{env['DATABASE_URL']}{separator}application_name={name}"}
