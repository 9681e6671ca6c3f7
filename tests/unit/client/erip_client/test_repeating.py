"""A request is sent again where that helps, and only where it can do no harm."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from erip_client import AsyncClient, Client, Conflict, Refused, TooBusy, Unreachable
from erip_client.calls import Call
from erip_client.calls.base import segment
from tests.support.scripted import Answer, answer, problem, scripted
from tests.unit.client.erip_client.test_openapi import FUNCTIONS, made

STARTED = {
    "id": "019abc4e-7b0f-7cc3-98d2-1f0c2a5d9e11", "workflow": "triage", "version": 1, "lane": "high",
    "status": "PENDING", "business_key": None, "created_at": "2026-11-25T08:00:00Z", "existing": False,
}  # fmt: skip
GOOD = answer(202, STARTED)
KEY = "erip_test_secret"
#: calls whose answer alone holds a secret: a second one would make another, and leave the first with nobody
NEVER = {"make_key", "rotate_key"}


def client(url: str, **named: Any) -> Client:
    return Client(url, KEY, **{"timeout": 5, "patience": 10, **named})


def start(url: str, **named: Any) -> str:
    with client(url, **named) as erip:
        return erip.start_run("triage", {}).id


async def start_async(url: str) -> str:
    async with AsyncClient(url, KEY, timeout=5, patience=10) as erip:
        return (await erip.start_run("triage", {})).id


BOTH = pytest.mark.parametrize("start", [start, lambda url: asyncio.run(start_async(url))], ids=["sync", "async"])


@BOTH
@pytest.mark.parametrize(
    "first",
    [
        problem(503, "database-unavailable", Retry_After=0),
        problem(429, "lane-full", Retry_After=0),
        problem(408, "too-slow"),
        problem(409, "request-under-way", Retry_After=0),
        answer(502, b"<html>", "text/html"),
        answer(504, b"", "text/html"),
        None,
        b"HTTP/1.1 200",
        b"HTTP/1.1 202 X\r\nContent-Length: 900\r\n\r\n{",
    ],
    ids=["503", "429", "408", "409", "502", "504", "closed", "half a head", "half a body"],
)
def test_a_start_is_repeated_under_the_same_key(start: Callable[[str], str], first: Answer) -> None:
    with scripted([first, GOOD]) as server:
        assert start(server.url) == STARTED["id"]
    keys = server.headers("Idempotency-Key")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert re.fullmatch("[0-9a-f]{32}", keys[0])
    assert server.requests[0] == server.requests[1]


@BOTH
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422, 500])
def test_what_would_be_refused_again_is_not_repeated(start: Callable[[str], str], status: int) -> None:
    with scripted([problem(status, "so-it-is"), GOOD]) as server, pytest.raises(Refused) as raised:
        start(server.url)
    assert (raised.value.status, raised.value.code) == (status, "so-it-is")
    assert len(server.requests) == 1


def test_a_call_that_may_not_be_repeated_is_not_when_its_answer_was_lost() -> None:
    call: Call[Any] = Call(operation="", method="POST", template="/x", answers={200: None})
    with scripted([None]) as server, client(server.url) as erip, pytest.raises(Unreachable) as raised:
        erip.call(call)
    assert raised.value.may_have_happened
    assert len(server.requests) == 1


def test_a_retry_after_beyond_the_patience_is_raised_at_once() -> None:
    with scripted([problem(429, "lane-full", Retry_After=60), GOOD]) as server, pytest.raises(TooBusy) as raised:
        start(server.url)
    assert raised.value.retry_after == 60
    assert len(server.requests) == 1


def test_no_patience_means_one_attempt() -> None:
    with scripted([None, GOOD]) as server, pytest.raises(Unreachable):
        start(server.url, patience=0)


def test_each_pause_is_announced() -> None:
    said: list[tuple[str, float]] = []
    with scripted([None, GOOD]) as server:
        start(server.url, on_retry=lambda error, pause: said.append((type(error).__name__, pause)))
    assert [name for name, _ in said] == ["Unreachable"]
    assert 0.1 <= said[0][1] <= 0.2


def test_a_repeated_delete_that_finds_nothing_has_done_its_work() -> None:
    gone = problem(404, "unknown-trigger")
    with scripted([None, gone]) as server, client(server.url) as erip:
        assert erip.delete_trigger("mute") is None
    with scripted([gone]) as server, client(server.url) as erip, pytest.raises(Refused):
        erip.delete_trigger("mute")


def test_a_conflict_is_told_from_a_request_that_is_under_way() -> None:
    with scripted([problem(409, "run-not-ended"), GOOD]) as server, pytest.raises(Conflict):
        start(server.url)


def test_calls_whose_answer_holds_a_secret_are_not_repeated() -> None:
    assert {name for name in FUNCTIONS if not made(FUNCTIONS[name]).repeatable} == NEVER


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in NEVER])
def test_every_other_call_may_be_repeated(name: str) -> None:
    call = made(FUNCTIONS[name])
    assert call.repeatable
    assert call.key is None or call.key == "some-text"
    if call.method in ("POST", "PATCH"):
        assert call.keyed != call.safe


@pytest.mark.parametrize(("dry_run", "attempts"), [(True, 2), (False, 1)])
def test_an_erasure_is_repeated_only_where_it_is_dry(dry_run: bool, attempts: int) -> None:
    with scripted([None, problem(404, "unknown-subject")]) as server, client(server.url) as erip:
        with pytest.raises(Refused if dry_run else Unreachable):
            erip.erase_person("ada", reason="asked for it", dry_run=dry_run)
        assert len(server.requests) == attempts


def test_an_event_has_its_id_before_it_is_first_sent() -> None:
    accepted = answer(202, {"accepted": 1, "duplicates": 0})
    with scripted([None, accepted]) as server, client(server.url) as erip:
        erip.send_events({"type": "t", "source": "/s"})
    assert server.requests[0] == server.requests[1]
    assert b'"id":"' in server.requests[0]
    assert server.headers("Idempotency-Key") == []


@pytest.mark.parametrize("name", ["..", ".", "", "\ud800"])
def test_a_name_that_would_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        segment("name", name)


@pytest.mark.parametrize(
    ("text", "path"), [("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c"), ("ü", "%C3%BC"), ("%2e", "%252e")]
)
def test_a_name_stays_one_segment_of_the_path(text: str, path: str) -> None:
    with scripted([problem(404, "unknown-trigger")]) as server, client(server.url) as erip, pytest.raises(Refused):
        erip.get_trigger(text)
    assert server.requests[0].startswith(f"GET /api/v1/triggers/{path} HTTP/1.1\r\n".encode())
