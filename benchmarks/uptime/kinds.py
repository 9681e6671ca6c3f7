"""The kinds of faults: which role is hit, how, and for how long."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The role that a fault hits; its holder is looked up when the fault is due."""

    REDIS_MASTER = "Redis master"
    REDIS_REPLICA = "Redis replica"
    SENTINEL = "Sentinel"
    #: postmaster, backends and their Patroni; its node guard lives
    POSTGRES_PRIMARY = "PostgreSQL primary"
    #: the same with the node guard: nothing of the node is left
    POSTGRES_PRIMARY_NODE = "PostgreSQL primary's whole node"
    POSTGRES_REPLICA = "PostgreSQL replica"
    ETCD_LEADER = "etcd leader"
    WEB = "web service"
    WORKER = "worker"
    LEADER = "active leader"


class Action(StrEnum):
    """What is done to it."""

    #: SIGKILL to the process and all that it started
    KILL = "killed"
    #: SIGSTOP to all of them, SIGCONT after the hold
    FREEZE = "frozen"
    #: CONFIG SET maxmemory 1: every write is refused until the hold is over
    FILL = "full"
    #: FLUSHALL
    FLUSH = "flushed"
    #: its packets are dropped until the hold is over
    CUT = "cut off the network"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    role: Role
    action: Action
    #: seconds until it is healed; 0: at once, or when the killed process is restarted
    hold: float = 0.0

    @property
    def title(self) -> str:
        return f"{self.role} {self.action}" + (f" for {self.hold:.0f} s" if self.hold else "")


#: the roles that the ordinary stack has, with one server of each kind
SINGLE = frozenset({Role.REDIS_MASTER, Role.POSTGRES_PRIMARY, Role.WEB, Role.WORKER, Role.LEADER})

#: seconds that a server stays frozen, full or cut off: longer than any failover may take
HOLD = 8.0

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("redis-kill", Role.REDIS_MASTER, Action.KILL),
        Kind("redis-freeze", Role.REDIS_MASTER, Action.FREEZE, HOLD),
        Kind("redis-full", Role.REDIS_MASTER, Action.FILL, HOLD),
        Kind("redis-flushall", Role.REDIS_MASTER, Action.FLUSH),
        Kind("redis-cut", Role.REDIS_MASTER, Action.CUT, HOLD),
        Kind("redis-replica-kill", Role.REDIS_REPLICA, Action.KILL),
        Kind("sentinel-kill", Role.SENTINEL, Action.KILL),
        Kind("postgres-kill", Role.POSTGRES_PRIMARY, Action.KILL),
        Kind("postgres-node-kill", Role.POSTGRES_PRIMARY_NODE, Action.KILL),
        Kind("postgres-freeze", Role.POSTGRES_PRIMARY, Action.FREEZE, HOLD),
        Kind("postgres-node-freeze", Role.POSTGRES_PRIMARY_NODE, Action.FREEZE, HOLD),
        Kind("postgres-cut", Role.POSTGRES_PRIMARY_NODE, Action.CUT, HOLD),
        Kind("postgres-replica-kill", Role.POSTGRES_REPLICA, Action.KILL),
        Kind("etcd-kill", Role.ETCD_LEADER, Action.KILL),
        Kind("web-kill", Role.WEB, Action.KILL),
        Kind("web-freeze", Role.WEB, Action.FREEZE, HOLD),
        Kind("worker-kill", Role.WORKER, Action.KILL),
        Kind("worker-freeze", Role.WORKER, Action.FREEZE, HOLD),
        Kind("leader-kill", Role.LEADER, Action.KILL),
        Kind("leader-freeze", Role.LEADER, Action.FREEZE, HOLD),
    )
}


def on_single(kind: Kind) -> bool:
    """Whether the ordinary stack has a victim for it."""
    return kind.role in SINGLE and kind.action is not Action.CUT
