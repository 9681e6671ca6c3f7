"""Whatever a server answers, the client says what is wrong in one sentence, in time, and with little memory."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from erip.ops.ca import Authority, Leaf
from erip_client import Client, EripError, Invalid, NotAuthenticated, NotUnderstood, Refused, Unreachable, transport
from erip_client.answers import retry_after
from erip_client.streaming import Reader, event_of
from tests.support.scripted import answer, problem, scripted

KEY = "erip_test_secret"
PAGE: dict[str, Any] = {"items": [], "next_cursor": None}


def raised_by(reply: Any, **named: Any) -> EripError:
    with (
        scripted([reply]) as server,
        Client(server.url, KEY, **{"patience": 0, "timeout": 5, **named}) as erip,
        pytest.raises(EripError) as raised,
    ):
        erip.list_runs()
    assert KEY not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(200, b"<html>", "text/html"), "'text/html', not JSON"),
        (answer(404, b"<html>", "text/html"), "'text/html', not JSON"),
        (answer(200, b"", ""), "something without a type"),
        (answer(200, b""), "is not"),
        (answer(200, b'{"items": [', "application/json"), "is not"),
        (answer(200, b"[" * 100_000, "application/json"), "is not"),
        (answer(200, b"\xff\xfe", "application/json"), "is not"),
        (answer(200, b'{"items": [], "next_cursor": NaN}'), "is not"),
        (answer(200, b"[]"), "not what ERIP would say"),
        (answer(200, {"items": [{"id": 7}]}), "items.0"),
        (answer(200, {"items": "x" * 5000}), "items"),
        (answer(200, gzip.compress(b"{}"), Content_Encoding="gzip"), "compressed"),
        (answer(302, b"", Location="https://elsewhere.example/"), "https://elsewhere.example/"),
        (answer(418, {"teapot": True}), "none of ERIP's"),
        (answer(422, [1, 2]), "none of ERIP's"),
        (answer(204, b""), "something"),
    ],
)
def test_an_answer_that_is_not_erips_is_named(reply: bytes, words: str) -> None:
    error = raised_by(reply)
    assert isinstance(error, NotUnderstood)
    assert words in str(error) or words == "something"
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    "reply", [b"", b"\x00" * 9, b"HTTP/9.9 lots\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\na"]
)
def test_what_is_no_http_is_no_answer(reply: bytes) -> None:
    error = raised_by(reply)
    assert isinstance(error, Unreachable)
    assert len(str(error).splitlines()) == 1


def endlessly(head: bytes, chunk: bytes, pause: float = 0.0) -> Any:
    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        stop = time.monotonic() + 20
        while time.monotonic() < stop:
            connection.sendall(chunk)
            time.sleep(pause)

    return send


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


def test_an_endless_body_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MOST", 1_000_000)
    error = raised_by(endlessly(HEAD, b" " * 65_536))
    assert isinstance(error, NotUnderstood)
    assert "MiB" in str(error)


def test_endless_headers_are_cut_off() -> None:
    assert isinstance(raised_by(endlessly(b"HTTP/1.1 200 OK\r\n", b"a: " + b"b" * 60_000 + b"\r\n")), Unreachable)


def test_a_body_that_drips_is_given_up_in_time() -> None:
    began = time.monotonic()
    error = raised_by(endlessly(HEAD, b" ", pause=0.05), timeout=0.5)
    assert isinstance(error, Unreachable)
    assert time.monotonic() - began < 30


def test_a_list_that_does_not_end_is_given_up() -> None:
    reply = answer(200, {"items": [], "next_cursor": "again"})
    with (
        scripted([reply]) as server,
        Client(server.url, KEY) as erip,
        pytest.raises(NotUnderstood, match="does not end"),
    ):
        list(erip.pages(erip.list_runs))


def test_fields_of_a_later_release_are_kept() -> None:
    with scripted([answer(200, {**PAGE, "total": 7})]) as server, Client(server.url, KEY) as erip:
        assert erip.list_runs().model_extra == {"total": 7}


def test_faults_of_any_kind_are_read_or_left_out() -> None:
    faults = [{"path": "input.a", "message": "is wrong"}, {"path": None}, 7, None, {"message": [1]}]
    error = raised_by(problem(422, "invalid-input", faults=faults))
    assert isinstance(error, Invalid)
    assert [str(fault) for fault in error.faults] == ["input.a: is wrong", "", "[1]"]
    assert isinstance(raised_by(problem(422, "x", faults={"a": 1})), Refused)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("-1", None), ("soon", None), ("", None), ("\u0667", None),
     ("9" * 400, 86_400.0),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0), ("1e3", None)],
)  # fmt: skip
def test_a_retry_after_is_a_number_or_a_date_or_nothing(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}) == seconds


def test_a_key_goes_nowhere_but_to_its_server() -> None:
    with scripted([answer(200, PAGE)]) as other:
        with scripted([answer(307, b"", Location=f"{other.url}/api/v1/runs")]) as server:
            with Client(server.url, KEY, patience=0) as erip, pytest.raises(NotUnderstood):
                erip.list_runs()
            assert KEY not in repr(erip) + repr(erip.settings)
            assert server.headers("Authorization") == [f"Bearer {KEY}"]
        assert other.requests == []


@pytest.mark.parametrize("key", ["a b", "a\r\nX: y", "ü", "a\x00", "x" * 2000])
def test_a_key_that_no_key_is_like_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="characters that no key has") as raised:
        Client("http://127.0.0.1:1", key)
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["", "erip", "ftp://x", "http://", "http://u:p@x", "http://x?y", "http://x#y", "http://x y", "http://x:99999",
            "http://[", "https:/x", "http://x:0"]
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address"):
        Client(url, KEY)


def test_a_certificate_counts_only_if_its_authority_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = Leaf("web", "web-1", addresses=("127.0.0.1",), server=True)
    issued = Authority(tmp_path / "ca", "test").issue(tmp_path / "tls", leaf)
    with scripted([answer(200, PAGE)], issued.bundle) as server:
        # It will not be trusted a second later either: no patience is spent on it.
        with Client(server.url, KEY, patience=60) as erip, pytest.raises(NotUnderstood, match="cannot be trusted"):
            erip.list_runs()
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(issued.ca))
        with Client(server.url, KEY) as erip:
            assert erip.list_runs().items == []


# --- streams ----------------------------------------------------------------------------------------------

EVENT = b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}'
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"


def test_a_stream_goes_on_where_it_broke() -> None:
    def answers() -> Iterator[bytes | None]:
        yield STREAM + b": hello\r\n\r\nid: a\r\ndata: " + EVENT + b"\r\n\r\nid: b\n\nda"
        yield None
        yield STREAM + b'event: end\ndata: {"reason": "too_slow"}\n\n'
        yield problem(503, "database-unavailable", Retry_After=0)
        yield STREAM + b"id: c\ndata: " + EVENT[:1] + b"\ndata: " + EVENT[1:] + b"\n\n"

    replies, lock = answers(), threading.Lock()

    def reply(_: bytes) -> bytes | None:
        with lock:
            return next(replies, None)

    with scripted(reply) as server, Client(server.url, KEY, patience=10) as erip:
        stream = erip.stream_events(type=["t", "u.*"], source="/s")
        assert [next(stream).id, next(stream).id] == ["a", "c"]
        stream.close()
    assert server.headers("Last-Event-ID") == ["b"] * 4
    assert all(one.startswith(b"GET /api/v1/events/stream?type=t&type=u.%2A&source=%2Fs ") for one in server.requests)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (problem(410, "event-id-too-old"), Refused),
        (STREAM + b'event: end\ndata: {"reason": "access_ended"}\n\n', NotAuthenticated),
        (STREAM + b"data: {}\n\n", NotUnderstood),
        (STREAM + b"data: not json\n\n", NotUnderstood),
        (answer(200, PAGE), NotUnderstood),
        (STREAM, Unreachable),
    ],
)
def test_a_stream_that_cannot_go_on_says_why(reply: bytes, kind: type[EripError]) -> None:
    with scripted([reply]) as server, Client(server.url, KEY, patience=0) as erip, pytest.raises(kind):
        next(erip.stream_events())


def test_an_event_without_end_is_given_up() -> None:
    reply = endlessly(STREAM + b"data: ", b"x" * 65_536)
    with (
        scripted([reply]) as server,
        Client(server.url, KEY, patience=0) as erip,
        pytest.raises(NotUnderstood, match="MiB"),
    ):
        next(erip.stream_events())


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_stream_reads_the_same_however_it_is_cut(size: int) -> None:
    whole = b"\n\nid: 1\ndata: " + EVENT + "\n\n: ü\nretry: 9\nid: 2\r\ndata:".encode() + EVENT + b"\r\n\r\n"
    reader = Reader()
    found = [one for at in range(0, len(whole), size) for one in reader.feed(whole[at : at + size])]
    assert [(one.id, one.data.encode()) for one in found] == [("1", EVENT), ("2", EVENT)]
    assert all(event_of(one) for one in found)
