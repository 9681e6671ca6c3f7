"""Three PostgreSQL under Patroni, each with its node guard."""

import http.client
import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import psycopg2

from erip.foundation.process.trust import context_of
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.identity import Identity, identity
from erip.ops.deploy.nodes import Archive, EtcdPeer, PatroniNode, PatroniSecrets, PostgresPeer
from erip.ops.stack.ha.backup import Backups
from erip.ops.stack.ha.node import Node
from erip.ops.stack.ha.tls import Reached
from erip.ops.stack.ports import LOOPBACK
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
    #: None: nothing is archived
    backups: Backups | None = None

    file = "patroni.yml"
    stop_signal = signal.SIGTERM
    # The guard passes it on to Patroni.
    reload_signal = signal.SIGHUP
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
            identity(self.tls / "rest", self.me.name),
            shared_buffers="64MB",
            wal_keep_size="128MB",
            max_wal_size="512MB",
            archive=(Archive(self.backups.program, self.backups.configuration(self.folder)) if self.backups else None),
        ).render()

    def certify(self) -> bool:
        made = (
            self.circles.of_postgres(self.tls / "postgres", self.me),
            self.circles.of_patroni(self.tls / "rest", self.me),
            self.circles.of_database(self.tls, self.me),
        )
        return any(one.fresh for one in made)

    def renew(self) -> bool:
        """PostgreSQL and Patroni's REST API read theirs again when they are asked to; their clients do at each
        connection."""
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
        if self.backups:
            self.backups.prepare(self.folder, self.data, self.me.port, self.secrets.superuser, self.reached)

    def ready(self) -> bool:
        """Whether it leads, or follows its leader by streaming."""
        return self._says("/primary") or self._says("/replica")

    def _says(self, path: str) -> bool:
        try:
            return asked(self.me.rest_port, identity(self.tls / "rest", self.me.name), path)[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def asked(
    port: int, mine: Identity, path: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """What a Patroni of this machine answers: status and content. Raises OSError, HTTPException.

    body: sent by POST; None: GET.
    """
    context = context_of(str(mine.ca), str(mine.certificate))
    patience = 1.0 if body is None else 30.0
    with closing(http.client.HTTPSConnection(LOOPBACK, port, timeout=patience, context=context)) as connection:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
