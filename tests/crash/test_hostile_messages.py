"""Nothing that a broker brings ends a worker or shows a traceback (Note [Messages] in `messages`).

A real worker takes the messages from a real Redis, where any client that may write to the broker could put them.
"""

from pathlib import Path

import pytest
import redis

from erip.foundation.process import messages as gate
from tests import workers
from tests.definitions import CHAIN, publish
from tests.fuzz import messages
from tests.workers import until
from workflows import engine
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)
LANES = ["critical", "high", "standard", "bulk"]


def a_run_succeeds() -> None:
    run = engine.start_runs("chain", [engine.StartRequest({"times": 5})], principal="t")[0].id
    until(WorkflowRun.objects.filter(pk=run, state="SUCCEEDED").exists, what="a run is carried out")


def taken(broker: redis.Redis) -> bool:
    return not any(broker.type(lane) == b"list" and broker.llen(lane) for lane in LANES)


def test_every_kind_of_wrong_message_is_dropped_with_a_line(broker: redis.Redis, log: Path) -> None:
    publish(CHAIN)
    with workers.worker(log) as worker:
        for number, (_, content) in enumerate(messages.all_kinds()):
            broker.lpush(LANES[number % len(LANES)], content)
        until(lambda: taken(broker), what="the worker has taken them")

        a_run_succeeds()

        assert worker.poll() is None
    written = log.read_text()
    assert "Traceback" not in written
    assert written.count('"message_refused"') >= len(messages.all_kinds()) - 5
    assert "klingon" not in written, "what was in a message is not logged"


def test_keys_of_the_broker_that_hold_something_else_are_cleared(broker: redis.Redis, log: Path) -> None:
    publish(CHAIN)
    with workers.worker(log) as worker:
        for key in (*LANES, "_kombu.binding.erip"):
            broker.delete(key)
            broker.set(key, "not a queue")
        until(lambda: all(broker.type(lane) != b"string" for lane in LANES), what="the queues are usable again")
        broker.delete("_kombu.binding.erip")
        broker.sadd("_kombu.binding.erip", "garbage", "a\x06\x16b", b"\xff")

        a_run_succeeds()

        assert worker.poll() is None
    assert "Traceback" not in log.read_text()


def test_a_worker_starts_on_a_broker_full_of_nonsense(broker: redis.Redis, log: Path) -> None:
    publish(CHAIN)
    broker.set("_kombu.binding.erip", "not a set")
    for lane in LANES:
        broker.lpush(lane, *[content for _, content in messages.all_kinds()])
    with workers.worker(log) as worker:
        until(lambda: taken(broker), what="the worker has taken them")
        a_run_succeeds()
        assert worker.poll() is None
    assert "Traceback" not in log.read_text()


# --- the gate itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content"), messages.all_kinds(), ids=[name for name, _ in messages.all_kinds()])
def test_a_message_is_refused_or_made_anew(name: str, content: bytes) -> None:
    try:
        made = gate.read(content, "high")
    except gate.Refused:
        return
    assert made["headers"]["task"] == "workflows.execute"
    assert made["properties"]["delivery_info"]["routing_key"] == "high", "the queue it came from, not what it says"
    assert made["headers"]["eta"] is None
