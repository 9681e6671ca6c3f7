"""One HAProxy, in front of the web processes and PostgreSQL."""

import os
import resource
import signal
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import psycopg2

from erip.foundation.os_errors import in_words
from erip.ops.deploy.balancer import Balancer
from erip.ops.deploy.circles import BALANCER, WEBS, Circles
from erip.ops.deploy.identity import Identity, identity
from erip.ops.deploy.nodes import Address
from erip.ops.stack.ha.node import Node
from erip.ops.stack.ha.tls import Reached
from erip.ops.stack.logins import APP, DATABASE, Logins, make_roles
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.postgres import make_role

ROLE = APP
#: ERIP_LB_CERTIFICATE for a certificate that the stack makes, as it does if nothing is said
OWN = "own"
#: bytes of a stats socket's path, to which HAProxy adds the number of its process while it starts
MOST_OF_STATS = 85
# Acknowledged writes survive a failover only from the moment that both replicas are candidates for the quorum.
_VOTERS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'"


@dataclass
class HaProxy(Node):
    """`port` is the web port."""

    balancer: Balancer
    superuser_password: str = field(repr=False)
    password: str = field(repr=False)
    circles: Circles
    #: the passwords of several roles; None: one role owns everything
    logins: Logins | None = field(default=None, repr=False)
    #: Celery's monitor, which the web processes show to people; None: it does not run
    flower: Address | None = None

    file = "haproxy.cfg"
    # Only where it has no socket for commands: it is started again, and all connections are cut.
    reload_signal = signal.SIGTERM

    @property
    def command(self) -> list[str]:
        return [str(self.binary.path), "-db", "-f", str(self.configuration)]

    @property
    def database(self) -> str:
        """What goes into DATABASE_URL: the primary, no matter who that is."""
        return self._url(self.balancer.rw_port)

    @property
    def owner(self) -> str:
        """What goes into DATABASE_OWNER_URL; "" where there is one role."""
        return f"{self.logins.owner_url(self.balancer.rw_port)}?{self.reached.query}" if self.logins else ""

    @property
    def reached(self) -> Reached:
        """The platform's way to PostgreSQL. Its certificate lies here, as the platform comes through here."""
        return Reached(self.tls)

    @property
    def to_patroni(self) -> Identity:
        """The files with which it asks Patroni who leads. PULSE's lie beside them."""
        return identity(self.tls / "patroni", BALANCER)

    @property
    def to_web(self) -> Identity:
        """The same for the web processes, whose own lie beside it."""
        return identity(self.tls / "web", BALANCER)

    @property
    def front(self) -> Identity:
        """What it shows to users, where it is ours (OWN)."""
        return identity(self.tls / "front", BALANCER)

    @property
    def webs_to_flower(self) -> Identity:
        """The files with which the web processes ask Celery's monitor, whose own lie beside them."""
        return identity(self.tls / "flower", WEBS)

    @property
    def of_flower(self) -> Identity | None:
        """The files of Celery's monitor, where it runs."""
        return identity(self.tls / "flower", self.flower.name) if self.flower else None

    def of_web(self, name: str) -> Identity:
        """The files of this web process, which looks at them every few seconds."""
        return identity(self.tls / "web", name)

    def certify(self) -> bool:
        # Each new connection reads these two; HAProxy itself only passes bytes on.
        self.circles.of_platform(self.tls)
        self.circles.of_patronis_watcher(self.tls / "patroni")
        for one in self.balancer.web:
            self.circles.of_web(self.tls / "web", one.name, one.host)
        if self.flower:
            self.circles.of_flower(self.tls / "flower", self.flower.name, self.flower.host)
            self.circles.of_flowers_webs(self.tls / "flower")
        made = [self.circles.of_balancer(self.tls / "patroni"), self.circles.of_webs_balancer(self.tls / "web")]
        if self.balancer.rules.certificate == OWN:
            made.append(self.circles.of_front(self.tls / "front", (LOOPBACK, "localhost")))
        self._fresh = [one.bundle for one in made if one.fresh]
        return bool(self._fresh)

    def renew(self) -> bool:
        """New certificates are handed over while it runs; a reload would cut long connections after half a minute."""
        taken = [self._hand_over(file) for file in self._fresh] if super().renew() else []
        return not all(taken)

    def _hand_over(self, file: Path) -> bool:
        """Whether HAProxy has taken it."""
        try:
            said = self._command(f"set ssl cert {file} <<\n{file.read_text().strip()}\n\n")
            said += self._command(f"commit ssl cert {file}\n")
        except OSError as error:
            said = in_words(error)
        taken = "Success!" in said
        print(f"{self.name} {'has' if taken else 'has not'} taken {file.name}: {' '.join(said.split())}", flush=True)
        return taken

    def _command(self, text: str) -> str:
        """What it answers. Raises OSError."""
        if self.admin is None:
            raise OSError("it has no socket for commands")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(5)
            link.connect(str(self.admin))
            link.sendall(text.encode())
            link.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: link.recv(65_536), b"")).decode(errors="replace")

    @property
    def replicas(self) -> str:
        """What goes into ERIP_REPLICA_URLS: the replicas, or the primary when none is fit."""
        return self._url(self.balancer.ro_port)

    def render(self) -> str:
        # Each client takes two of our file descriptors.
        possible = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        rules = self.balancer.rules
        if possible != resource.RLIM_INFINITY:
            rules = replace(rules, maxconn_all=min(rules.maxconn_all, max(100, (possible - 200) // 2)))
        if rules.certificate == OWN:
            rules = replace(rules, certificate=str(self.front.certificate))
        stats, admin = str(self.stats or ""), str(self.admin or "")
        known = replace(self.balancer, rules=rules, checks=self.to_patroni, backends=self.to_web)
        return replace(known, stats=stats, admin=admin).render()

    @property
    def stats(self) -> Path | None:
        """Its stats socket; None where the path would be too long for one."""
        return self._socket("stats.sock")

    @property
    def admin(self) -> Path | None:
        """The socket for commands, which its folder closes to others; None as above."""
        return self._socket("admin.sock")

    def _socket(self, name: str) -> Path | None:
        path = self.folder / name
        return path if len(os.fsencode(path)) <= MOST_OF_STATS else None

    def ready(self) -> bool:
        """Whether the primary can be reached through it and has both replicas; it has its role and database then."""
        try:
            connection = self._connect("postgres")
        except psycopg2.OperationalError:
            return False
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_VOTERS)
                if cursor.fetchone() != (2,):
                    return False
                if self.logins:
                    make_roles(self._connect, self.logins)
                    return True
                make_role(cursor, ROLE, self.password, DATABASE, may_create_databases=False)
                # Without it nobody can tell whether a replica streams, and the router uses none
                # (docs/explanation/database.md).
                cursor.execute(f"GRANT pg_monitor TO {ROLE}")
        except psycopg2.Error:
            return False
        finally:
            connection.close()
        return True

    def _connect(self, database: str) -> "psycopg2.extensions.connection":
        return self.reached.connect(self.balancer.rw_port, self.superuser_password, database)

    def _url(self, port: int) -> str:
        return f"postgres://{ROLE}:{quote(self.password, safe='')}@{LOOPBACK}:{port}/{DATABASE}?{self.reached.query}"
