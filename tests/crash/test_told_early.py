"""SIGTERM while a process fills its caches: it ends with 0, and has answered nobody.

A lock that the test holds keeps PostgreSQL from answering, so each process is caught at it however quick it is.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg2
import pytest

from erip.ops.stack.ports import any_free
from tests import workers
from tests.crash.test_chunks import waiting
from tests.definitions import CHAIN, publish
from tests.workers import until
from workflows.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = ["-m", "erip.worker", "--pool=threads", "-c", "2", "-Q", "standard", "-n", "early@test", "--loglevel=INFO"]
WEB = ["-m", "gunicorn", "-c", "python:erip.gunicorn", "--workers=1", "--reuse-port"]
#: seconds that a statement of theirs may wait, so that none is over before the signal
PATIENCE = {"ERIP_DB_LOCK_TIMEOUT": "600", "ERIP_DB_STATEMENT_TIMEOUT": "600"}


@contextmanager
def no_definition_is_read() -> Iterator[None]:
    with closing(psycopg2.connect(workers.environment()["DATABASE_URL"])) as own:
        with own.cursor() as cursor:
            cursor.execute("LOCK TABLE workflows_workflowversion IN ACCESS EXCLUSIVE MODE")
        yield
        own.rollback()


def answer(place: str) -> int | None:
    """The status that it answers with; None: it takes no connection, or ends it without one."""
    try:
        with urlopen(f"http://{place}/health/live", timeout=30) as given:
            return given.status
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return None


@pytest.mark.parametrize("arguments", [WORKER, WEB], ids=["worker", "web"])
def test_a_process_that_is_told_while_it_fills_its_caches_ends_in_good_order(
    arguments: Sequence[str], tmp_path: Path
) -> None:
    publish(CHAIN)
    log, place = tmp_path / "process.log", f"127.0.0.1:{any_free()}"
    url = f"{workers.environment()['DATABASE_URL']}?application_name=early"
    bound = [f"--bind={place}"] if arguments is WEB else []
    with workers.process([*arguments, *bound], log, DATABASE_URL=url, **PATIENCE) as early:
        with no_definition_is_read():
            until(lambda: waiting("early", "workflows_workflowversion"), seconds=120, what=f"it reads; log: {log}")
            answers = [answer(place)]
            early.send_signal(signal.SIGTERM)
            answers += [answer(place) for _ in range(20)]
        # What it waits for in PostgreSQL's library no signal interrupts: that ends with its limits, here with the lock.
        until(lambda: answers.append(answer(place)) or early.poll() is not None, seconds=120, what="it ends")
        assert early.returncode == 0
    assert set(answers) == {None}
    assert not Worker.objects.exists(), "nobody could hand anything over to it"
    assert "Traceback" not in log.read_text()
