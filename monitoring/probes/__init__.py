"""What asks a server how it is. A probe is called in a thread of its own and bounds its own time.

A probe is a callable that returns a `Finding`, or raises: then the component is down, as far as this process can see.
`probes()` lists those that this deployment has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitoring.conf import Conf
from monitoring.core.components import Member, State

#: seconds that one question may take
PATIENCE = 2.0


class Unanswered(Exception):
    """The thing asked gave no usable answer; the message is for a person and holds no secret.

    members, about: as in `Finding`.
    """

    def __init__(self, text: str, members: tuple[Member, ...] = (), about: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.members, self.about = members, about


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found. See `monitoring.core.components.Observation`."""

    state: State
    sentence: str
    identity: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    members: tuple[Member, ...] = ()
    about: tuple[str, ...] = ()
    identity_of: str = ""


Ask = Callable[[], Finding]


def probes(conf: Conf) -> dict[str, Ask]:
    """Component → the probe that looks at it, for what this deployment has."""
    from monitoring.probes import certificates, disk, etcd, haproxy, patroni, postgres, redis

    found: dict[str, Ask] = {"postgresql": postgres.Postgres(), "redis": redis.Broker(conf)}
    if conf.broker.startswith("sentinel"):
        found["sentinel"] = redis.Sentinels(conf)
    if conf.etcd:
        found["etcd"] = etcd.Etcd(conf)
    if conf.patroni:
        found["patroni"] = patroni.Patroni(conf)
    if conf.haproxy:
        found["haproxy"] = haproxy.HaProxy(conf.haproxy)
    found["disk"] = disk.Disk(conf.disk)
    if conf.certificates:
        found["certificates"] = certificates.Certificates(conf.certificates)
    return found
