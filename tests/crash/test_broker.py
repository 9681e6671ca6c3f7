"""The broker goes away: the work goes on without it, and the same workers consume again when it is back."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import current_app
from django.db import connection, transaction

from erip.foundation.process.broker import transport_options
from erip.ops.stack.ports import any_free
from erip.ops.stack.servers import Server
from tests import workers
from tests.definitions import CHAIN, publish
from tests.workers import until
from workflows import engine
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)


def start(count: int) -> list[str]:
    requests = [engine.StartRequest({"times": 500})] * count
    return [run.id for run in engine.start_runs("chain", requests, principal="t")]


def all_succeeded() -> bool:
    return not WorkflowRun.objects.exclude(state="SUCCEEDED").exists()


def send(url: str, ids: list[str]) -> None:
    """A message through this very broker; the test's own process publishes to another one."""
    options = transport_options(url, master="erip", sentinel_password="")
    with current_app.connection_for_write(url, transport_options=options) as link:
        current_app.send_task("workflows.execute", kwargs={"run_ids": ids}, queue="standard", connection=link)


def test_the_work_goes_on_without_a_broker_and_the_same_worker_consumes_again(own_broker: Server, log: Path) -> None:
    publish(CHAIN)
    with workers.worker(log) as worker:
        for fault in (own_broker.kill, own_broker.pause):
            fault()
            start(20)
            until(all_succeeded, what="PostgreSQL alone is enough")
            own_broker.resume()
            own_broker.start()
        assert worker.poll() is None, "stock Celery 5.7 exits when its broker goes away"
        # Ready work of the future is invisible to the worker's own look: only the message can start it.
        # In one transaction: a quick worker would take it before.
        with transaction.atomic(), connection.cursor() as cursor:
            ids = start(5)
            cursor.execute("UPDATE workflows_steprun SET ready_at = now() + interval '1 hour' WHERE state = 'READY'")
            assert cursor.rowcount == 5
        send(own_broker.url, ids)
        until(all_succeeded, what="the worker consumes again")
        assert worker.poll() is None


def test_a_broker_behind_sentinels_carries_messages(
    own_broker: Server, log: Path, tmp_path: Path, settings: object
) -> None:
    publish(CHAIN)
    parts = urlsplit(own_broker.url)
    port = any_free()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\ndir {tmp_path}\n"
        f"sentinel monitor erip 127.0.0.1 {parts.port} 1\nsentinel auth-pass erip {parts.password}\n"
    )
    binary = own_broker.kind.binary.path
    with subprocess.Popen([str(binary), str(configuration), "--sentinel"], stdout=subprocess.DEVNULL) as sentinel:
        try:
            url = f"sentinel://:{parts.password}@127.0.0.1:{port}/0"
            settings.ERIP_BROKER_URL = url
            with workers.worker(log):
                ids = start(5)
                with connection.cursor() as cursor:
                    cursor.execute("UPDATE workflows_steprun SET ready_at = now() + interval '1 hour'")
                send(url, ids)
                until(all_succeeded, what="the message came through the sentinel's master")
        finally:
            sentinel.kill()
