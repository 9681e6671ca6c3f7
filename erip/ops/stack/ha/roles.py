"""Who leads: asked anew each time, as roles move. For `status`, and for code that injects faults."""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2

from erip.foundation.process.trust import context_of
from erip.ops.deploy.circles import BALANCER, WATCHER
from erip.ops.deploy.identity import Identity, identity
from erip.ops.deploy.nodes import SOCKET
from erip.ops.guard.etcd import Etcd, EtcdError
from erip.ops.stack.ha.layout import LEADERS, THREE
from erip.ops.stack.ha.patroni import asked
from erip.ops.stack.ha.redis import master_state, platforms
from erip.ops.stack.private import read_env
from erip.ops.stack.state import State, read_json

#: workflows.store.leaders.LEADER_LOCK, which takes Django to import
LEADER_LOCK = 0x45524950
_LEADER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND granted
"""


class Roles:
    """The roles in the stack under `state`. Each answer is a name in supervisor.json, or None while nobody leads."""

    def __init__(self, state: State) -> None:
        self._state = state

    def all(self) -> dict[str, str | None]:
        """Who leads what."""
        return {
            "postgres": self.postgres_primary(),
            "redis": self.redis_master(),
            "etcd": self.etcd_leader(),
            "duties": self.leader(),
        }

    def redis_master(self) -> str | None:
        """The master, as any Sentinel reports it."""
        ports, password = self._ports, self._secret("sentinel")
        for n in THREE:
            if found := master_state(ports[f"sentinel-{n}"], self.broker_identity, password).get("port"):
                return next((f"redis-{k}" for k in THREE if ports[f"redis-{k}"] == int(found)), None)
        return None

    @property
    def broker_identity(self) -> Identity:
        """The platform's files, for Redis and the Sentinels."""
        return platforms(self._home)

    @property
    def patroni_identity(self) -> Identity:
        """PULSE's files, for Patroni."""
        return identity(self._home / "ha" / "haproxy" / "tls" / "patroni", WATCHER)

    def web_context(self) -> ssl.SSLContext:
        """With it a web process is asked without the balancer, as the balancer does. Raises OSError."""
        mine = identity(self._home / "ha" / "haproxy" / "tls" / "web", BALANCER)
        return context_of(str(mine.ca), str(mine.certificate))

    def postgres_primary(self) -> str | None:
        """The node whose Patroni says that it is the primary."""
        return next((f"postgres-{n}" for n in THREE if self._patroni(n).get("role") in ("primary", "master")), None)

    def postgres_replicas(self) -> list[str]:
        """Those that stream."""
        return [f"postgres-{n}" for n in THREE if self._patroni(n).get("replication_state") == "streaming"]

    def postgres_members(self) -> list[dict[str, object]]:
        """Patroni's members with their roles and states, as the first of them to answer reports them."""
        for n in THREE:
            members = self._ask_patroni(n, "cluster").get("members")
            if isinstance(members, list):
                return members
        return []

    def postgres_voters(self) -> list[str]:
        """See `voters`."""
        return voters(self.postgres_members())

    def etcd_socket(self, n: int) -> Path:
        """Where the n-th etcd listens, for its own user and root."""
        return self._home / "ha" / f"etcd-{n}" / SOCKET

    def etcd_leader(self) -> str | None:
        for n in THREE:
            client = Etcd([self.etcd_socket(n)], timeout=1.0)
            try:
                status = client.status()
            except EtcdError:
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return f"etcd-{n}"
        return None

    def leader(self) -> str | None:
        """The platform's candidate that does the leader's duties."""
        try:
            connection = psycopg2.connect(read_env(self._state.env)["DATABASE_URL"], connect_timeout=2)
        except (psycopg2.Error, OSError, KeyError):
            return None
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(_LEADER, [LEADER_LOCK])
            return next((row[0] for row in cursor.fetchall() if row[0] in LEADERS), None)

    def pid(self, name: str) -> int | None:
        """The process that the supervisor started as `name`."""
        processes = read_json(self._state.supervisor).get("processes", [])
        return next((process["pid"] for process in processes if process["name"] == name), None)

    def postmaster(self, name: str) -> int | None:
        """The postmaster of a PostgreSQL node, which Patroni detaches from its own process tree."""
        try:
            with open(f"{self._home}/ha/{name}/data/postmaster.pid") as file:
                pid = int(file.readline())
        except (OSError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def tree(self, name: str | None) -> list[int]:
        """All living processes of `name`, the topmost first: a node's guard, Patroni, postmaster and its backends."""
        if name is None:
            return []
        found: dict[int, None] = {}
        for pid in (self.pid(name), self.postmaster(name) if name.startswith("postgres-") else None):
            if pid and psutil.pid_exists(pid):
                found[pid] = None
                found |= dict.fromkeys(child.pid for child in psutil.Process(pid).children(recursive=True))
        return list(found)

    def _patroni(self, n: int) -> dict[str, object]:
        return self._ask_patroni(n, "patroni")

    def _ask_patroni(self, n: int, path: str) -> dict[str, object]:
        try:
            found = json.loads(asked(self._ports[f"postgres-{n}-rest"], self.patroni_identity, f"/{path}")[1])
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def _home(self) -> Path:
        home = self._state.root / "home"
        return Path(home.read_text().strip()) if home.is_file() else self._state.root / "servers"

    @property
    def _ports(self) -> dict[str, int]:
        return read_json(self._state.ports)

    def _secret(self, name: str) -> str:
        return str(read_json(self._state.secrets)[name])


def voters(members: Sequence[Mapping[str, object]]) -> list[str]:
    """Patroni's standbys that stream and are in the quorum: until both are, a failover could lose a write, and Patroni
    would refuse it.
    """
    return [
        str(one["name"]) for one in members if one.get("role") == "quorum_standby" and one.get("state") == "streaming"
    ]
