"""Flower that can only be read: `python -m erip.ops.stack.monitor --port=5555`.

Flower by default lets a user with its login send any task and stop workers, shows the broker's address with its
password where there are several (Sentinel), answers `/metrics` to everybody, and loads the platform, with every secret
in its environment. So this module starts Flower's web application without the platform:

- it knows the broker alone (ERIP_FLOWER_BROKER_URL), as a user of Redis that receives events and reads the length of
  queues, and may send nothing (`redis.FLOWER_RULES`);
- only the pages in `READ` exist, each behind the login (FLOWER_BASIC_AUTH); of Flower's API there is nothing;
- it asks workers nothing: their remote control is off, and what is shown comes from their events.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
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
from tornado.web import StaticFileHandler, authenticated, url

from erip.foundation.process.broker import SurvivingRedisChannel, install_transports

LANES = ("critical", "high", "standard", "bulk")


class PrivateMetrics(Metrics):
    """Names of tasks and workers are nobody's business without the login."""

    get = authenticated(Metrics.get)


class PrivateHealthcheck(Healthcheck):
    get = authenticated(Healthcheck.get)


READ = [
    url(r"/", WorkersView, name="main"),
    url(r"/workers", WorkersView, name="workers"),
    url(r"/worker/(.+)", WorkerView, name="worker"),
    url(r"/task/(.+)", TaskView, name="task"),
    url(r"/tasks", TasksView, name="tasks"),
    url(r"/tasks/datatable", TasksDataTable),
    url(r"/broker", BrokerView, name="broker"),
    url(r"/metrics", PrivateMetrics),
    url(r"/healthcheck", PrivateHealthcheck),
    url(r"/static/(.*)", StaticFileHandler, {"path": settings["static_path"]}),
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

    def __init__(self, celery: Celery, place: str) -> None:
        flower.app.default_handlers = READ
        events = Listening(celery, None, enable_events=False, max_workers_in_memory=1000, max_tasks_in_memory=10_000)
        super().__init__(options=options, capp=celery, events=events, **settings)
        events.io_loop = self.io_loop
        self.inspector = Deaf()
        self.broker_uri = place

    def update_workers(self, workername: str | None = None) -> Any:
        return self.inspector.inspect(workername)


def place_of(broker: str) -> str:
    """The hosts of a broker's URL, without the logins: `redis://127.0.0.1:6379`."""
    parts = [urlsplit(one) for one in broker.split(";")]
    return " ".join(f"{part.scheme}://{part.hostname}:{part.port}" for part in parts)


def make_celery(broker: str) -> Celery:
    """An app that knows the lanes and no task. JSON only: a pickled event would be code."""
    celery = Celery("erip-monitor", broker=broker, set_as_current=False)
    celery.conf.update(
        accept_content=["json"],
        task_queues=[Queue(lane) for lane in LANES],
        task_default_queue="standard",
        broker_transport_options={
            "ack_emulation": False,
            "socket_timeout": 5.0,
            "socket_connect_timeout": 1.0,
            "socket_keepalive": True,
        },
    )
    return celery


def main() -> int:
    """Runs until a signal ends it; returns 2 without a login or a broker."""
    broker = os.environ.get("ERIP_FLOWER_BROKER_URL", "")
    if not broker or not os.environ.get("FLOWER_BASIC_AUTH"):
        print("erip.ops.stack.monitor: set ERIP_FLOWER_BROKER_URL and FLOWER_BASIC_AUTH", file=sys.stderr)
        return 2
    install_transports()
    # kombu would remove what other programs left behind, which this user of Redis may not.
    SurvivingRedisChannel.sweep_bindings = lambda _channel: 0
    apply_env_options()
    apply_options(sys.argv[0], sys.argv[1:])
    options.read_only = True
    extract_settings()
    setup_logging()
    app = ReadOnly(make_celery(broker), place_of(broker))
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    app.start_http_server()
    with contextlib.suppress(KeyboardInterrupt):
        app.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
