"""The platform's processes and what they are given: their command lines, settings and health."""

import os
import signal
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from erip.ops.deploy.identity import Identity
from erip.ops.stack import environment
from erip.ops.stack.errors import StackError
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.state import State

# Started in this order: what a waiting user needs first.
ALL = ("web", "worker-critical", "worker-general", "leader", "flower")
#: where the web processes show Flower to people
FLOWER_AT = "/flower/"
# What a demo does without, for a quicker start.
DEMO = ("web", "worker-critical", "worker-general", "leader")


@dataclass(frozen=True)
class Service:
    """One process of the platform, as the supervisor runs it."""

    name: str
    command: list[str]
    env: dict[str, str] = field(repr=False)
    url: str | None = None
    # With which it is asked over TLS how it is; None: in the clear.
    asked_with: Identity | None = None
    stop_signal: int = signal.SIGTERM
    stop_patience: float = 10.0
    # When the supervisor is killed: workers may be cut off anywhere, the engine is made for that.
    death_signal: int = signal.SIGKILL


@dataclass(frozen=True)
class Tls:
    """The files of a process that answers by TLS, and those with which the stack asks it how it is."""

    own: Identity
    asked_with: Identity


@dataclass(frozen=True)
class Brokers:
    """ERIP_BROKER_URL of each kind of process (`erip.ops.deploy.redis_users`)."""

    web: str = field(repr=False)
    worker: str = field(repr=False)
    leader: str = field(repr=False)

    def given(self, env: Mapping[str, str], kind: str) -> dict[str, str]:
        """The environment of a process of this kind."""
        return {**env, "ERIP_BROKER_URL": getattr(self, kind)}


@dataclass(frozen=True)
class Monitor:
    """What Flower gets: its own login to the broker, and the `name:password` that it asks the web processes for."""

    broker: str = field(repr=False)
    login: str = field(repr=False)
    #: how it reaches a broker behind Sentinels, or over TLS: ERIP_SENTINEL_…, ERIP_BROKER_…
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)


def platform(
    names: tuple[str, ...], env: dict[str, str], ports: dict[str, int], brokers: Brokers, monitor: Monitor
) -> list[Service]:
    """The services called `names`, one of each, on `ports` (keys web and flower), with the settings `env`."""
    of_worker = brokers.given(env, "worker")
    known = [
        # No load balancer is in front of it that would have to notice first.
        web("web", {"ERIP_DRAIN_SECONDS": "0", **brokers.given(env, "web")}, ports["web"]),
        worker("worker-critical", of_worker, queues="critical", node="critical", threads="8"),
        general_worker("worker-general", of_worker, node="general", threads=env.get("ERIP_WORKER_THREADS", "16")),
        leader("leader", brokers.given(env, "leader")),
        flower("flower", ports["flower"], monitor),
    ]
    return [service for service in known if service.name in names]


def web(name: str, env: dict[str, str], port: int, *, tls: Tls | None = None) -> Service:
    """One gunicorn on `port`, with as many processes as ERIP_WEB_WORKERS says; erip/gunicorn.py has the rest.

    At a restart the new one listens on the port before the old one leaves it.
    """
    address = f"{LOOPBACK}:{port}"
    if tls:
        files = {"ERIP_WEB_CERTIFICATE": str(tls.own.certificate), "ERIP_WEB_CLIENT_CA": str(tls.own.ca)}
        env = {**env, **files}
    return Service(
        name,
        [_tool("gunicorn"), "-c", "python:erip.gunicorn", f"--bind={address}", "--reuse-port"],
        environment.of_kind(env, "web"),
        url=f"{'https' if tls else 'http'}://{address}",
        asked_with=tls.asked_with if tls else None,
        stop_patience=float(env.get("ERIP_WEB_GRACE_SECONDS", "20")) + 5,
        death_signal=signal.SIGTERM,
    )


def worker(name: str, env: dict[str, str], *, queues: str, node: str, threads: str) -> Service:
    """One Celery worker; `node` is its name to Celery."""
    return Service(
        name,
        _worker(queues, node, threads),
        environment.of_kind(env, "worker"),
        stop_patience=_patience(env),
    )


def general_worker(name: str, env: dict[str, str], *, node: str, threads: str) -> Service:
    """One worker for all lanes, which gives way to the critical ones."""
    # Task events feed Flower; on the critical worker they would cost time.
    command = [*_worker("critical,high,standard,bulk", node, threads), "-E"]
    # Where cores are scarce, critical work goes first on them too.
    told = {"ERIP_WORKER_NICE": "10", **environment.of_kind(env, "worker")}
    return Service(name, command, told, stop_patience=_patience(env))


def leader(name: str, env: dict[str, str]) -> Service:
    """One candidate for what a single process must do."""
    return Service(name, [sys.executable, "manage.py", "run_leader"], environment.of_kind(env, "leader"))


def flower(name: str, port: int, monitor: Monitor, *, tls: Tls | None = None) -> Service:
    """Celery's monitor, for looking only (`monitor`). Of the platform's settings it gets none but the broker's."""
    files = (
        {"ERIP_FLOWER_CERTIFICATE": str(tls.own.certificate), "ERIP_FLOWER_CLIENT_CA": str(tls.own.ca)} if tls else {}
    )
    login = {"ERIP_FLOWER_BROKER_URL": monitor.broker, "FLOWER_BASIC_AUTH": monitor.login}
    return Service(
        name,
        [sys.executable, "-m", "erip.ops.stack.monitor", f"--address={LOOPBACK}", f"--port={port}"],
        # Not on the command line, where every user of the machine could read it.
        {**environment.base(os.environ), **login, **monitor.settings, **files},
        url=f"{'https' if tls else 'http'}://{LOOPBACK}:{port}",
        asked_with=tls.asked_with if tls else None,
    )


def _patience(env: dict[str, str]) -> float:
    """A worker needs its grace to finish or hand back what it does."""
    return float(env.get("ERIP_SHUTDOWN_GRACE_SECONDS", "20")) + 5


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _worker(queues: str, node: str, threads: str) -> list[str]:
    quiet = ["--pool=threads", "--without-mingle", "--without-gossip", "--loglevel=INFO"]
    return [sys.executable, "-m", "erip.worker", *quiet, "-c", threads, "-Q", queues, "-n", f"{node}@%h"]


def settings(
    state: State, secrets: dict[str, str], *, database: str, owner: str, broker: str, workers_broker: str, web: str
) -> dict[str, str]:
    """What the stack tells the platform. A variable that the user set wins over it.

    workers_broker: ERIP_BROKER_URL of those workers that no service of the stack is.
    """
    told = {
        "DATABASE_URL": database,
        **({"DATABASE_OWNER_URL": owner} if owner else {}),
        "ERIP_BROKER_URL": broker,
        "ERIP_WORKER_BROKER_URL": workers_broker,
        "ERIP_SECRET_KEY": secrets["secret_key"],
        "ERIP_WEBHOOK_SECRET": webhook_secret(secrets["webhook"]),
        "ERIP_PUBLIC_URL": web,
        "ERIP_STATE_DIR": str(state.root),
        # Into files that only the stack's user may read: what is printed ends up in a log.
        "ERIP_EMAIL_URL": f"filemail:///{state.mail}",
    }
    return {name: os.environ.get(name) or value for name, value in told.items()}


def shown_flower(url: str, login: str, tls: Identity | None = None) -> dict[str, str]:
    """How web processes reach Flower, which they show to people. tls: the files that they use; None: in the clear."""
    files = {"ERIP_FLOWER_CA": str(tls.ca), "ERIP_FLOWER_WEB_CERTIFICATE": str(tls.certificate)} if tls else {}
    return {"ERIP_FLOWER_URL": url, "ERIP_FLOWER_LOGIN": login, **files}


def webhook_secret(text: str) -> str:
    """A Standard Webhooks secret: `whsec_` and base64."""
    return "whsec_" + (text.replace("-", "+").replace("_", "/") + "====")[: -(-len(text) // 4) * 4]


def env_file(values: dict[str, str]) -> str:
    """KEY=value lines as django-environ reads them."""
    for name, value in values.items():
        if "\n" in value:
            raise StackError(f"{name} holds a line break, which the file `env` cannot hold.")
    return "".join(f"{name}='{value}'\n" for name, value in values.items())


def workers_registered(database: str, pids: set[int]) -> bool:
    """Whether each of these worker processes has reported to PostgreSQL that it is at work.

    Otherwise a first run would wait for a worker that is still loading, and its timeline would show that.
    """
    with psycopg2.connect(database, connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM workflows_worker WHERE stopped_at IS NULL AND host = %s"
            " AND heartbeat_at > now() - interval '10 s'",
            [socket.gethostname()],
        )
        found = {row[0] for row in cursor.fetchall()}
    connection.close()
    return pids <= found


def workers_take_more(database: str, pids: set[int]) -> bool:
    """Whether one of these worker processes still takes steps up: it was told to end, and has not heard of it yet."""
    with psycopg2.connect(database, connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM workflows_worker WHERE stopped_at IS NULL AND lanes <> '' AND host = %s"
            " AND heartbeat_at > now() - interval '10 s' AND pid = ANY(%s)",
            [socket.gethostname(), sorted(pids)],
        )
        (count,) = cursor.fetchone() or (0,)
    connection.close()
    return bool(count)


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether the web process says that it can serve. context: for TLS."""
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=2, context=context) as answer:  # noqa: S310  # nosec B310 (ours)
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
