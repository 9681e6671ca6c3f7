"""The limit on bodies, spoken to in ASGI itself."""

import asyncio
from collections.abc import Sequence

import pytest

from erip.foundation.http.limits import BodyLimit, body_limit

LIMIT = 1024 * 1024


class Heard:
    """What the application behind the limit was given."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.headers: dict[bytes, bytes] = {}

    async def __call__(self, scope, receive, send):
        message = await receive()
        self.body = message["body"]
        self.headers = dict(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def send(headers: Sequence[tuple[bytes, bytes]], chunks: Sequence[bytes], path: str = "/api/v1/runs") -> tuple:
    heard, sent = Heard(), []
    left = list(chunks)

    async def receive():
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def answer(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": list(headers)}
    asyncio.run(BodyLimit(heard)(scope, receive, answer))
    return sent[0]["status"], heard, left


def test_a_declared_length_over_the_limit_is_refused_unread():
    status, heard, left = send([(b"content-length", str(LIMIT + 1).encode())], [b"x"])

    assert status == 413
    assert heard.body is None
    assert left == [b"x"]


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes_in():
    chunk = b"x" * (LIMIT // 4)
    status, heard, left = send([(b"transfer-encoding", b"chunked")], [chunk] * 100)

    assert status == 413
    assert heard.body is None
    assert len(left) == 95


def test_a_chunked_body_within_the_limit_gets_its_length():
    status, heard, _ = send([(b"transfer-encoding", b"chunked")], [b'{"a"', b": 1}"])

    assert status == 200
    assert heard.body == b'{"a": 1}'
    assert heard.headers == {b"content-length": b"8"}


def test_a_body_of_exactly_the_limit_passes():
    status, _, _ = send([(b"transfer-encoding", b"chunked")], [b"x" * LIMIT])

    assert status == 200


@pytest.mark.parametrize("path", ["/api/v1/runs", "/admin/", "/api/v1/runs/bulk/"])
def test_only_a_bulk_start_may_be_larger(path):
    assert body_limit(path) == LIMIT
    assert body_limit("/api/v1/runs/bulk") == 16 * LIMIT
