"""Three PostgreSQL under Patroni, each with its node guard."""

import signal
import sys
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass

import psycopg2

from erip.ops.deploy.circles import Circles
from erip.ops.deploy.nodes import EtcdPeer, PatroniNode, PatroniSecrets, PostgresPeer, identity
from erip.ops.stack.ha.node import Node
from erip.ops.stack.ha.tls import Reached
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
    reached: Reached

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
            identity(self.tls / "postgres", self.me.name),
            shared_buffers="64MB",
            wal_keep_size="128MB",
            max_wal_size="512MB",
        ).render()

    def certify(self) -> bool:
        of_postgres = self.circles.of_postgres(self.tls / "postgres", self.me).fresh
        return self.circles.of_database(self.tls, self.me).fresh or of_postgres

    def renew(self) -> bool:
        """PostgreSQL reads its certificate again when it is asked to; Patroni and the guard do at each connection."""
        fresh = super().renew()
        if fresh:
            self._reload()
        return fresh

    def _reload(self) -> None:
        try:
            opened = self.reached.connect(self.me.port, self.secrets.superuser, "postgres")
            with closing(opened), opened.cursor() as cursor:
                cursor.execute("SELECT pg_reload_conf()")
        except psycopg2.Error as error:
            print(f"{self.name} has not read its new certificate: {str(error).strip()}", flush=True)

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
