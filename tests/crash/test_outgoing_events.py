"""Real workers and web processes, real signals: the events of runs are sent, whichever process dies."""

import http.client
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import redis

from erip.access.scopes import Scope
from tests import workers
from tests.definitions import one_step, publish
from tests.support.api import key
from tests.support.receiver import Receiver, receiving
from tests.workers import until
from workflows import engine
from workflows.events import interest, subscriptions
from workflows.events.models import Block, Delivery, DeliveryAttempt
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch, settings: object) -> Iterator[Receiver]:
    monkeypatch.setenv("ERIP_WEBHOOK_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("ERIP_EVENT_WEBHOOK_SECONDS", "2")
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = True  # type: ignore[attr-defined]
    with receiving() as made:
        yield made


def start_a_run(receiver: Receiver) -> str:
    subscriptions.subscribe(url=receiver.url, types=["workflow.run.succeeded"], principal="t")
    interest.refresh()
    publish(one_step("sample.echo"))
    return engine.start_runs("one", [engine.StartRequest({})], principal="t")[0].id


def test_a_run_ended_by_a_worker_that_was_killed_before_it_could_tell_is_told_by_another(
    broker: redis.Redis, log: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERIP_EVENT_CONSUME", "false")
    with workers.worker(log, "first") as first:
        run_id = start_a_run(receiver)
        until(lambda: WorkflowRun.objects.get(pk=run_id).state == "SUCCEEDED")
        workers.kill(first)
    assert Block.objects.exists()
    assert not Delivery.objects.exists()

    monkeypatch.setenv("ERIP_EVENT_CONSUME", "true")
    with workers.worker(log, "second"):
        until(lambda: Delivery.objects.filter(state="DELIVERED").exists())

    (post,) = receiver.posts
    assert orjson.loads(post.body)["subject"] == run_id


def test_a_delivery_whose_worker_is_killed_in_the_middle_is_made_again_with_the_same_id(
    broker: redis.Redis, log: Path, receiver: Receiver
) -> None:
    receiver.gate.clear()
    with workers.worker(log, "first") as first:
        run_id = start_a_run(receiver)
        until(lambda: receiver.now == 1, what="it is on its way")
        assert WorkflowRun.objects.get(pk=run_id).state == "SUCCEEDED"
        workers.kill(first)
    receiver.gate.set()
    assert Delivery.objects.get().state == "SENDING"

    with workers.worker(log, "second"):
        until(lambda: Delivery.objects.filter(state="DELIVERED").exists())

    assert len(receiver.posts) == 2
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1
    assert [one.status for one in DeliveryAttempt.objects.order_by("number")] == [None, 204]


def test_a_web_process_that_is_told_to_end_ends_its_streams_and_then_itself(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERIP_WEB_WORKERS", "1")
    monkeypatch.setenv("ERIP_DRAIN_SECONDS", "1")
    monkeypatch.setenv("ERIP_WEB_GRACE_SECONDS", "60")
    token = key(Scope.VIEWER, "listener")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["-m", "gunicorn", "-c", "python:erip.gunicorn", f"--bind=127.0.0.1:{port}"]
    with workers.process(arguments, log) as web:
        until(lambda: reachable(port), seconds=60)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/api/v1/events/stream", headers={"Authorization": f"Bearer {token}"})
        answer = client.getresponse()
        assert answer.status == 200
        assert answer.readline().startswith(b"retry:")

        web.send_signal(signal.SIGTERM)

        rest = answer.read()
        assert b"event: end\ndata: " in rest
        assert b"shutting_down" in rest
        # Much less than the time for which it waits for connections that do not end.
        assert web.wait(timeout=20) == 0


def reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
