"""A real web process for tests: gunicorn with the platform's own configuration, on the test's database."""

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
def web(log: Path, **settings: str) -> Iterator[Web]:
    """One worker behind gunicorn's master, that answers. settings: environment variables of its own."""
    url = f"http://127.0.0.1:{any_free()}"
    arguments = ["-m", "gunicorn", "-c", "python:erip.gunicorn", f"--bind={url.removeprefix('http://')}", "--workers=1"]
    with workers.process(arguments, log, **settings) as process:
        until(lambda: status(f"{url}/health/live") == 200, seconds=60, what=f"the web process answers; log: {log}")
        yield Web(url, process)


def status(url: str) -> int:
    """The answer's status; 0 if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
