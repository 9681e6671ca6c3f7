"""gunicorn's configuration, `gunicorn -c python:erip.gunicorn`, and its worker, which drains before it closes.

Note [Draining a web process]
SIGTERM, in this order:
1. `/health/ready` answers 503 at once, callers of `Prefer: wait` get their 202, and every answer says
   `Connection: close`. The listener stays open, because the load balancer has not checked yet and still sends requests.
2. After `ERIP_DRAIN_SECONDS` (longer than two of its checks) the listener closes, and so do connections without a
   request.
3. What is in flight has the rest of ERIP_WEB_GRACE_SECONDS to finish.
gunicorn's own worker closes the listener within a second and waits for idle keep-alive connections until the end.
If another process listens at its address by then (`--reuse-port`), it stays ready instead, and gives new connections
away during ERIP_DRAIN_SECONDS: Note [A shared port] in `erip.foundation.http.shared_port`.

With ERIP_WEB_CERTIFICATE it speaks TLS 1.3 alone, and with ERIP_WEB_CLIENT_CA to holders of a certificate of that
authority alone. gunicorn by itself goes on in the clear if it cannot read the files; here they are read before it
starts.
"""

import asyncio
import os
import resource
import signal
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.sock import BaseSocket
from gunicorn.workers import gasgi

import erip.foundation.structlog_alone  # noqa: F401  (first: it says why)
from erip.foundation import hooks
from erip.foundation.db import phases
from erip.foundation.db.connections import release_connections
from erip.foundation.http.certificate import Certificate
from erip.foundation.http.connections import Connections, GuardedProtocol
from erip.foundation.http.shared_port import WHOLE, SharedPort
from erip.foundation.logs import Formatter
from erip.foundation.process import draining, parked
from erip.foundation.process.settled import settle
from erip.settings import web

#: seconds between SIGTERM and the closing of the listener
DRAIN_SECONDS = web.ERIP_DRAIN_SECONDS
#: seconds from SIGTERM until what still runs is cut off
GRACE_SECONDS = web.ERIP_WEB_GRACE_SECONDS
#: seconds that a process fills its caches for before it serves, at most; what is left is done beside the requests
WARM_SECONDS = 10.0
#: how much of the new connections goes to the process that follows at the same address, from which part of
#: DRAIN_SECONDS on: few callers wait where it does something for the first time
HANDED_OVER = ((0.0, WHOLE // 8), (0.5, WHOLE // 4), (0.75, WHOLE // 2))
#: seconds for which a process that gives no connection away any more takes those that were on their way
TAKES_FOR = 0.5
#: seconds between two looks whether nobody else listens at our address any more
CLAIM_EVERY = 1.0

#: what is shown to clients; each process looks for a new one by itself
CERTIFICATE = Certificate(web.ERIP_WEB_CERTIFICATE, web.ERIP_WEB_CLIENT_CA) if web.ERIP_WEB_CERTIFICATE else None
#: seconds between two looks at the certificate, and for the handshake of a client, which is not counted as one before
LOOK_EVERY, HANDSHAKE_SECONDS = 5.0, 10.0

#: open files of one process, where the system allows as many
MOST_FILES = 65_536

wsgi_app = "erip.asgi:application"
worker_class = "erip.gunicorn.Worker"
workers = web.ERIP_WEB_WORKERS
bind = web.ERIP_WEB_BIND
keepalive = 30
# How long the master waits, longer than the workers do.
graceful_timeout = int(GRACE_SECONDS) + 2
# Load once, then fork: most of starting is loading.
preload_app = True
control_socket_disable = True
certfile = keyfile = web.ERIP_WEB_CERTIFICATE or None


def when_ready(_: Any) -> None:
    """The application is loaded, and no process has been forked yet."""
    # A child that takes another's place later would read the files of another release. One that cannot read them says
    # so itself.
    with suppress(Exception):
        phases.known()
    settle()


class Logger(GunicornLogger):
    """Without the data of users: Note [No data in logs] in `erip.foundation.logs`."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(Formatter(self.error_fmt, self.datefmt))


logger_class = Logger


class _Protocol(GuardedProtocol):
    def _will_close(self, request: Any, response_requires_close: bool) -> bool:
        return draining.begun() or super()._will_close(request, response_requires_close)


# gunicorn caches on the asking class whether HTTP can be parsed in C, but reads the answer from the base class: if the
# subclass asked first, HTTP would never be parsed in C.
ASGIProtocol._check_h1c_protocol_available()
# The worker's factory names it by this global.
gasgi.ASGIProtocol = _Protocol


_is_listening = BaseSocket._is_listening


def _left_to_asyncio(one: socket.socket) -> bool:
    """Whether gunicorn is to leave this new socket as it is, bound.

    gunicorn lets a process listen before it has begun to load what it needs. Where several processes share a port, the
    system gives each that listens its part of the new connections: while one replaces another, some of them would wait
    for the new process beside an old one that could answer. So on a shared port asyncio listens, when it can answer.
    """
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)) or _is_listening(one)


BaseSocket._is_listening = staticmethod(_left_to_asyncio)


class Worker(gasgi.ASGIWorker):
    """See Note [Draining a web process]."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.connections = Connections()
        self._told_at: float | None = None
        self._shared: list[SharedPort] = []

    def init_process(self) -> None:
        # Each connection is a file: raise the limit to what the system allows, whatever the shell's own limit is.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        # The master would only fork another child of what it has loaded.
        parked.then(self._begin, lambda: os.kill(self.ppid, signal.SIGTERM))
        super().init_process()

    def _begin(self) -> None:
        hooks.begin_process("web")
        if parked.why():
            # Not by `_serve`: a process that stands by answers probes at once, and reads nothing of a standby.
            try:
                hooks.warm_up(hooks.at_web_start)
            except Exception:
                self.log.exception("caches stay cold")
            finally:
                release_connections()

    async def _serve(self) -> None:
        if self.cfg.workers == 1:
            # Several have a socket each at a shared port, and would take each other for their successor.
            self._shared = [SharedPort(one.sock) for one in self.sockets if SharedPort.may_be(one.sock)]
        self._claim()
        if parked.why():
            await super()._serve()
            return
        # Django is ready only now.
        from erip.foundation.http.light.threads import in_thread

        # Behind a database that does not answer it serves all the same, and says that it is not ready.
        try:
            await asyncio.wait_for(in_thread(hooks.warm_up, hooks.at_web_start), WARM_SECONDS)
        except TimeoutError:
            self.log.warning("caches are filled beside the requests: it takes longer than %.0f s", WARM_SECONDS)
        except Exception:
            self.log.exception("caches stay cold")
        if self._told_at is not None:
            # It was told to end meanwhile: whoever connected now would be cut off.
            return
        await super()._serve()

    def _get_ssl_context(self) -> ssl.SSLContext | None:
        if CERTIFICATE is None:
            return None
        self.loop.create_server = partial(self.loop.create_server, ssl_handshake_timeout=HANDSHAKE_SECONDS)
        self._look_at(CERTIFICATE)
        return CERTIFICATE.context

    def _look_at(self, certificate: Certificate) -> None:
        try:
            if certificate.renew():
                self.log.info("there is a new certificate")
        except OSError as error:
            self.log.error("the certificate cannot be renewed: %s", error)
        self.loop.call_later(LOOK_EVERY, self._look_at, certificate)

    def handle_exit_signal(self) -> None:
        """SIGTERM, on the event loop."""
        if self._told_at is not None:
            return
        self._told_at = self.loop.time()
        followed = bool(self._shared) and all(one.listeners() > 1 for one in self._shared)
        draining.begin(followed=followed)
        self.log.info("draining, and another process listens here" if followed else "draining")
        if followed:
            for after, part in HANDED_OVER:
                self.loop.call_later(after * DRAIN_SECONDS, self._give, part)
        else:
            # Whoever comes to listen from now on gets all.
            self._give(WHOLE)
        self.loop.call_later(DRAIN_SECONDS, self._leave)

    def _claim(self) -> None:
        if self._told_at is not None or not self._shared:
            return
        settled = [one.claim() for one in self._shared]
        if not all(settled):
            self.loop.call_later(CLAIM_EVERY, self._claim)
        elif all(one.claimed for one in self._shared):
            self.log.info("claims its address")

    def _give(self, part: int) -> None:
        for one in self._shared:
            one.give(part)

    def _leave(self) -> None:
        self._give(WHOLE)
        # What waits in the queue, and whoever is connecting, is taken until the listener closes.
        self.loop.call_later(TAKES_FOR if draining.followed() else 0, super().handle_exit_signal)

    async def _shutdown(self) -> None:
        # A request that comes in on such a connection just now is repeated by its client, as after any such close.
        for protocol in self.connections.all():
            if protocol._keepalive_handle is not None:
                protocol.close_idle()
        if self._told_at is not None:
            left = GRACE_SECONDS - (self.loop.time() - self._told_at)
            self.cfg.set("graceful_timeout", max(1, int(left)))
        for one in self._shared:
            one.let_go()
        await super()._shutdown()
