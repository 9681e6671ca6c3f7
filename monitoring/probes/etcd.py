"""etcd's members. Most of them must be healthy, or Patroni cannot agree on a leader."""

from monitoring.conf import Conf
from monitoring.core.components import State
from monitoring.probes import Finding, Unanswered
from monitoring.probes.web import get


class Etcd:
    def __init__(self, conf: Conf) -> None:
        self._conf = conf

    def __call__(self) -> Finding:
        healthy, ill = 0, []
        for url in self._conf.etcd:
            try:
                status, said = get(url, "/health", self._conf)
            except Unanswered as error:
                ill.append(str(error))
                continue
            if status == 200 and isinstance(said, dict) and str(said.get("health")).lower() == "true":
                healthy += 1
            else:
                ill.append(f"{url} is not healthy (status {status})")
        return _judge(healthy, len(self._conf.etcd), ill)


def _judge(healthy: int, members: int, ill: list[str]) -> Finding:
    measures = {"erip_etcd_healthy_members": float(healthy)}
    if not healthy:
        raise Unanswered(f"no member of etcd is healthy: {'; '.join(ill)}")
    if healthy * 2 <= members:
        sentence = f"Only {healthy} of {members} members of etcd are healthy, which is no majority: {'; '.join(ill)}."
        return Finding(State.DOWN, sentence, "", measures)
    if ill:
        return Finding(
            State.DEGRADED, f"{healthy} of {members} members of etcd are healthy: {'; '.join(ill)}.", "", measures
        )
    return Finding(State.OK, f"All {members} members of etcd are healthy.", "", measures)
