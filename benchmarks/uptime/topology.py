"""Which server has which role now: the servers themselves are asked, because no list is right after a failover."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import psycopg2

from erip.ops.deploy.identity import Identity as Certificates
from erip.ops.stack import services
from erip.ops.stack.ha.roles import LEADER_LOCK
from erip.ops.stack.processes import Identity
from erip.ops.stack.state import State, read_json

from ..deployment import Deployment
from ..errors import BenchmarkError
from .kinds import Kind, Role, on_single
from .processes import Owner

#: seconds that any question may take
PATIENCE = 2.0


@dataclass(frozen=True)
class Redis:
    """Where a Redis server listens."""

    host: str
    port: int
    password: str = field(repr=False, default="")
    #: with which it is spoken to over TLS; None: in the clear
    identity: Certificates | None = None


@dataclass(frozen=True)
class Victim:
    """The target of a fault."""

    #: for the report
    name: str
    #: processes to signal; what they started goes with them
    pids: tuple[int, ...]
    #: TCP ports on which they serve others
    ports: tuple[int, ...] = ()
    redis: Redis | None = None


class Topology(Protocol):
    """What the faults need to know of a deployment. Its methods block; none of them takes longer than a few seconds."""

    owner: Owner

    def can(self, kind: Kind) -> bool:
        """Whether there is a victim for it, and the rights to hit it."""
        ...

    def find(self, role: Role, choice: float) -> Victim:
        """The holder of the role now; `choice` (0 to 1) picks one of several. Raises BenchmarkError for nobody."""
        ...

    def missing(self) -> list[str]:
        """What is still missing before the next fault; empty: every node is in its place."""
        ...


class SingleNode:
    """The ordinary stack: one of each, restarted by the supervisor."""

    def __init__(self, deployment: Deployment) -> None:
        assert deployment.state is not None
        assert deployment.database is not None
        assert deployment.broker is not None
        self.state, self.database, self.broker = deployment.state, deployment.database, deployment.broker
        self.url = deployment.url
        self.owner = owner_of(self.state)

    def can(self, kind: Kind) -> bool:
        return on_single(kind)

    def find(self, role: Role, choice: float) -> Victim:
        if role is Role.REDIS_MASTER:
            parts = urlsplit(self.broker)
            address = Redis(parts.hostname or "", parts.port or 6379, unquote(parts.password or ""))
            return Victim("redis", (self._pid("redis"),), (address.port,), address)
        if role is Role.WORKER:
            name = pick([name for name in self._names() if name.startswith("worker-")], choice)
            return Victim(name, (self._pid(name),))
        names = {Role.POSTGRES_PRIMARY: "postgres", Role.WEB: "web", Role.LEADER: "leader"}
        if role not in names:
            raise BenchmarkError(f"The ordinary stack has no {role}.")
        return Victim(names[role], (self._pid(names[role]),))

    def missing(self) -> list[str]:
        return (
            absent(self.state)
            or ([] if services.answers(self.url) else ["web"])
            or database_faults(self.database)
            or missing_workers(self.state, self.database)
        )

    def _names(self) -> list[str]:
        return names_of(self.state)

    def _pid(self, name: str) -> int:
        return pid_of(self.state, name)


def owner_of(state: State) -> Owner:
    """The stack under this state directory."""
    known = read_json(state.supervisor)
    home = state.root / "home"
    folders = (state.root, *([Path(home.read_text().strip())] if home.is_file() else []))
    return Owner(int(known["pid"]), str(known["id"]), folders)


def names_of(state: State) -> list[str]:
    """The processes that the supervisor runs or should run."""
    return [str(one["name"]) for one in _processes(state)]


def pid_of(state: State, name: str) -> int:
    """The process that the supervisor runs under this name. Raises BenchmarkError while there is none."""
    pid = next((one["pid"] for one in _processes(state) if one["name"] == name), None)
    if not pid:
        raise BenchmarkError(f"{name} does not run.")
    return int(pid)


def _processes(state: State) -> list[dict[str, Any]]:
    return list(read_json(state.supervisor).get("processes", []))


def absent(state: State) -> list[str]:
    """The processes that do not run, as seen now and not when the supervisor last looked."""
    return [
        str(one["name"])
        for one in _processes(state)
        if not one["pid"] or not Identity(int(one["pid"]), float(one["started"])).alive
    ]


def pick(names: Sequence[str], choice: float) -> str:
    """One of the names; choice: 0 to 1."""
    if not names:
        raise BenchmarkError("There is nobody to choose from.")
    return sorted(names)[min(len(names) - 1, int(choice * len(names)))]


def database_faults(url: str) -> list[str]:
    """What stops the work: no database, no living worker, no leader."""
    try:
        with closing(psycopg2.connect(url, connect_timeout=2, application_name="erip-benchmarks")) as connection:
            connection.autocommit = True
            with closing(connection.cursor()) as cursor:
                cursor.execute(
                    "SELECT (SELECT count(*) FROM workflows_worker WHERE stopped_at IS NULL"
                    " AND heartbeat_at > now() - interval '2 s'),"
                    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                    " AND classid = 0 AND objid = %s)",
                    [LEADER_LOCK],
                )
                workers, leaders = cursor.fetchone() or (0, 0)
    except psycopg2.Error as error:
        return [f"the database ({str(error).strip().splitlines()[0]})"]
    return [*([] if workers else ["a worker"]), *([] if leaders else ["a leader"])]


def missing_workers(state: State, database: str) -> list[str]:
    """Whether every worker that runs has registered: until then it is only loading."""
    pids = {pid_of(state, name) for name in names_of(state) if name.startswith("worker-")}
    return [] if services.workers_registered(database, pids) else ["a worker"]
