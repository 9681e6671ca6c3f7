"""The highly available stack: which server has which role now, and whether every node is in its place."""

from collections.abc import Callable
from contextlib import suppress

import psutil

from erip.ops.guard.etcd import Etcd, EtcdError
from erip.ops.stack import services
from erip.ops.stack.ha.layout import LEADERS, THREE, WEBS
from erip.ops.stack.ha.redis import ask, master_state
from erip.ops.stack.ha.roles import Roles, voters
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.state import read_json

from ..deployment import Deployment
from ..errors import BenchmarkError
from . import cut
from .kinds import Action, Kind, Role
from .topology import Redis, Victim, absent, database_faults, missing_workers, names_of, owner_of, pick, pid_of

#: seconds for one question to one server
PATIENCE = 1.0


class HighlyAvailable:
    """Three of each server, two or more of each process, HAProxy in front (`erip.ops.stack.ha`)."""

    def __init__(self, deployment: Deployment) -> None:
        assert deployment.state is not None
        assert deployment.database is not None
        self.state, self.database = deployment.state, deployment.database
        self.owner = owner_of(self.state)
        self._roles = Roles(self.state)
        self._ports: dict[str, int] = read_json(self.state.ports)
        self._secrets: dict[str, str] = read_json(self.state.secrets)

    def can(self, kind: Kind) -> bool:
        return kind.action is not Action.CUT or cut.possible()

    def find(self, role: Role, choice: float) -> Victim:
        name = self._name(role, choice)
        if name is None:
            raise BenchmarkError(f"Nobody is {role} now.")
        ports = tuple(self._ports[port] for port in (name, f"{name}-rest", f"{name}-peer") if port in self._ports)
        redis = None
        if name.startswith("redis-"):
            redis = Redis(LOOPBACK, self._ports[name], self._secrets["redis"], self._roles.broker_identity)
        return Victim(name, self._pids(role, name), ports, redis)

    def missing(self) -> list[str]:
        """The first kind of thing that is missing; the cheapest questions come first."""
        questions: tuple[Callable[[], list[str]], ...] = (
            lambda: absent(self.state),
            self._missing_web,
            self._missing_etcd,
            self._missing_redis,
            self._missing_postgres,
            lambda: database_faults(self.database),
            lambda: missing_workers(self.state, self.database),
        )
        return next((found for question in questions if (found := question())), [])

    def _name(self, role: Role, choice: float) -> str | None:
        match role:
            case Role.REDIS_MASTER:
                return self._roles.redis_master()
            case Role.REDIS_REPLICA:
                master = self._roles.redis_master()
                return pick([f"redis-{n}" for n in THREE if f"redis-{n}" != master], choice)
            case Role.SENTINEL:
                return pick([f"sentinel-{n}" for n in THREE], choice)
            case Role.POSTGRES_PRIMARY | Role.POSTGRES_PRIMARY_NODE:
                return self._roles.postgres_primary()
            case Role.POSTGRES_REPLICA:
                return pick(self._roles.postgres_replicas(), choice)
            case Role.ETCD_LEADER:
                return self._roles.etcd_leader()
            case Role.WEB:
                return pick(WEBS, choice)
            case Role.WORKER:
                return pick([name for name in names_of(self.state) if name.startswith("worker-")], choice)
            case Role.LEADER:
                leader = self._roles.leader()
                return leader if leader in LEADERS else None

    def _pids(self, role: Role, name: str) -> tuple[int, ...]:
        """The topmost processes of the victim. PostgreSQL is detached from Patroni's process tree; the node's guard is
        left out unless the whole node is meant."""
        top = pid_of(self.state, name)
        if not name.startswith("postgres-"):
            return (top,)
        postmaster = self._roles.postmaster(name)
        below = (postmaster,) if postmaster else ()
        if role is Role.POSTGRES_PRIMARY and _is_guard(top):
            patroni = [child.pid for child in psutil.Process(top).children()]
            return tuple(dict.fromkeys([*patroni, *below]))
        return (top, *below)

    # --- what is missing --------------------------------------------------------------------------------

    def _missing_web(self) -> list[str]:
        context = self._roles.web_context()
        return [name for name in WEBS if not services.answers(f"https://{LOOPBACK}:{self._ports[name]}", context)]

    def _missing_etcd(self) -> list[str]:
        found = []
        for n in THREE:
            client = Etcd([self._roles.etcd_socket(n)], timeout=PATIENCE)
            try:
                healthy = client.healthy()
            except EtcdError:
                healthy = False
            if not healthy:
                found.append(f"etcd-{n} in its cluster")
        return found

    def _missing_redis(self) -> list[str]:
        """Every Sentinel sees a healthy master, both replicas and both others; the master has both replicas online."""
        found, masters = [], set()
        for n in THREE:
            mine = self._roles.broker_identity
            state = master_state(self._ports[f"sentinel-{n}"], mine, self._secrets["sentinel"])
            masters.add(state.get("port"))
            if (state.get("flags"), state.get("num-slaves"), state.get("num-other-sentinels")) != ("master", "2", "2"):
                found.append(f"sentinel-{n}'s view of a whole Redis")
        if found or len(masters) != 1:
            return found or ["one Redis master for all Sentinels"]
        port, mine = int(masters.pop() or 0), self._roles.broker_identity
        info = ask(port, mine, self._secrets["redis"], "INFO", "replication") or ""
        online = sum(line.startswith("slave") and "state=online" in line for line in str(info).splitlines())
        return [] if online == 2 else ["a Redis replica"]

    def _missing_postgres(self) -> list[str]:
        members = self._roles.postgres_members()
        leaders = [one for one in members if one.get("role") == "leader" and one.get("state") == "running"]
        return ["a PostgreSQL primary"] * (1 - len(leaders)) + ["a PostgreSQL replica"] * (2 - len(voters(members)))


def _is_guard(pid: int) -> bool:
    with suppress(psutil.Error):
        return "erip.ops.guard" in psutil.Process(pid).cmdline()
    return False
