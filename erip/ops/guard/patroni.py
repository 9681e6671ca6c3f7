"""Patroni, with less patience for the dead, and without obedience to commands: `python -m erip.ops.guard.patroni
PATRONI.YML`.

Of the configuration in etcd it sees what `dynamic` lets through: Note [No commands from etcd] there. Where its REST API
has a certificate, it speaks TLS 1.3 alone, and a renewed one is used from the next connection on (SIGHUP); Patroni by
itself speaks 1.2, too, and leaves its port for a moment.

Note [The race's patience]. Anyone who stands for election first asks every member that Patroni knows how far it is, and
waits two seconds for the answers; that time is fixed in Patroni's code. A leader that is frozen or cut off does not
answer, so each such failover would take two seconds more. A member that does not answer within PATIENCE counts as it
would after those two seconds: as unknown. That makes no decision wrong: an unknown member gives no vote. The leader
that has just lost its key gets less time: its vote is not needed, and it is the dead one.
"""

import json
import logging
import ssl
import sys
from typing import Any

import patroni.postgresql  # noqa: F401  (before `ha`, which its own imports go round in a circle otherwise)
from patroni import ha
from patroni.__main__ import main
from patroni.api import RestApiServer
from patroni.dcs import ClusterConfig

from erip.ops.guard.dynamic import obeyed

log = logging.getLogger(__name__)

#: seconds; an answer takes a few milliseconds, and a few hundred on a busy machine
PATIENCE = 0.8
#: the same for the former leader
PATIENCE_FORMER = 0.2


def impatient(kind: type[ha.Ha]) -> None:
    """Have this class ask its members with PATIENCE."""
    ask = kind.fetch_node_status

    def fetch_node_status(self: ha.Ha, member: Any) -> Any:
        return ask(_Asker(self, PATIENCE_FORMER if member.name == former_leader(self) else PATIENCE), member)

    kind.fetch_node_status = fetch_node_status


def wary(kind: type[ClusterConfig]) -> None:
    """Make Patroni see only the obeyed part of the cluster's configuration, wherever it reads it."""
    read = kind.from_node
    named: set[str] = set()

    def from_node(version: Any, value: str, modify_version: Any = None) -> ClusterConfig:
        found = read(version, value, modify_version)
        kept, refused = obeyed(found.data)
        if new := set(refused) - named:
            named.update(new)
            log.warning("of the configuration in etcd this is not obeyed: %s", json.dumps(sorted(new)))
        return found._replace(data=kept)

    kind.from_node = staticmethod(from_node)


def strict(kind: type[RestApiServer]) -> None:
    """Make the REST API refuse what is older than TLS 1.3, and read a renewed certificate where it is."""
    own = "_RestApiServer__"  # how Python names what is private to the class
    begin, changed = getattr(kind, f"{own}initialize"), kind.reload_local_certificate

    def initialize(self: RestApiServer, listen: str, ssl_options: dict[str, Any]) -> None:
        begin(self, listen, ssl_options)
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.context.minimum_version = ssl.TLSVersion.TLSv1_3

    def reload_local_certificate(self: RestApiServer) -> bool | None:
        """Whether the port must be opened anew."""
        if not (changed(self) and isinstance(self.socket, ssl.SSLSocket)):
            return None
        files = getattr(self, f"{own}ssl_options")
        self.socket.context.load_cert_chain(files["certfile"], files.get("keyfile"))
        self._received_new_cert = False
        log.info("the REST API has a new certificate")
        return None

    setattr(kind, f"{own}initialize", initialize)
    kind.reload_local_certificate = reload_local_certificate


def former_leader(asking: ha.Ha) -> str | None:
    """The last leader, while there is none; None as long as there is one."""
    if not asking.cluster.is_unlocked():
        return None
    return asking.cluster.sync.leader or (asking.old_cluster.leader.name if asking.old_cluster.leader else None)


class _Asker:
    """What `Ha.fetch_node_status` uses of its Ha: `patroni.request`."""

    def __init__(self, asking: ha.Ha, patience: float) -> None:
        self.patroni = self
        self._request, self._patience = asking.patroni.request, patience

    def request(self, member: Any, **options: Any) -> Any:
        return self._request(member, **{**options, "timeout": self._patience})


if __name__ == "__main__":
    impatient(ha.Ha)
    wary(ClusterConfig)
    strict(RestApiServer)
    sys.exit(main())
