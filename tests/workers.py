"""Real worker processes for tests: started, killed and stopped with real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def until(fact: Callable[[], object], *, seconds: float = 60.0, what: str = "") -> None:
    """Wait for a fact, with a deadline."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or fact}"
        time.sleep(0.02)


def environment() -> dict[str, str]:
    """What a process needs to work on the test's own database."""
    db = connection.settings_dict
    url = f"postgres://{db['USER']}:{db['PASSWORD']}@{db['HOST']}:{db['PORT']}/{db['NAME']}"
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "DATABASE_URL": url,
        "ERIP_BROKER_URL": settings.ERIP_BROKER_URL,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }


@contextmanager
def process(arguments: list[str], log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ERIP's in a session of its own, gone at the end whatever happens.

    settings: environment variables of its own.
    """
    with log.open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, *arguments], env=environment() | settings, cwd=ROOT, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield started
    finally:
        kill(started)


@contextmanager
def worker(
    log: Path,
    name: str = "general",
    lanes: str = "critical,high,standard,bulk",
    threads: int = 8,
    flags: Sequence[str] = (),
    **settings: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker that has registered itself. flags: more of Celery's own."""
    arguments = [
        "-m", "erip.worker", "--pool=threads", "-c", str(threads), "-Q", lanes,
        "-n", f"{name}@test", "--without-mingle", "--without-gossip", "--loglevel=INFO", *flags,
    ]  # fmt: skip
    with process(arguments, log, **settings) as started:
        until(lambda: registered(started), seconds=60, what=f"worker {name} registered; log: {log}")
        yield started


@contextmanager
def leader(log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    with process(["manage.py", "run_leader"], log, **settings) as started:
        yield started


def registered(started: subprocess.Popen[bytes]) -> bool:
    from workflows.models import Worker

    assert started.poll() is None, f"the worker ended with {started.returncode}"
    return Worker.objects.filter(pid=started.pid, stopped_at=None).exists()


def kill_while(busy: Callable[[], bool], started: subprocess.Popen[bytes], *, seconds: float = 60.0) -> None:
    """SIGKILL the process at a moment at which it is busy: it stands still while one looks, and goes on if it is not.

    A look and a kill are two moments, and a quick machine may end all work between them.
    """
    deadline = time.monotonic() + seconds
    while True:
        if busy():
            os.killpg(started.pid, signal.SIGSTOP)
            if busy():
                kill(started)
                return
            os.killpg(started.pid, signal.SIGCONT)
        assert time.monotonic() < deadline, f"{started.args} was not busy within {seconds} s"
        time.sleep(0.005)


def kill(started: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal the process; SIGKILL takes whatever it started with it."""
    try:
        if number is signal.SIGKILL:
            os.killpg(started.pid, number)
        else:
            started.send_signal(number)
    except ProcessLookupError:
        pass
    if number in (signal.SIGKILL, signal.SIGTERM):
        started.wait(timeout=60)
