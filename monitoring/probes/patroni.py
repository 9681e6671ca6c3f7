"""Patroni's own view of the cluster: who leads, and whether somebody could take over."""

from collections.abc import Mapping
from typing import Any

from monitoring.conf import Conf
from monitoring.core.components import State
from monitoring.core.series import series
from monitoring.probes import Finding, Unanswered
from monitoring.probes.web import get

#: bytes that a replica may be behind
_LAGS = 16 * 1024 * 1024
_RUNS = ("running", "streaming")


class Patroni:
    """Asks the members one after the other until one answers."""

    def __init__(self, conf: Conf) -> None:
        self._conf = conf

    def __call__(self) -> Finding:
        silent = []
        for url in self._conf.patroni:
            try:
                status, said = get(url, "/cluster", self._conf)
            except Unanswered as error:
                silent.append(str(error))
                continue
            if status == 200 and isinstance(said, dict) and isinstance(said.get("members"), list):
                return judge(said)
            silent.append(f"{url} answers {status}")
        raise Unanswered(f"Patroni does not answer: {'; '.join(silent)}")


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
