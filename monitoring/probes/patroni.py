"""Patroni's own view of the cluster: who leads, and whether somebody could take over."""

import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from monitoring.conf import Conf
from monitoring.core.components import Member, State
from monitoring.core.series import series
from monitoring.probes import Finding, Unanswered
from monitoring.probes.web import get

#: bytes that a replica may be behind
_LAGS = 16 * 1024 * 1024
_RUNS = ("running", "streaming")


#: PostgreSQL's SSLRequest: it is answered by one byte before any login, and leaves no line in its log
_SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))
#: seconds for a PostgreSQL whose Patroni does not answer
_KNOCK_WITHIN = 0.5
#: seconds for which Patroni alone must not answer until the trouble is its own
_ALONE_FOR = 10.0


class Patroni:
    """Asks every node how its PostgreSQL is, and one of them for the whole cluster."""

    def __init__(self, conf: Conf) -> None:
        self._conf = replace(conf, ca=conf.patroni_ca, certificate=conf.patroni_certificate)
        #: URL → name of the node; name → where its PostgreSQL listens
        self._names: dict[str, str] = {}
        self._places: dict[str, tuple[str, int]] = {}
        #: nodes of which nothing answered. That one of two is back first, when a node thaws, says nothing of the other
        self._dark: set[str] = set()
        #: URL → since when Patroni alone has not answered
        self._quiet: dict[str, float] = {}

    def __call__(self) -> Finding:
        silent: list[str] = []
        members: list[Member] = []
        cluster: Mapping[str, Any] | None = None
        for url in self._conf.patroni:
            try:
                said = get(url, "/patroni", self._conf)[1]
                if cluster is None:
                    cluster = self._cluster(url)
            except Unanswered as error:
                silent.append(str(error))
                members += self._unheard(url, str(error))
                continue
            members += self._heard(url, said)
        if cluster is None:
            raise Unanswered(f"Patroni does not answer: {'; '.join(silent)}", tuple(members), _whose(members))
        found = judge(cluster)
        # Patroni that has nobody to lead works: the trouble is PostgreSQL's.
        about = () if found.state is State.OK or cluster.get("pause") else ("postgresql",)
        return replace(found, members=tuple(members), about=about, identity_of="postgresql")

    def _cluster(self, url: str) -> Mapping[str, Any]:
        status, said = get(url, "/cluster", self._conf)
        if status != 200 or not isinstance(said, dict) or not isinstance(said.get("members"), list):
            raise Unanswered(f"{url} answers {status}")
        for one in said["members"]:
            if isinstance(one, Mapping) and isinstance(one.get("host"), str) and isinstance(one.get("port"), int):
                self._places[str(one.get("name"))] = (one["host"], one["port"])
        return said

    def _heard(self, url: str, said: Any) -> list[Member]:
        """What a node's Patroni says of itself and of its PostgreSQL."""
        known = said if isinstance(said, Mapping) else {}
        own = known.get("patroni")
        name = str(own.get("name")) if isinstance(own, Mapping) and own.get("name") else _host(url)
        self._names[url] = name
        self._dark.discard(url)
        self._quiet.pop(url, None)
        state, began, role = (str(known.get(key) or "") for key in ("state", "postmaster_start_time", "role"))
        runs = state in _RUNS
        return [
            Member("patroni", f"Patroni of {name}", State.OK),
            Member(
                "postgresql", name, State.OK if runs else State.DOWN,
                "" if runs else f"Its Patroni says that PostgreSQL on {name} is {state or 'not running'}.",
                began, role, role in ("primary", "master"),
            ),
        ]  # fmt: skip

    def _unheard(self, url: str, why: str) -> list[Member]:
        """A node whose Patroni does not answer. If its PostgreSQL does not either, it is the node's trouble."""
        name = self._names.get(url, _host(url))
        place = self._places.get(name)
        if url in self._dark or (place is not None and not knocks(place)):
            self._dark.add(url)
            sentence = f"PostgreSQL on {name} does not answer, nor does its Patroni ({why})."
            return [Member("postgresql", name, State.DOWN, sentence)]
        # Of a node that was killed and started again, PostgreSQL answers first. So it is too early to say that it is
        # Patroni's trouble alone.
        alone = time.monotonic() - self._quiet.setdefault(url, time.monotonic())
        state = State.DOWN if alone >= _ALONE_FOR else State.UNKNOWN
        sentence = f"Patroni of {name} does not answer, but its PostgreSQL does ({why})."
        return [Member("patroni", f"Patroni of {name}", state, sentence if place else f"{why}.")]


def _whose(members: list[Member]) -> tuple[str, ...]:
    """Whose trouble it is that no Patroni answers: PostgreSQL's, where that is away on every node as well."""
    away = all(one.component == "postgresql" for one in members)
    return ("postgresql",) if members and away else ()


def _host(url: str) -> str:
    split = urlsplit(url)
    return f"{split.hostname}:{split.port}"


def knocks(place: tuple[str, int]) -> bool:
    """Whether a PostgreSQL answers there. It needs no login."""
    try:
        with socket.create_connection(place, _KNOCK_WITHIN) as link:
            link.sendall(_SSL_REQUEST)
            return link.recv(1) in (b"S", b"N")
    except OSError:
        return False


def judge(cluster: Mapping[str, Any]) -> Finding:
    """What to say of Patroni's `GET /cluster`. What is not as documented there counts as unknown, not as well."""
    members = [one for one in cluster["members"] if isinstance(one, Mapping)]
    leaders = [one for one in members if one.get("role") in ("leader", "master") and one.get("state") in _RUNS]
    replicas = [one for one in members if one.get("role") not in ("leader", "master", "standby_leader")]
    ready = [one for one in replicas if one.get("state") in _RUNS and _lag(one) is not None]
    lags = {str(one.get("name")): _lag(one) for one in ready}
    measures = {
        "erip_patroni_members": float(len(members)),
        "erip_patroni_replicas_ready": float(len(ready)),
        **{str(series("erip_patroni_lag_bytes", member=name)): float(lag or 0) for name, lag in lags.items()},
    }
    if not leaders:
        return Finding(
            State.DOWN, "No member of the cluster leads: a failover is under way, or nobody can lead.", "", measures
        )
    leader = leaders[0]
    identity = f"{leader.get('name')} in timeline {leader.get('timeline')}"
    if cluster.get("pause"):
        return Finding(
            State.DEGRADED, "Patroni is paused: nobody takes over from a primary that fails.", identity, measures
        )
    behind = [name for name, lag in lags.items() if lag is not None and lag > _LAGS]
    if len(ready) < len(replicas) or behind or not replicas:
        sentence = (
            f"{leader.get('name')} leads, and {len(ready) - len(behind)} of {len(replicas)} replicas could take over."
        )
        return Finding(State.DEGRADED, sentence, identity, measures)
    return Finding(
        State.OK, f"{leader.get('name')} leads, and {len(ready)} replicas could take over.", identity, measures
    )


def _lag(member: Mapping[str, Any]) -> int | None:
    """Bytes; None if Patroni does not know."""
    lag = member.get("lag")
    return lag if isinstance(lag, int) and not isinstance(lag, bool) else None
