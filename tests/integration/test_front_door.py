"""The front door of a real web process: clients that drip, say nothing, do not listen, or speak in two ways at once."""

import concurrent.futures
import json
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from erip.access.scopes import Scope
from tests.support.api import INPUT, key, publish
from tests.support.raw import Raw
from tests.support.web import Web, status, web
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

START = "/api/v1/workflows/look-up/runs"
#: every kind of door that could read a body
DOORS = (
    ("POST", START),
    ("POST", "/api/v1/runs/bulk"),
    ("POST", "/api/v1/events"),
    ("PUT", "/api/v1/workflows/look-up"),
    ("GET", "/api/v1/events/stream"),
    ("GET", "/api/v1/runs"),
    ("DELETE", "/api/v1/triggers/nothing"),
    ("POST", "/health/live"),
    ("GET", "/health/ready"),
    ("POST", "/reports/nothing"),
    ("POST", "/"),
    ("POST", "/nowhere"),
    ("OPTIONS", "/api/v1/runs"),
    ("HEAD", "/api/v1/runs"),
    ("TRACE", "/api/v1/runs"),
    ("PURGE", "/api/v1/runs"),
)
#: shorter than in production, because the tests wait for these limits
PATIENCE = {
    "ERIP_BODY_GRACE_SECONDS": "2",
    "ERIP_HEAD_SECONDS": "2",
    "ERIP_STALL_SECONDS": "2",
    "ERIP_BODY_MEMORY": str(8 * 1024 * 1024),
    "ERIP_CONNECTIONS_PER_ADDRESS": "300",
}


@pytest.fixture
def served(tmp_path: Path) -> "Web":
    with web(tmp_path / "web.log", **PATIENCE) as served:
        yield served
    log = (tmp_path / "web.log").read_text()
    assert "Traceback" not in log, log


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode("latin-1")


def start_of_a_body(method: str, path: str, *lines: str) -> bytes:
    return head(method, path, "Content-Type: application/json", "Content-Length: 1000", *lines) + b'{"a'


def good(url: str, token: str) -> int:
    """The status of the answer when a run is started in the ordinary way."""
    body = json.dumps({"input": INPUT}).encode()
    lines = (f"Authorization: Bearer {token}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    with Raw(url) as client:
        client.send(head("POST", START, *lines, "Connection: close") + body)
        return client.status()


def memory(served: Web) -> int:
    processes = [psutil.Process(served.process.pid), *psutil.Process(served.process.pid).children(recursive=True)]
    return sum(one.memory_info().rss for one in processes)


def connections(served: Web) -> int:
    """Connections of clients, in all processes of the server."""
    workers = psutil.Process(served.process.pid).children()
    port = int(served.url.rpartition(":")[2])
    open_ones = [one for worker in workers for one in worker.net_connections("tcp") if one.status == "ESTABLISHED"]
    return len([one for one in open_ones if one.laddr.port == port])


def test_a_strangers_body_is_refused_at_once_at_every_door(shared):
    for method, path in DOORS:
        for lines in ((), ("Authorization: Bearer erip_abcdefgh_" + "x" * 40,), ("Cookie: sessionid=nonsense",)):
            with Raw(shared.url) as client:
                client.send(start_of_a_body(method, path, *lines))
                said = client.answer(30)
            assert said.startswith(b"HTTP/1.1 "), (method, path)
            assert int(said.split()[1]) < 500 or said.startswith(b"HTTP/1.1 501"), (method, path, said)
            assert b"connection: close" in said.lower(), (method, path, said)
            # It would be 408 if the rest had been waited for.
            assert int(said.split()[1]) != 408, (method, path, said)
            assert b"100 Continue" not in said


def test_a_chunked_body_of_a_stranger_is_refused_unread_with_and_without_an_expectation(shared):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    before = memory(shared)
    for lines in ((), ("Expect: 100-continue",)):
        with ExitStack() as stack:
            clients = [stack.enter_context(Raw(shared.url)) for _ in range(40)]
            for client in clients:
                client.send(head("POST", "/api/v1/events", "Transfer-Encoding: chunked", *lines))
            with concurrent.futures.ThreadPoolExecutor(40) as pool:
                list(pool.map(lambda client: client.send(chunk * 64), clients))
            answers = [client.answer(3) for client in clients]
        assert {int(said.split()[1]) for said in answers if said} == {401}
        assert not any(b"100 Continue" in said for said in answers)
    assert memory(shared) - before < 24 * 1024 * 1024


def test_the_answer_to_a_body_that_was_not_read_arrives(shared):
    # The whole body is already sent when the answer comes: a reset would destroy the answer.
    with Raw(shared.url) as client:
        client.send(head("POST", "/api/v1/events", "Content-Length: 3000000") + b"x" * 1_000_000)
        said = client.answer()
    assert said.startswith(b"HTTP/1.1 401")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["status"] == 401


def test_bodies_that_drip_are_ended_and_others_are_served_meanwhile(served):
    publish()
    token = key(Scope.OPERATOR)
    keyed = f"Authorization: Bearer {token}"
    with ExitStack() as stack:
        for number in range(60):
            client = stack.enter_context(Raw(served.url))
            path = ("/admin/login/", START, "/api/v1/runs/bulk")[number % 3]
            client.send(start_of_a_body("POST", path, *([keyed] if number % 2 else [])))
        assert [good(served.url, token) for _ in range(5)] == [202] * 5
        with Raw(served.url) as client:
            began = time.monotonic()
            client.send(start_of_a_body("POST", START, keyed))
            # At this pace the body would take 100 s, and a body may take 120 s in all: it ends because it is behind.
            client.drip(50)
            assert client.status(30) == 408
            assert time.monotonic() - began > float(PATIENCE["ERIP_BODY_GRACE_SECONDS"])
            assert client.closed(30)


def test_a_slow_caller_that_keeps_the_pace_is_served(served):
    publish()
    token = key(Scope.OPERATOR)
    body = json.dumps({"input": {**INPUT, "pad": "x" * 40_000}}).encode()
    with Raw(served.url) as client:
        lines = (f"Authorization: Bearer {token}", "Content-Type: application/json", f"Content-Length: {len(body)}")
        client.send(head("POST", START, *lines))
        for at in range(0, len(body), 5_000):
            time.sleep(0.35)
            client.send(body[at : at + 5_000])
        assert client.status() == 202


def test_the_bodies_of_one_caller_do_not_fill_the_memory(served):
    publish()
    token = key(Scope.OPERATOR)
    before = memory(served)
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(Raw(served.url))
            lines = (f"Authorization: Bearer {token}", "Content-Length: 8000000")
            client.send(head("POST", "/api/v1/runs/bulk", *lines) + b" " * 1_000_000)
        assert good(served.url, token) == 202
        assert memory(served) - before < 3 * 8 * 1024 * 1024
    assert good(served.url, token) == 202


def test_a_head_that_does_not_come_in_is_not_waited_for(shared):
    with ExitStack() as stack:
        silent = stack.enter_context(Raw(shared.url))
        dripping = stack.enter_context(Raw(shared.url))
        dripping.send(b"GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        dripping.drip(50)
        assert dripping.status(30) == 408
        assert silent.closed(30)


def test_idle_connections_beyond_the_limit_make_room_for_new_ones(served):
    publish()
    token = key(Scope.OPERATOR)
    with ExitStack() as stack:
        for _ in range(330):
            stack.enter_context(Raw(served.url))
        assert good(served.url, token) == 202
        assert connections(served) < 330


def test_a_client_that_takes_no_answer_is_cut_off(shared):
    with Raw(shared.url, buffer=4096) as client:
        # Many answers that the client does not read: more than the kernel buffers.
        client.send(head("GET", "/api/schema") * 40)
        until(lambda: connections(shared) == 0, seconds=60, what="a client that takes nothing is cut off")
    assert status(f"{shared.url}/health/live") == 200


def test_clients_that_fetch_a_file_and_do_not_take_it_cost_next_to_nothing(shared):
    bundle = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
    assert status(f"{shared.url}{bundle}") == 200
    before = memory(shared)
    with ExitStack() as stack:
        slow = [stack.enter_context(Raw(shared.url, buffer=4096)) for _ in range(60)]
        for client in slow:
            # More than the kernel buffers.
            client.send(head("GET", bundle) * 5)
        assert [status(f"{shared.url}/health/live") for _ in range(5)] == [200] * 5
        time.sleep(1)
        # Each of them once held the whole file, of 1.4 MB.
        assert memory(shared) - before < 40 * 1024 * 1024
        until(lambda: connections(shared) == 0, seconds=60, what="those who take nothing are cut off")


def test_a_file_is_answered_as_browsers_ask_for_it(shared):
    path = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css"
    said = []
    for line in ("Accept: */*", "Range: bytes=0-9", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"):
        with Raw(shared.url) as client:
            client.send(head("GET", path, "Connection: close", line))
            first, _, body = client.answer(5).partition(b"\r\n\r\n")
            said.append((int(first.split()[1]), len(body), b"content-type: text/css" in first.lower()))
    whole, part, unchanged = said
    assert whole == part
    assert whole[0] == 200
    assert whole[1] > 100_000
    assert whole[2]
    assert unchanged[:2] == (304, 0)
    with Raw(shared.url) as client:
        client.send(head("HEAD", path, "Connection: close"))
        first, _, body = client.answer(5).partition(b"\r\n\r\n")
        assert f"content-length: {whole[1]}".encode() in first.lower()
        assert body == b""


EVENTS = b"POST /api/v1/events HTTP/1.1\r\nHost: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
#: what is sent, and the statuses that are right (0: closed without an answer)
AMBIGUOUS = [
    (EVENTS + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + GET + b"\r\n", {400, 401}),
    (EVENTS + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", {400}),
    (EVENTS + b"Content-Length: 4, 4\r\n\r\nabcd", {400}),
    (EVENTS + b"Content-Length: +4\r\n\r\nabcd", {400}),
    (EVENTS + b"Content-Length: -4\r\n\r\nabcd", {400}),
    (EVENTS + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    (EVENTS + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", {400, 501}),
    (EVENTS + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", {400}),
    (EVENTS + CHUNKED + b"\r\nfffffffffffffffff\r\nx", {400, 401}),
    (GET + b"Host: b\r\n\r\n", {400}),
    (b"GET / HTTP/1.1\nHost: a\n\n", {400}),
    (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {414}),
    (GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n", {431}),
    (GET + b"X: a\r\n" * 2_000 + b"\r\n", {431}),
    (GET + b"Cookie: a=b\r\n" * 101 + b"\r\n", {431}),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01", {0, 400, 408}),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", {400, 505}),
    (b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404, 405, 501}),
]


@pytest.mark.parametrize(("request_", "allowed"), AMBIGUOUS, ids=range(len(AMBIGUOUS)))
def test_a_request_that_two_servers_could_read_in_two_ways_is_refused_and_its_connection_closed(
    request_, allowed, shared
):
    with Raw(shared.url) as client:
        client.send(request_)
        said = client.answer(4)
    assert (int(said.split()[1]) if said else 0) in allowed, said
    # Nothing that follows it is read as a request.
    assert b"\nHTTP/1.1 " not in said, said


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker) -> "Web":
    """For requests that change nothing."""
    log = tmp_path_factory.mktemp("web") / "web.log"
    with django_db_blocker.unblock(), web(log, **PATIENCE) as served:
        yield served
    assert "Traceback" not in log.read_text(), log.read_text()


def test_pipelined_requests_are_answered_in_their_order(shared):
    with Raw(shared.url) as client:
        client.send(
            head("GET", "/health/live") + head("GET", "/nowhere") + head("GET", "/health/live", "Connection: close")
        )
        said = client.answer(5)
    assert [int(part.split()[0]) for part in said.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


def test_http_1_0_keeps_its_connection_only_if_it_asks_to(shared):
    with Raw(shared.url) as client:
        client.send(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert client.status() == 200
        assert client.closed(5)
    with Raw(shared.url) as client:
        client.send(b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.status() == 200
        assert not client.closed(1)


def test_an_upgrade_to_a_websocket_is_refused(shared):
    lines = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    for path in ("/", "/api/v1/events/stream", "/admin/"):
        with Raw(shared.url) as client:
            client.send(head("GET", path, *lines, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="))
            assert client.status() == 403
            assert client.closed(5)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "GET", "PURGE", "get"])
@pytest.mark.parametrize("path", ["/", "/health/live", "/api/v1/runs", "/api/docs", "/admin/", "/admin/login/", "*"])
def test_every_method_has_an_answer_at_every_door(shared, method, path):
    with Raw(shared.url) as client:
        client.send(head(method, path, "X-Secret: echo-me", "Connection: close"))
        said = client.answer(5)
    first, _, rest = said.partition(b"\r\n\r\n")
    assert 200 <= int(first.split()[1]) < 500, said
    assert b"echo-me" not in said, "TRACE gives nothing back"
    if method == "HEAD" and path != "*":
        assert rest == b""
