"""What Patroni keeps in etcd, as it was at one moment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from erip.ops.guard.configuration import Address
from erip.ops.guard.etcd import Entry


@dataclass(frozen=True)
class Member:
    """Where one node listens."""

    rest: Address
    postgres: Address


@dataclass(frozen=True)
class Cluster:
    """`leader` and `sync` are entries, so that an action based on them can be made conditional on them."""

    leader: Entry | None
    sync: Entry | None
    #: the standbys, one of which (ANY 1) must confirm each commit
    voters: frozenset[str] = frozenset()
    members: Mapping[str, Member] = field(default_factory=dict)
    paused: bool = False

    def led_by(self, name: str) -> bool:
        return self.leader is not None and self.leader.value == name


def read(prefix: str, entries: Mapping[str, Entry]) -> Cluster:
    """Made from all keys under `prefix`. A value that cannot be understood counts as absent, so it decides nothing."""
    leader, sync = entries.get(f"{prefix}leader"), entries.get(f"{prefix}sync")
    config = entries.get(f"{prefix}config")
    state = _object(sync)
    # When it was written for an earlier leader, it says nothing about the commits of this one.
    standing = leader is not None and state.get("leader") == leader.value
    names = str(state.get("sync_standby") or "").split(",") if standing else []
    return Cluster(
        leader=leader,
        sync=sync,
        voters=frozenset(name.strip() for name in names if name.strip()),
        members={
            key.removeprefix(f"{prefix}members/"): member
            for key, entry in entries.items()
            if key.startswith(f"{prefix}members/") and (member := _member(_object(entry)))
        },
        paused=bool(_object(config).get("pause")),
    )


def _member(found: Mapping[str, Any]) -> Member | None:
    try:
        rest, postgres = urlsplit(str(found["api_url"])), urlsplit(str(found["conn_url"]))
        if rest.hostname and rest.port and postgres.hostname and postgres.port:
            return Member((rest.hostname, rest.port), (postgres.hostname, postgres.port))
    except (KeyError, ValueError):
        pass
    return None


def _object(entry: Entry | None) -> Mapping[str, Any]:
    try:
        value = json.loads(entry.value) if entry else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
