"""Three etcd, with a password: who may write here decides who leads PostgreSQL."""

from dataclasses import dataclass, field

from erip.ops.deploy.nodes import EtcdNode, EtcdPeer
from erip.ops.guard.etcd import Etcd as Client
from erip.ops.guard.etcd import EtcdError
from erip.ops.stack.ha.node import Node


@dataclass
class Etcd(Node):
    """One etcd of `peers`. Any of them, once a majority answers, sees to it that logging in is required."""

    me: EtcdPeer
    peers: tuple[EtcdPeer, ...]
    token: str
    password: str = field(repr=False)

    file = "etcd.yml"
    # A leader that ends hands over first, and there may be nobody left to take it. What it has is on disk.
    stop_patience = 1.5

    @property
    def command(self) -> list[str]:
        return [str(self.binary.path), "--config-file", str(self.configuration)]

    def render(self) -> str:
        return EtcdNode(self.me, self.peers, self.data, self.token).render()

    def ready(self) -> bool:
        client = Client([(self.me.host, self.me.client_port)], "root", self.password, timeout=1.0)
        try:
            return client.healthy() and client.require_login()
        except EtcdError:
            return False
