"""Messages that ERIP writes are those that it reads, and that any Celery worker takes."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.virtual import Message

from erip.foundation.process import messages
from workflows import tasks

RUNS = st.lists(st.uuids().map(str), min_size=1, max_size=20)
CHUNKS = st.lists(st.integers(1, 2**63 - 1), min_size=1, max_size=20)
SENT = st.one_of(
    st.tuples(st.just(tasks.execute.name), RUNS.map(lambda ids: {"run_ids": ids})),
    st.tuples(st.just(tasks.execute_chunks.name), CHUNKS.map(lambda ids: {"chunk_ids": ids})),
)
LANES = st.sampled_from(["critical", "high", "standard", "bulk"])


class Channel:
    """As much of kombu's channel as its messages use."""

    def decode_body(self, body: Any, encoding: str) -> Any:
        from kombu.transport.virtual import Base64

        assert encoding == "base64"
        return Base64().decode(body)


@given(SENT, LANES)
def test_what_is_written_is_read(sent: tuple[str, dict[str, Any]], lane: str) -> None:
    task, keywords = sent
    read = messages.read(messages.write(task, keywords, lane), lane)
    assert read["headers"]["task"] == task
    assert read["properties"]["delivery_info"]["routing_key"] == lane
    assert Message(read, channel=Channel()).decode()[:2] == [[], keywords]


@given(SENT, LANES)
def test_a_release_that_does_not_look_first_takes_it_as_celery_s(sent: tuple[str, dict[str, Any]], lane: str) -> None:
    """kombu hands the worker what is in the queue, and the worker reads these headers."""
    task, keywords = sent
    raw = orjson.loads(messages.write(task, keywords, lane))
    message = Message(raw, channel=Channel())
    arguments, found, embedded = message.decode()
    assert (arguments, found) == ([], keywords)
    assert not any(embedded.values())
    ours, celery = message.headers, tasks.execute.app.amqp.as_task_v2("an-id", task, kwargs=keywords).headers
    assert {name for name, value in celery.items() if value} - ours.keys() == set()
    assert (ours["task"], ours["lang"], ours["ignore_result"]) == (task, "py", True)
    assert ours["id"] == ours["root_id"] == message.properties["correlation_id"]


@given(SENT, LANES)
def test_no_two_messages_have_one_id(sent: tuple[str, dict[str, Any]], lane: str) -> None:
    first, second = (orjson.loads(messages.write(*sent, lane)) for _ in range(2))
    assert first["headers"]["id"] != second["headers"]["id"]
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]
