"""Which targets a webhook may have, and that one deadline holds whatever the other side does. On real sockets."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from standardwebhooks import Webhook

from erip.foundation.outbound.addresses import Refused, Unresolved, permitted, refusal
from erip.foundation.outbound.webhook import DeliveryFailed, Target, post

SECRET = "whsec_dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3Rz"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3",
        "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "192.88.99.1", "240.0.0.1",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:db8::1", "fc00::1", "fd12::1", "fe80::1",
        "fec0::1", "ff02::1", "100::1", "3fff::1", "5f00::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(ip_address(address), allow_private=False)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"])
def test_a_public_address_is_called(address: str) -> None:
    assert refusal(ip_address(address), allow_private=False) is None


def test_where_private_targets_are_allowed_metadata_services_still_are_not() -> None:
    assert refusal(ip_address("10.0.0.1"), allow_private=True) is None
    for address in ("169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1"):
        assert refusal(ip_address(address), allow_private=True)


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(Refused, match=r"10\.0\.0\.1"):
        permitted("mixed.example", 443, allow_private=False, resolver=lambda *_: ["8.8.8.8", "10.0.0.1"])
    assert permitted("ok.example", 443, allow_private=False, resolver=lambda *_: ["8.8.8.8"]) == "8.8.8.8"
    with pytest.raises(Unresolved):
        permitted("none.example", 443, allow_private=False, resolver=lambda *_: [])


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https:///x", "https://u:p@example.com/",
        "https://example.com:99999/", "https://exa mple.com/", "https://example.com/\r\nX: y", "javascript:alert(1)",
        "https://[::1", "//example.com", "https://example.com/ü",
    ],
)  # fmt: skip
def test_a_url_that_is_no_public_https_url_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        Target.of(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://2130706433/", "https://0x7f.1/"]
)
def test_an_address_in_the_url_is_checked_however_it_is_written(url: str) -> None:
    with pytest.raises(Refused, match=r"not a public address|never called"):
        post(url, "{}", message_id="m", secret=SECRET, now=datetime.now(UTC), allow_private=False)


@contextmanager
def server(answer: bytes | None, *, drip: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """Takes connections one by one, keeps what was sent, answers, drips bytes if asked to, and closes."""
    listening = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []
    stop = threading.Event()

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                data = b""
                try:
                    while b"\r\n\r\n" not in data:
                        data += connection.recv(65536)
                    head, _, body = data.partition(b"\r\n\r\n")
                    length = int(
                        next(h.split(b":")[1] for h in head.split(b"\r\n") if h.lower().startswith(b"content-l"))
                    )
                    while len(body) < length:
                        body += connection.recv(65536)
                    received.append(head + b"\r\n\r\n" + body)
                    if answer:
                        connection.sendall(answer)
                    while drip and not stop.wait(drip):
                        connection.sendall(b"x")
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], received
    finally:
        stop.set()
        # shutdown wakes the accept; close alone leaves it waiting.
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def send(port: int, **options: object) -> str:
    settings: dict[str, object] = {
        "message_id": "run:notify:",
        "secret": SECRET,
        "now": datetime.now(UTC),
        "allow_private": True,
        "timeout": 5.0,
        "resolver": lambda *_: ["127.0.0.1"],
    }
    return post(f"http://hooks.example:{port}/in?x=1", '{"a":1}', **(settings | options))  # type: ignore[arg-type]


def test_a_webhook_is_signed_and_goes_to_the_pinned_address_under_its_own_name() -> None:
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    with server(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, received):
        assert send(port, resolver=resolver) == "204 No Content"
    head, _, body = received[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert lines[0] == "POST /in?x=1 HTTP/1.1"
    assert headers["Host"] == f"hooks.example:{port}"
    assert headers["webhook-id"] == "run:notify:"
    # The receiver's own library accepts the signature, and does not accept another body's.
    assert Webhook(SECRET).verify(body, headers) == {"a": 1}
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRET).verify(b'{"a":2}', headers)
    # hooks.example exists nowhere: only the resolver's one answer can have led here.
    assert asked == [("hooks.example", port)]


def test_a_redirect_is_not_followed() -> None:
    with server(b"HTTP/1.1 204 OK\r\n\r\n") as (elsewhere, reached):
        answer = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % elsewhere
        with server(answer) as (port, _), pytest.raises(DeliveryFailed, match="redirects are not followed") as error:
            send(port)
        assert not error.value.retryable
        assert reached == []


@pytest.mark.parametrize(
    ("status", "retryable", "after"),
    [
        ("500 Oops", True, None),
        ("429 Slow\r\nRetry-After: 17", True, 17.0),
        ("400 No", False, None),
        ("410 Gone", False, None),
    ],
)
def test_a_refusal_says_whether_to_try_again(status: str, retryable: bool, after: float | None) -> None:
    with (
        server(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as (port, _),
        pytest.raises(DeliveryFailed) as error,
    ):
        send(port)
    assert (error.value.retryable, error.value.retry_after) == (retryable, after)


@pytest.mark.parametrize(
    "answer", [None, b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_dripping_answer_does_not_outlast_the_deadline(answer: bytes | None) -> None:
    began = time.monotonic()
    with server(answer, drip=0.05) as (port, _), pytest.raises(DeliveryFailed) as error:
        send(port, timeout=0.6)
    assert time.monotonic() - began < 30
    assert error.value.retryable


def test_an_endless_answer_is_read_up_to_a_bound() -> None:
    flood = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000
    with server(flood) as (port, _):
        assert send(port) == "200 OK"


def test_nobody_there_is_a_failure_to_try_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DeliveryFailed) as error:
        send(port)
    assert error.value.retryable


def test_tls_asks_for_the_name_and_not_for_the_address() -> None:
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, pytest.raises(OSError):
                # No certificate to show: the handshake fails after the name was heard.
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(DeliveryFailed):
            post(
                f"https://hooks.example:{listening.getsockname()[1]}/",
                "{}",
                message_id="m",
                secret=SECRET,
                now=datetime.now(UTC),
                allow_private=True,
                resolver=lambda *_: ["127.0.0.1"],
            )
        thread.join(5)
    assert asked == ["hooks.example"]
