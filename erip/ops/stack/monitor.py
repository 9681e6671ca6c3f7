"""Flower that can only be read: `python -m erip.ops.stack.monitor --port=5555`.

Flower by default lets a user with its login send any task and stop workers, shows the broker's address with its
password where there are several (Sentinel), answers `/metrics` to everybody, and loads the platform, with every secret
in its environment. So this module starts Flower's web application without the platform:

- it knows the broker alone (ERIP_FLOWER_BROKER_URL), as a user of Redis that receives events and reads the length of
  queues, and may send nothing (`redis_users`); how that is reached over TLS or by Sentinels, the platform's own
  settings say: ERIP_BROKER_CA, ERIP_BROKER_CERTIFICATE, ERIP_SENTINEL_MASTER, ERIP_SENTINEL_PASSWORD;
- only the pages in `READ` exist, below `/flower/`, each behind the login (FLOWER_BASIC_AUTH), and each is read with
  GET; of Flower's API there is nothing. The login is that of the platform's web processes alone, which show the pages
  to people who have signed in there (`console.views.flower`);
- it asks workers nothing: their remote control is off, and what is shown comes from their events;
- with ERIP_FLOWER_CERTIFICATE (PEM, certificate and key) it speaks TLS 1.3 alone, and with ERIP_FLOWER_CLIENT_CA to
  holders of a certificate of that authority alone. A renewed one serves from the next connection on.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import flower.app
from celery import Celery
from celery.events import EventReceiver
from flower.app import Flower
from flower.command import apply_env_options, apply_options, extract_settings, setup_logging
from flower.events import Events
from flower.options import options
from flower.urls import settings
from flower.views.broker import BrokerView
from flower.views.error import NotFoundErrorHandler
from flower.views.monitor import Healthcheck, Metrics
from flower.views.tasks import TasksDataTable, TasksView, TaskView
from flower.views.workers import WorkersView, WorkerView
from kombu import Queue
from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler, StaticFileHandler, authenticated, url

from erip.foundation.http.certificate import Certificate
from erip.foundation.os_errors import in_words
from erip.foundation.process.broker import (
    SurvivingRedisChannel,
    SurvivingSentinelChannel,
    install_transports,
    transport_options,
)
from erip.foundation.process.broker_tls import tls_options

#: the first part of all addresses: that under which the platform shows them
PREFIX = "flower"
LANES = ("critical", "high", "standard", "bulk")
#: seconds between two looks at the certificate
LOOK_EVERY = 5.0


class PrivateMetrics(Metrics):
    """Names of tasks and workers are nobody's business without the login."""

    get = authenticated(Metrics.get)


class PrivateHealthcheck(Healthcheck):
    get = authenticated(Healthcheck.get)


class Table(TasksDataTable):
    """What fills the page of tasks, for GET alone."""

    post = RequestHandler.post


#: how Flower's script asks for tasks: with POST, for it says some KB about all columns
_BY_POST = """                type: 'POST',
                url: url_prefix() + '/tasks/datatable',
"""
#: with GET it says what `TasksDataTable` reads, which is short enough for an address
_BY_GET = """                url: url_prefix() + '/tasks/datatable',
                data: function (asked) {
                    var order = asked.order[0] || {column: 0, dir: 'asc'};
                    return {
                        'draw': asked.draw,
                        'start': asked.start,
                        'length': asked.length,
                        'search[value]': asked.search.value,
                        'order[0][column]': 0,
                        'order[0][dir]': order.dir,
                        'columns[0][data]': asked.columns[order.column].data
                    };
                },
"""


SCRIPT = Path(settings["static_path"]) / "js" / "flower.js"


def script() -> bytes:
    """Flower's script, which asks for tasks with GET. Raises RuntimeError for one that this module does not know."""
    text = SCRIPT.read_text("utf-8")
    if text.count(_BY_POST) != 1:
        raise RuntimeError("this release of Flower asks for tasks in another way: see erip.ops.stack.monitor")
    return text.replace(_BY_POST, _BY_GET).encode()


class Files(StaticFileHandler):
    """Flower's scripts, styles and pictures, of which the one script is changed."""

    changed = script()

    @classmethod
    def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
        if Path(abspath) == SCRIPT:
            return cls.changed[start:end]
        return super().get_content(abspath, start, end)

    def get_content_size(self) -> int:
        return len(self.changed) if Path(self.absolute_path or "") == SCRIPT else super().get_content_size()


class Lengths:
    """Replaces Flower's own way to the broker, which asks one Sentinel, and believes the system's authorities, too."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Each with its `name` and `messages`. Raises what kombu does for a broker that is away."""
        return await asyncio.get_running_loop().run_in_executor(None, self._read, tuple(names))

    def _read(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        with self._celery.connection() as connection:
            channel = connection.default_channel
            return [{"name": name, "messages": channel._size(name)} for name in names]


class LanesView(BrokerView):
    def get_broker(self) -> Lengths:
        return Lengths(self.application.capp)


READ = [
    url(r"/", WorkersView, name="main"),
    url(r"/workers", WorkersView, name="workers"),
    url(r"/worker/(.+)", WorkerView, name="worker"),
    url(r"/task/(.+)", TaskView, name="task"),
    url(r"/tasks", TasksView, name="tasks"),
    url(r"/tasks/datatable", Table),
    url(r"/broker", LanesView, name="broker"),
    url(r"/metrics", PrivateMetrics),
    url(r"/healthcheck", PrivateHealthcheck),
    # The navigation bar asks for its address.
    url(r"/logout", NotFoundErrorHandler, name="logout"),
    url(r".*", NotFoundErrorHandler),
]


class Listening(Events):
    """Receives events, and never asks the workers for a sign of life, which would be a broadcast."""

    def run(self) -> None:
        while True:
            try:
                with self.capp.connection() as connection:
                    EventReceiver(connection, handlers={"*": self.on_event}, app=self.capp).capture(
                        limit=None, timeout=None, wakeup=False
                    )
            except Exception as error:  # the broker is away: Flower has nothing to show until it is back
                print(f"flower: events: {type(error).__name__}", file=sys.stderr, flush=True)
                time.sleep(2)


class Nothing:
    """An answer that works with or without `await`, and is always empty."""

    def __await__(self) -> Iterator[None]:
        yield from ()


class Deaf:
    """Replaces Flower's inspector: no worker would answer it."""

    inspect_methods = ()

    def __init__(self) -> None:
        self.workers: dict[str, Any] = {}

    def inspect(self, _name: str | None = None) -> Nothing:
        return Nothing()


class ReadOnly(Flower):
    """`place` is the broker's address as it may be shown."""

    def __init__(self, celery: Celery, place: str, certificate: Certificate | None = None) -> None:
        self._certificate = certificate
        flower.app.default_handlers = READ
        events = Listening(celery, None, enable_events=False, max_workers_in_memory=1000, max_tasks_in_memory=10_000)
        # Tornado itself puts them before all pages.
        super().__init__(options=options, capp=celery, events=events, static_handler_class=Files, **settings)
        events.io_loop = self.io_loop
        self.inspector = Deaf()
        self.broker_uri = place

    def start_http_server(self) -> None:
        """Flower's own takes files, knows TLS 1.2, and never reads them again."""
        context = self._certificate.context if self._certificate else None
        server = HTTPServer(self, ssl_options=context, xheaders=options.xheaders)
        server.add_sockets(bind_sockets(options.port, address=options.address))
        if self._certificate:
            PeriodicCallback(self._look, LOOK_EVERY * 1000).start()

    def _look(self) -> None:
        try:
            if self._certificate and self._certificate.renew():
                print("flower: there is a new certificate", file=sys.stderr, flush=True)
        except OSError as error:
            print(f"flower: the certificate cannot be renewed: {in_words(error)}", file=sys.stderr, flush=True)

    def update_workers(self, workername: str | None = None) -> Any:
        return self.inspector.inspect(workername)


def place_of(broker: str) -> str:
    """The hosts of a broker's URL, without the logins: `redis://127.0.0.1:6379`."""
    parts = [urlsplit(one) for one in broker.split(";")]
    return " ".join(f"{part.scheme}://{part.hostname}:{part.port}" for part in parts)


def make_celery(broker: str, environment: Mapping[str, str] = MappingProxyType({})) -> Celery:
    """An app that knows the lanes and no task. JSON only: a pickled event would be code.

    environment: where the platform's settings of its broker are.
    """
    ca, certificate = environment.get("ERIP_BROKER_CA", ""), environment.get("ERIP_BROKER_CERTIFICATE", "")
    tls = tls_options(broker, ca=ca, certificate=certificate)
    known = transport_options(
        broker,
        master=environment.get("ERIP_SENTINEL_MASTER") or "erip",
        sentinel_password=environment.get("ERIP_SENTINEL_PASSWORD", ""),
        tls=tls,
    )
    reached: dict[str, Any] = {name: known[name] for name in ("master_name", "sentinel_kwargs") if name in known}
    reached |= {
        "ack_emulation": False,
        "socket_timeout": 5.0,
        "socket_connect_timeout": 1.0,
        "socket_keepalive": True,
    }
    # Celery's own fixup loads Django and the platform's settings where DJANGO_SETTINGS_MODULE is set, as in the image.
    celery = Celery("erip-monitor", broker=broker, set_as_current=False, fixups=[])
    celery.conf.update(
        accept_content=["json"],
        task_queues=[Queue(lane) for lane in LANES],
        task_default_queue="standard",
        broker_use_ssl=tls or False,
        broker_transport_options=reached,
    )
    return celery


def main() -> int:
    """Runs until a signal ends it; returns 2 without a login or a broker, or for a certificate that cannot be used."""
    broker = os.environ.get("ERIP_FLOWER_BROKER_URL", "")
    if not broker or not os.environ.get("FLOWER_BASIC_AUTH"):
        print("erip.ops.stack.monitor: set ERIP_FLOWER_BROKER_URL and FLOWER_BASIC_AUTH", file=sys.stderr)
        return 2
    try:
        certificate = _certificate(os.environ)
    except (OSError, ValueError) as error:
        print(f"erip.ops.stack.monitor: {in_words(error)}", file=sys.stderr)
        return 2
    install_transports()
    # kombu would remove what other programs left behind, which this user of Redis may not.
    for channel in (SurvivingRedisChannel, SurvivingSentinelChannel):
        channel.sweep_bindings = lambda _channel: 0
    apply_env_options()
    apply_options(sys.argv[0], sys.argv[1:])
    options.read_only = True
    options.url_prefix = PREFIX
    extract_settings()
    setup_logging()
    app = ReadOnly(make_celery(broker, os.environ), place_of(broker), certificate)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    app.start_http_server()
    with contextlib.suppress(KeyboardInterrupt):
        app.start()
    return 0


def _certificate(environment: Mapping[str, str]) -> Certificate | None:
    """None: in the clear. Raises OSError and ValueError."""
    file, clients = environment.get("ERIP_FLOWER_CERTIFICATE", ""), environment.get("ERIP_FLOWER_CLIENT_CA", "")
    if clients and not file:
        raise ValueError("ERIP_FLOWER_CLIENT_CA is set, but ERIP_FLOWER_CERTIFICATE is not: it would be in the clear")
    return Certificate(file, clients) if file else None


if __name__ == "__main__":
    sys.exit(main())
