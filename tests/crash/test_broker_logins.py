"""The broker's logins: workers take messages with their own, and one that may take none says so and costs little."""

import json
import signal
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import redis
from django.db import connection, transaction

from erip.foundation.process.consumer import REFUSED
from erip.ops.deploy.redis_users import LEADER, WORKER
from erip.ops.stack.redis import Redis
from erip.ops.stack.servers import private_servers
from tests import workers
from tests.crash.test_broker import all_succeeded, send, start
from tests.definitions import CHAIN, publish
from tests.workers import until
from workflows.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[Redis]:
    with private_servers(postgres=False, logins={LEADER: "of-leader", WORKER: "of-worker"}) as (_, started):
        assert started is not None
        assert isinstance(started.kind, Redis)
        yield started.kind


def start_what_only_messages_tell_of(count: int) -> list[str]:
    """Ready work of the future is invisible to a worker's own look."""
    # In one transaction: a quick worker would take it before.
    with transaction.atomic(), connection.cursor() as cursor:
        ids = start(count)
        cursor.execute("UPDATE workflows_steprun SET ready_at = now() + interval '1 hour' WHERE state = 'READY'")
        assert cursor.rowcount == count
    return ids


def test_workers_of_the_autoscaler_take_messages_which_its_own_login_may_not(
    server: Redis, log: Path, tmp_path: Path
) -> None:
    publish(CHAIN)
    told = {
        "ERIP_BROKER_URL": server.url_of(LEADER),
        "ERIP_WORKER_BROKER_URL": server.url_of(WORKER),
        "ERIP_AUTOSCALE_MIN": "1",
        "ERIP_AUTOSCALE_MAX": "1",
        "ERIP_AUTOSCALE_EVERY_SECONDS": "0.3",
        "ERIP_WORKER_THREADS": "4",
    }
    output = tmp_path / "scaled.log"
    with workers.process(["manage.py", "autoscale", "--driver", "local", "--log", str(output)], log, **told) as scaler:
        send(server.url_of(WORKER), start_what_only_messages_tell_of(5))
        until(all_succeeded, seconds=120, what="the message is taken")
        (worker,) = Worker.objects.filter(stopped_at=None)
        scaler.send_signal(signal.SIGTERM)
        assert scaler.wait(timeout=120) == 0
    assert not psutil.pid_exists(worker.pid), "its workers end with it"
    assert "broker_refuses" not in output.read_text()


def refusals(log: Path) -> list[dict[str, str]]:
    lines = (line for line in log.read_text().splitlines() if line.startswith('{"') and "broker_refuses" in line)
    return [json.loads(line) for line in lines]


def test_a_worker_that_rests_ends_when_it_is_told(server: Redis, log: Path) -> None:
    with workers.worker(log, ERIP_BROKER_URL=server.url_of(LEADER)) as worker:
        until(lambda: refusals(log), seconds=120, what="it is refused, and rests")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=120) == 0
    assert len(refusals(log)) == 1, "it does not ask the broker again"
    assert not Worker.objects.filter(stopped_at=None).exists(), "it has said so"


def test_a_worker_that_may_take_nothing_says_why_rests_and_goes_on_once_it_may(server: Redis, log: Path) -> None:
    publish(CHAIN)

    with workers.worker(log, ERIP_BROKER_URL=server.url_of(LEADER)) as worker:
        until(lambda: len(refusals(log)) >= 3, seconds=120, what="it tries again and again")
        assert worker.poll() is None
        start(5)
        until(all_succeeded, what="what it finds in PostgreSQL is enough")
        ids = start_what_only_messages_tell_of(5)
        with redis.Redis(port=server.port, password=server.password) as owner:
            owner.execute_command("ACL", "SETUSER", LEADER, "+brpop", "~*")
        send(server.url_of(WORKER), ids)
        until(all_succeeded, seconds=120, what="the message is taken once it may")
    said = refusals(log)
    assert all("no permission" in one["error"].lower() for one in said), said[0]
    at = [datetime.fromisoformat(one["timestamp"]) for one in said]
    rests = [(after - before).total_seconds() for before, after in pairwise(at)]
    assert min(rests) >= REFUSED - 0.5, rests
