"""Three PostgreSQL under Patroni, each with its node guard."""

import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass

from erip.ops.deploy.circles import Circles
from erip.ops.deploy.nodes import EtcdPeer, PatroniNode, PatroniSecrets, PostgresPeer, identity
from erip.ops.stack.ha.node import Node
from erip.ops.stack.state import ROOT, check_room

#: Patroni's name of the cluster
SCOPE = "erip"


@dataclass
class Patroni(Node):
    """One node: guard, Patroni, PostgreSQL."""

    me: PostgresPeer
    etcd: tuple[EtcdPeer, ...]
    secrets: PatroniSecrets
    circles: Circles

    file = "patroni.yml"
    stop_signal = signal.SIGTERM
    stop_patience = 20.0

    @property
    def env(self) -> dict[str, str]:
        # Patroni is a module of this Python and the guard one of this checkout; neither is looked for elsewhere.
        return {**super().env, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "erip.ops.guard", str(self.configuration)]

    def render(self) -> str:
        return PatroniNode(
            self.me,
            self.etcd,
            SCOPE,
            self.data,
            self.folder / "pgpass",
            self.binary.path.parent,
            self.secrets,
            identity(self.tls, self.me.name),
            shared_buffers="64MB",
            wal_keep_size="128MB",
            max_wal_size="512MB",
        ).render()

    def certify(self) -> bool:
        return self.circles.of_database(self.tls, self.me).fresh

    def prepare(self) -> None:
        check_room(self.folder.parent if self.folder.parent.exists() else self.log.parent)
        super().prepare()

    def ready(self) -> bool:
        """Whether it leads, or follows its leader by streaming."""
        return self._says("/primary") or self._says("/replica")

    def _says(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.me.host}:{self.me.rest_port}{path}", timeout=1) as answer:  # nosec B310 (ours)
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False
