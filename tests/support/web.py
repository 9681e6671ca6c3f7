"""A real web process for tests: gunicorn with the platform's own configuration, on the test's database."""

import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from erip.ops.stack.ports import any_free
from tests import workers
from tests.workers import until


@dataclass(frozen=True)
class Web:
    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def web(
    log: Path,
    context: ssl.SSLContext | None = None,
    *,
    port: int = 0,
    shared: bool = False,
    processes: int = 1,
    **settings: str,
) -> Iterator[Web]:
    """`processes` workers behind one master, that answer. settings: environment variables of their own.

    port: 0 is any that is free. shared: others may listen on it too. context: how it is asked where the settings make
    it speak TLS.
    """
    place = f"127.0.0.1:{port or any_free()}"
    url = f"{'https' if context else 'http'}://{place}"
    arguments = ["-m", "gunicorn", "-c", "python:erip.gunicorn", f"--bind={place}", f"--workers={processes}"]
    if shared:
        arguments.append("--reuse-port")
    live = f"{url}/health/live"
    with workers.process(arguments, log, **settings) as process:
        until(lambda: status(live, context) == 200, seconds=60, what=f"the web process answers; log: {log}")
        yield Web(url, process)


def status(url: str, context: ssl.SSLContext | None = None) -> int:
    """The answer's status; 0 if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
