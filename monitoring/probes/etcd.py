"""etcd's members. Most of them must be healthy, or Patroni cannot agree on a leader."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from monitoring.conf import Conf
from monitoring.core.components import Member, State
from monitoring.probes import Finding, Unanswered
from monitoring.probes.web import get, text

#: what of its metrics says that a member is another one than before, and whether it leads. Doors of older releases let
#: nobody see it, and then it is not known
_STARTED = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)
_LEADS = re.compile(r"^etcd_server_is_leader (\S+)$", re.MULTILINE)


class Etcd:
    def __init__(self, conf: Conf) -> None:
        self._conf = conf

    def __call__(self) -> Finding:
        healthy = 0
        ill: list[str] = []
        members: list[Member] = []
        for url in self._conf.etcd:
            try:
                status, said = get(url, "/health", self._conf)
            except Unanswered as error:
                ill.append(str(error))
                members.append(Member("etcd", _name(url), State.DOWN, f"{_name(url)} does not answer: {error}."))
                continue
            members.append(self._member(url))
            if status == 200 and isinstance(said, dict) and str(said.get("health")).lower() == "true":
                healthy += 1
            else:
                ill.append(f"{url} is not healthy (status {status})")
        if not healthy:
            raise Unanswered(f"no member of etcd is healthy: {'; '.join(ill)}", tuple(members))
        return replace(_judge(healthy, len(self._conf.etcd), ill), members=tuple(members))

    def _member(self, url: str) -> Member:
        """A member that answers: whether a majority can write is another question, which all of them answer alike."""
        try:
            said = text(url, "/metrics", self._conf)
        except Unanswered:
            said = ""
        started, leads = _STARTED.search(said), _LEADS.search(said)
        role = "" if leads is None else "leader" if leads[1] == "1" else "follower"
        return Member(
            "etcd", _name(url), State.OK, "", started[1] if started is not None else "", role, role == "leader"
        )


def _name(url: str) -> str:
    split = urlsplit(url)
    return f"etcd at {split.hostname}:{split.port}"


def _judge(healthy: int, members: int, ill: list[str]) -> Finding:
    measures = {"erip_etcd_healthy_members": float(healthy)}
    if healthy * 2 <= members:
        sentence = f"Only {healthy} of {members} members of etcd are healthy, which is no majority: {'; '.join(ill)}."
        return Finding(State.DOWN, sentence, "", measures)
    if ill:
        return Finding(
            State.DEGRADED, f"{healthy} of {members} members of etcd are healthy: {'; '.join(ill)}.", "", measures
        )
    return Finding(State.OK, f"All {members} members of etcd are healthy.", "", measures)
