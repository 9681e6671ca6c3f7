"""Three etcd. A client that may write to them decides who leads PostgreSQL. Each listens on a Unix socket, and has a
door (HAProxy, which asks for a certificate) and a keeper (logins, room).
"""

import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from erip.ops.deploy.circles import Circles
from erip.ops.deploy.identity import identity
from erip.ops.deploy.nodes import SOCKET, EtcdDoor, EtcdKeeper, EtcdNode, EtcdPeer
from erip.ops.guard.etcd import Etcd as Client
from erip.ops.guard.etcd import EtcdError, Tls
from erip.ops.guard.keeper import Configuration, require_login
from erip.ops.stack.errors import StackError
from erip.ops.stack.ha.node import Node
from erip.ops.stack.state import ROOT

#: the kernel's limit for the path of a Unix socket
SOCKET_LENGTH = 107


@dataclass
class Etcd(Node):
    """One etcd of `peers`. Once a majority answers, any of them makes sure that a login is required."""

    me: EtcdPeer
    peers: tuple[EtcdPeer, ...]
    token: str
    scope: str
    root_password: str = field(repr=False)
    patroni_password: str = field(repr=False)
    circles: Circles
    quota_bytes: int

    file = "etcd.yml"
    # A leader that ends hands over first, and there may be no member left to take over. Its data is on disk.
    stop_patience = 1.5

    @property
    def command(self) -> list[str]:
        return [str(self.binary.path), "--config-file", str(self.configuration)]

    @property
    def cwd(self) -> Path:
        return self.folder

    @property
    def socket(self) -> Path:
        return socket_of(self.folder)

    def render(self) -> str:
        mine = identity(self.tls, self.me.name)
        return EtcdNode(self.me, self.peers, self.data, self.token, mine, quota_bytes=self.quota_bytes).render()

    def certify(self) -> bool:
        return self.circles.of_peer(self.tls, self.me).fresh

    def prepare(self) -> None:
        if (self.data / "member").exists() and not self.tls.exists():
            raise StackError(
                f"The etcd under {self.data} was made before its members had certificates: start afresh with another "
                "ERIP_STATE_DIR."
            )
        # One that was killed leaves its socket behind, and etcd does not take it over.
        self.socket.unlink(missing_ok=True)
        super().prepare()

    def ready(self) -> bool:
        known = Configuration(self.socket, self.scope, self.quota_bytes, self.root_password, self.patroni_password)
        client = known.client()
        try:
            return client.healthy() and require_login(known, client)
        except EtcdError:
            return False


@dataclass
class Door(Node):
    """The HAProxy in front of one etcd. `holders` are the names in the certificates that it accepts."""

    me: EtcdPeer
    socket: Path
    holders: tuple[str, ...]
    circles: Circles

    file = "door.cfg"
    # A new HAProxy worker reads the certificates again, while the old one finishes its connections.
    reload_signal = signal.SIGUSR2

    @property
    def command(self) -> list[str]:
        return [str(self.binary.path), "-W", "-db", "-f", str(self.configuration)]

    def render(self) -> str:
        return EtcdDoor(self.me, self.socket, self.holders, identity(self.tls, self.me.name)).render()

    def certify(self) -> bool:
        # PULSE's own lies beside the door's, and is renewed with it. It is read anew at each look.
        self.circles.of_watcher(self.tls)
        return self.circles.of_door(self.tls, self.me).fresh

    def ready(self) -> bool:
        """Whether it asks for a certificate: only a TLS server objects to a missing one."""
        probe = Client([(self.me.host, self.me.client_port)], tls=Tls(self.tls / "ca.crt", *self._files), timeout=1.0)
        try:
            probe.healthy()
        except EtcdError as error:
            return "alert" in str(error)
        return False

    @property
    def _files(self) -> tuple[Path, Path]:
        # Its own certificate is not a client's, so it answers with a TLS alert, which is an answer.
        return (self.tls / f"{self.me.name}.pem",) * 2


@dataclass
class Keeper(Node):
    """The keeper of one etcd."""

    socket: Path
    scope: str
    root_password: str = field(repr=False)
    patroni_password: str = field(repr=False)
    quota_bytes: int

    file = "keeper.toml"

    @property
    def title(self) -> str:
        return "etcd's keeper"

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "erip.ops.guard.keeper", str(self.configuration)]

    def render(self) -> str:
        return EtcdKeeper(
            self.socket, self.scope, self.root_password, self.patroni_password, quota_bytes=self.quota_bytes
        ).render()

    def ready(self) -> bool:
        return True


def socket_of(folder: Path) -> Path:
    """The socket of the etcd whose folder this is. Raises StackError when the kernel would not take it."""
    path = folder / SOCKET
    if len(str(path)) > SOCKET_LENGTH:
        raise StackError(f"{path} is too long for a Unix socket: set ERIP_STATE_DIR to a shorter path.")
    return path
