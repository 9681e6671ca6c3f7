"""HAProxy with the file that is rendered for it: what it sends to a web process, and how often. The web processes here
are sockets that write down what they are sent."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from erip.ops.deploy.balancer import Balancer, Rules
from erip.ops.deploy.nodes import Address, PostgresPeer
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.ports import any_free
from tests.support.programs import needs
from tests.support.raw import Raw
from tests.workers import until

pytestmark = needs("haproxy")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 20_000_000


class Server:
    """A web process that answers every request with 200, but drops the connection of one that asks for its death."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        #: the first lines of the requests that came, without the balancer's own
        self.lines: list[bytes] = []
        self.heads: list[bytes] = []
        #: answers to requests for /slow wait for it
        self.go_on = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        said = b""
        with connection:
            while True:
                try:
                    piece = connection.recv(65_536)
                except OSError:
                    return
                if not piece:
                    return
                said += piece
                while b"\r\n\r\n" in said:
                    head, _, rest = said.partition(b"\r\n\r\n")
                    length = 0
                    for line in head.lower().split(b"\r\n"):
                        if line.startswith(b"content-length:"):
                            length = int(line.partition(b":")[2])
                    if len(rest) < length:
                        break
                    said = rest[length:]
                    if b"/health/ready" not in head:
                        self.lines.append(head.partition(b"\r\n")[0])
                        self.heads.append(head)
                    if b"/death" in head:
                        return
                    if b"/slow" in head:
                        self.go_on.wait(60)
                    if b"/static/large" in head:
                        with suppress(OSError):
                            connection.sendall(LARGE)
                        return
                    connection.sendall(OK)

    def close(self) -> None:
        with suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Site:
    def __init__(self, url: str, servers: list[Server]) -> None:
        self.url = url
        self.servers = servers

    def came(self, word: bytes) -> int:
        """How many requests with this word in their first line reached a web process."""
        return sum(word in line for server in self.servers for line in server.lines)


@contextmanager
def balanced(
    folder: Path,
    servers: list[Server] | list[Address],
    stats: str = "",
    *,
    active: str = "",
    admin: str = "",
    **rules: int,
) -> Iterator[Site]:
    web_port, rw, ro = any_free(), any_free(), any_free()
    webs = [
        server if isinstance(server, Address) else Address(f"web-{number}", "127.0.0.1", server.port)
        for number, server in enumerate(servers, 1)
    ]
    nowhere = [PostgresPeer("postgres-1", "127.0.0.1", any_free(), any_free())]
    known = Rules(maxconn_all=2000, **rules)  # type: ignore[arg-type]
    text = Balancer(webs, nowhere, web_port, rw, ro, known, stats=stats, active=active, admin=admin).render()
    file = folder / "haproxy.cfg"
    # HAProxy itself waits ten seconds for a client; a test waits less.
    file.write_text(text.replace("timeout http-request 10s", "timeout http-request 3s"))
    program = shutil.which("haproxy", path=SYSTEM_FOLDERS)
    assert program
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([program, "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        site = Site(f"http://127.0.0.1:{web_port}", [one for one in servers if isinstance(one, Server)])
        until(lambda: works(site), what="the balancer serves")
        yield site
    finally:
        process.terminate()
        process.wait(10)


def works(site: Site) -> bool:
    try:
        with Raw(site.url) as client:
            client.send(get("/hello"))
            return client.status() == 200
    except OSError:
        return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    servers = [Server(), Server()]
    with balanced(tmp_path, servers, concurrency=4, large=4) as site:
        yield site
    for server in servers:
        server.close()


def get(path: str, *lines: str) -> bytes:
    return request("GET", path, *lines)


def request(method: str, path: str, *lines: str, body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *length, *lines, "", ""]).encode() + body


@pytest.mark.parametrize(
    "sent",
    [
        get("/death"),
        request("HEAD", "/death"),
        request("POST", "/death", body=b"{}"),
        request("POST", "/death", "Idempotency-Key: k", body=b"{}"),
        request("PUT", "/death", "Idempotency-Key: k", body=b"{}" * 20_000),
        request("POST", "/death", "Prefer: wait=5", "Idempotency-Key: k", body=b"{}"),
        get("/api/v1/events/stream?death=/death"),
    ],
    ids=["GET", "HEAD", "POST", "with a key", "large", "waiting", "stream"],
)
def test_a_request_that_ends_a_web_process_is_sent_to_no_other_one(site, sent):
    with Raw(site.url) as client:
        client.send(sent)
        assert client.status(15) == 502
    time.sleep(0.5)
    assert site.came(b"death") == 1


def test_a_web_process_that_refuses_connections_is_passed_by(tmp_path):
    gone, there = Server(), Server()
    gone.close()
    with balanced(tmp_path, [gone, there], concurrency=50) as site:
        for method in ("GET", "POST"):
            for _ in range(10):
                with Raw(site.url) as client:
                    client.send(request(method, "/hello", body=b"{}"))
                    assert client.status() == 200
    there.close()


def test_clients_that_drip_reach_no_web_process_and_others_are_served(site):
    with ExitStack() as stack:
        slow = [stack.enter_context(Raw(site.url)) for _ in range(100)]
        for number, client in enumerate(slow):
            lines = [f"Content-Length: {(100, 16_000)[number % 2]}", *(["Prefer: wait=9"] if number % 3 else [])]
            client.send(request("POST", "/drip", *lines) + b"x")
        for number in range(20):
            with Raw(site.url) as client:
                client.send(request("POST", f"/good{number}", body=b"{}"))
                assert client.status(2) == 200
        assert site.came(b"drip") == 0
        # HAProxy does not wait for them, either.
        assert {client.status(8) for client in slow} == {408}


def test_large_bodies_that_drip_hold_no_place_of_small_ones(site):
    with ExitStack() as stack:
        for number in range(60):
            client = stack.enter_context(Raw(site.url))
            if number % 2:
                client.send(request("POST", "/drip", "Content-Length: 100000") + b"x" * 40_000)
            else:
                client.send(request("POST", "/drip", "Transfer-Encoding: chunked") + b"1\r\nx\r\n")
        for number in range(20):
            with Raw(site.url) as client:
                client.send(request("POST", f"/good{number}", body=b"{}" * 8_000))
                assert client.status(2) == 200


def test_clients_that_do_not_read_their_file_hold_no_place_of_others(site):
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(Raw(site.url, buffer=4096))
            client.send(get("/static/large"))
        for number in range(20):
            with Raw(site.url) as client:
                client.send(request("POST", f"/good{number}", body=b"{}"))
                assert client.status(2) == 200


def test_one_address_has_a_bounded_number_of_connections_and_another_one_its_own(tmp_path):
    server = Server()
    with balanced(tmp_path, [server], per_address=50) as site, ExitStack() as stack:
        accepted = 0
        for _ in range(60):
            # Refused with a reset, which may come before the connection counts as made.
            with suppress(ConnectionError):
                client = stack.enter_context(Raw(site.url, source="127.0.0.9"))
                accepted += client.send(b"GET / HTTP/1.1\r\n") and not client.closed(0.02)
        assert 40 <= accepted <= 50
        with Raw(site.url) as client:
            client.send(get("/hello"))
            assert client.status(3) == 200
    server.close()


def test_the_clients_address_is_appended_to_what_it_says_itself(site):
    with Raw(site.url, source="127.0.0.8") as client:
        client.send(get("/address", "X-Forwarded-For: 192.0.2.1"))
        assert client.status() == 200
    (head,) = [head for server in site.servers for head in server.heads if b"/address" in head]
    lines = [line for line in head.lower().split(b"\r\n") if line.startswith(b"x-forwarded-for:")]
    assert lines == [b"x-forwarded-for: 192.0.2.1", b"x-forwarded-for: 127.0.0.8"]


def test_no_request_is_smuggled_past_the_balancer(site):
    hidden = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for sent in (
        request("POST", "/front", "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden,
        request("POST", "/front", "Content-Length: 4", "Content-Length: 50") + b"abcd" + hidden,
        request("POST", "/front", "Transfer-Encoding: xchunked") + b"0\r\n\r\n" + hidden,
        request("POST", "/front", "Transfer-Encoding : chunked") + b"0\r\n\r\n" + hidden,
        request("GET", "/front", "Content-Length: +10") + hidden,
    ):
        with Raw(site.url) as client:
            client.send(sent)
            said = client.answer(2)
        # Either all of it is refused, or the rest is a request of its own, which HAProxy has seen as one.
        answers = said.count(b"HTTP/1.1 ")
        assert site.came(b"hidden") <= max(0, answers - 1), (sent, said)
        for server in site.servers:
            server.lines.clear()
