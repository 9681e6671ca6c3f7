"""Note [Short way] in `short_way`: who watches a worker sees every message as before, and nothing else changes."""

import base64
import json
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.db import connection, transaction

from erip.ops.stack.servers import Server
from tests import workers
from tests.crash.test_broker import send
from tests.crash.test_chunks import nothing_is_recorded, waiting
from tests.crash.test_crashes import assert_all_succeeded_and_recorded_once, count, start
from tests.definitions import CHAIN, publish
from tests.workers import until
from workflows.starts import dispatch

pytestmark = pytest.mark.django_db(transaction=True)
MESSAGES = 7
#: fewer than share a chunk, and than a worker has threads
RUNS = 6


class Watcher:
    """Reads what a worker says of itself, where Flower reads it."""

    def __init__(self, broker: redis.Redis) -> None:
        self._heard = broker.pubsub(ignore_subscribe_messages=True)
        self._heard.psubscribe("*celeryev*")
        self._heard.get_message(timeout=1)
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def look(self) -> "Watcher":
        while (message := self._heard.get_message(timeout=0.01)) is not None:
            body = json.loads(base64.b64decode(json.loads(message["data"])["body"]))
            for event in body if isinstance(body, list) else [body]:
                self.events[event["type"]].append(event)
        return self

    def counted(self) -> tuple[int, int]:
        """(messages that were taken, of which under way), as the worker counts them."""
        beats = self.look().events["worker-heartbeat"]
        return (beats[-1]["processed"], beats[-1]["active"]) if beats else (0, 0)


def send_some() -> None:
    """Hints about runs that are not there: a worker looks, and finds nothing."""
    publisher = dispatch.Publisher()
    for _ in range(MESSAGES):
        publisher.send("standard", [str(uuid4())])


def test_with_task_events_every_message_is_reported_from_its_receipt_to_its_end(broker: redis.Redis, log: Path) -> None:
    watcher = Watcher(broker)
    with workers.worker(log, flags=["-E"]):
        send_some()
        until(lambda: len(watcher.look().events["task-succeeded"]) == MESSAGES, what="all are seen to succeed")
        until(lambda: watcher.counted() == (MESSAGES, 0), what="all are counted")
    received, begun, done = (
        {event["uuid"] for event in watcher.events[kind]}
        for kind in ("task-received", "task-started", "task-succeeded")
    )
    assert received == begun == done
    assert len(done) == MESSAGES
    assert {event["name"] for event in watcher.events["task-received"]} == {"workflows.execute"}
    for kind in ("task-received", "task-started"):
        # Of the same hint: Flower reckons from one to the other.
        later = {event["uuid"]: event["timestamp"] for event in watcher.events["task-succeeded"]}
        assert all(event["timestamp"] <= later[event["uuid"]] for event in watcher.events[kind])


def test_the_events_of_the_last_moment_are_sent_before_the_worker_ends(broker: redis.Redis, log: Path) -> None:
    watcher = Watcher(broker)
    with workers.worker(log, flags=["-E"]) as worker:
        until(lambda: watcher.look().events["worker-heartbeat"], what="it is there")
        send_some()
        until(lambda: broker.llen("standard") == 0, what="all are taken")
        worker.terminate()
        assert worker.wait(60) == 0
    until(lambda: watcher.look().events["worker-offline"], what="it has said that it ends")
    # One that ends while Celery waits for its threads is not told of, here as on Celery's own way.
    assert watcher.events["task-succeeded"]


def test_without_them_a_worker_counts_its_messages_all_the_same(broker: redis.Redis, log: Path) -> None:
    watcher = Watcher(broker)
    with workers.worker(log):
        send_some()
        until(lambda: watcher.counted() == (MESSAGES, 0), what="all are counted")
    assert not {kind for kind in watcher.events if kind.startswith("task-")}


def begun_by_a_message_alone(runs: int) -> list[str]:
    """Runs of the future: the worker's own look passes over them, and a message does not."""
    # In one transaction: a quick worker would take them before.
    with transaction.atomic(), connection.cursor() as cursor:
        ids = start("chain", runs, times=10)
        cursor.execute("UPDATE workflows_steprun SET ready_at = now() + interval '1 hour' WHERE state = 'READY'")
        assert cursor.rowcount == runs
    return ids


def under_way(watcher: Watcher) -> bool:
    taken, active = watcher.counted()
    return taken == RUNS and active > 0


def consumes(broker: redis.Redis) -> bool:
    """Whether somebody waits for messages there."""
    return any(client["cmd"] == "brpop" for client in broker.client_list())


def test_a_broker_that_goes_while_hints_are_under_way_loses_none_and_repeats_none(
    recordings: None, own_broker: Server, log: Path
) -> None:
    """Note [Short way] in `short_way`: what Celery does with the messages under way when it reconnects, and goes on.

    It catches a hint that is dropped, followed twice or left counted as under way while a thread of the pool holds it,
    and a worker that ends or takes nothing more. All hints are in threads by then: there are fewer than threads, and
    each waits for PostgreSQL. So it cannot catch what becomes of one that Celery had fetched and no thread had begun,
    nor of one that is fetched while the connection breaks.
    """
    publish(CHAIN)
    redis_ = redis.Redis.from_url(own_broker.url)
    watcher = Watcher(redis_)
    url = f"{workers.environment()['DATABASE_URL']}?application_name=cut"
    patience = {"ERIP_DB_LOCK_TIMEOUT": "600", "ERIP_DB_STATEMENT_TIMEOUT": "600"}
    with workers.worker(log, DATABASE_URL=url, **patience) as worker:
        ids = begun_by_a_message_alone(RUNS)
        with nothing_is_recorded():
            for one in ids:
                send(own_broker.url, [one])
            until(lambda: waiting("cut") and under_way(watcher), what="all came, and are under way")
            own_broker.kill()
            own_broker.start()
            until(lambda: consumes(redis_), what="the worker is at the broker again")
            assert worker.poll() is None
        until(lambda: count("SUCCEEDED") == RUNS, what="all that was sent is followed")
        send(own_broker.url, begun_by_a_message_alone(RUNS))
        until(lambda: count("SUCCEEDED") == 2 * RUNS, what="it goes on")
        assert worker.poll() is None
    assert "hint_not_followed" not in log.read_text()
    assert_all_succeeded_and_recorded_once(2 * RUNS, 4)
