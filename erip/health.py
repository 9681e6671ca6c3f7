"""Probes for load balancers and Kubernetes, at /health/live, /health/ready and /health/startup.

They are answered on the event loop, before Django: a probe needs no thread, may send any Host header (kubelet sends the
pod's address), and costs the database nothing (Note [Probing] in `probing`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from erip.celery import app as celery
from erip.foundation import hooks
from erip.foundation.db import phases
from erip.foundation.db.ping import Pinger
from erip.foundation.http.problems import Problem
from erip.foundation.process import draining, parked
from erip.foundation.process.probing import Probe
from erip.foundation.service import dead
from workflows.models import WorkflowDefinition

#: seconds that a probe's question may take
PATIENCE = 1.0

_pinger = Pinger()


class NotStarted(Exception):
    """What the platform needs before its first request is not there yet."""


def _ask_database() -> None:
    _pinger.ping(PATIENCE)


def _ask_broker() -> None:
    broker = celery.connection_for_write(transport_options=settings.ERIP_PUBLISHER_TRANSPORT_OPTIONS)
    try:
        broker.connect()  # opens a channel, which sends PING
    finally:
        broker.release()


def _ask_whether_started() -> None:
    """Raises NotStarted, or the database's error."""
    try:
        # Those that contract wait for the end of the old processes, which wait until the new ones have started.
        needed, _ = phases.unapplied(MigrationExecutor(connection))
        if needed:
            raise NotStarted(f"{len(needed)} migrations are not applied: run `manage.py migrate`")
        if not WorkflowDefinition.objects.exists():
            raise NotStarted("no workflow is published: run `manage.py bootstrap`")
    finally:
        connection.close()


database_probe = Probe("database", _ask_database, known_for=0.5, patience=PATIENCE)
broker_probe = Probe("broker", _ask_broker, known_for=2.0, patience=PATIENCE)
startup_probe = Probe("startup", _ask_whether_started, known_for=1.0, patience=PATIENCE)
_started = False


def forget() -> None:
    """For tests: forget everything, and hold no connection."""
    global _started
    _started = False
    for probe in (database_probe, broker_probe, startup_probe, *hooks.probe.all()):
        if (asking := probe.refresh()) is not None:
            asking.result()
        probe.forget()
    _pinger.close()


# --- what the probes say ----------------------------------------------------------------------------------

Answer = tuple[int, dict[str, str]]


def _live() -> Answer:
    """200: the process answers. Dependencies are not looked at: killing the process would not bring them back.

    503: a background thread has died (Note [Services] in `erip.foundation.service`), and only a new process brings it
    back.
    """
    if gone := dead():
        return 503, {"status": "broken", "reason": f"background services have ended: {', '.join(gone)}"}
    return 200, {"status": "live"}


def _ready() -> Answer:
    """200: requests can be served. 503: this process is about to end, stands by in a region that follows another one
    (or did, and the database lacks migrations or workflows), or the database is away for too long.

    A broker that is away is reported as degraded and no more: runs are accepted and carried out without it.
    """
    if draining.begun() and not draining.followed():
        return 503, {"status": "draining"}
    if why := parked.why():
        return 503, {"status": "parked", "reason": why}
    if parked.stood_by():
        # Its startup was taken for granted while it could not be looked at.
        begun, said = _startup()
        if begun != 200:
            return begun, said
    database = database_probe.ok_within(settings.ERIP_READY_GRACE_SECONDS)
    broker = broker_probe.ok()
    of_apps = {probe.name: probe.ok() for probe in hooks.probe.all()}
    status = "ready" if broker and database_probe.ok() and all(of_apps.values()) else "degraded"
    return 200 if database else 503, {
        "status": status if database else "unavailable",
        "database": "ok" if database_probe.ok() else "unreachable",
        "broker": "ok" if broker else "unreachable",
        **{name: "ok" if well else "unreachable" for name, well in of_apps.items()},
    }


def _startup() -> Answer:
    """200, for good: migrations are applied and workflows are published. 503: not yet, with the reason.

    200 also while it is parked: it is loaded, and what its database lacks is not known.
    """
    global _started
    if parked.why():
        return 200, {"status": "parked"}
    if not _started:
        _started = startup_probe.ok()
    if _started:
        return 200, {"status": "started"}
    return 503, {"status": "starting", "reason": startup_probe.error or "the database does not answer"}


def _probes_of_startup() -> tuple[Probe, ...]:
    return () if _started or parked.why() else (startup_probe,)


def _probes_of_ready() -> tuple[Probe, ...]:
    if (draining.begun() and not draining.followed()) or parked.why():
        return ()
    late = (startup_probe,) if parked.stood_by() and not _started else ()
    return (*late, database_probe, broker_probe, *hooks.probe.all())


#: path → (what has to be known, what is answered)
_DOORS: dict[str, tuple[Callable[[], tuple[Probe, ...]], Callable[[], Answer]]] = {
    "/health/live": (tuple, _live),
    "/health/ready": (_probes_of_ready, _ready),
    "/health/startup": (_probes_of_startup, _startup),
}

# --- the doors --------------------------------------------------------------------------------------------

App = Callable[[dict[str, Any], Callable[..., Awaitable[Any]], Callable[..., Awaitable[None]]], Awaitable[None]]


class Health:
    """Wrapped around the ASGI application: answers the probes."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        door = _DOORS.get(scope["path"])
        if door is not None and scope["method"] in ("GET", "HEAD"):
            await _answer(door, scope["method"], send)
        elif parked.why():
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, send)


async def _refuse(scope: dict[str, Any], send: Any) -> None:
    """A process that stands by serves nobody."""
    problem = Problem(
        503, "parked", "This region follows another one, which serves requests; this one may take over.", [],
        {"Retry-After": "5"},
    )  # fmt: skip
    body, media_type = problem.written_at(scope["path"])
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"5"),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _answer(door: tuple[Callable[[], tuple[Probe, ...]], Callable[[], Answer]], method: str, send: Any) -> None:
    needed, say = door
    asking = [asyncio.wrap_future(one) for probe in needed() if (one := probe.refresh()) is not None]
    if asking:
        await asyncio.wait(asking, timeout=PATIENCE)
    status, said = say()
    body = orjson.dumps(said)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _view(path: str) -> Callable[[HttpRequest], JsonResponse]:
    """The same behind Django, where no ASGI server is in front of it (`runserver`)."""
    needed, say = _DOORS[path]

    @csrf_exempt  # so that unsafe methods are answered with 405, as everywhere
    @require_safe
    @never_cache
    def view(request: HttpRequest) -> JsonResponse:
        for probe in needed():
            probe.look()
        status, said = say()
        return JsonResponse(said, status=status)

    return view


live = _view("/health/live")
ready = _view("/health/ready")
startup = _view("/health/startup")
