"""What shows only behind gunicorn itself: it reads a cancelled wait as the end of a connection, and it logs."""

import errno
import http.client
import json
import select
import socket
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from erip.foundation.hooks import at_web_start, warm_up
from erip.ops.stack.ports import any_free
from erip.ops.stack.processes import listens
from tests import workers
from tests.fuzz import wire
from tests.support.api import INPUT, key, publish
from tests.support.web import status, web
from tests.workers import until
from workflows import engine, graphs
from workflows.events.interest import begin
from workflows.graphs import load_latest_graphs
from workflows.models import WorkflowVersion

pytestmark = pytest.mark.django_db(transaction=True)


def call(url: str, token: str, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    link = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    sent = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    content = None if body is None else json.dumps(body)
    if content is not None:
        sent["Content-Type"] = "application/json"
    link.request(method, f"/api/v1{path}", content, sent)
    answer = link.getresponse()
    read = answer.read()
    link.close()
    return answer.status, read


def test_a_request_that_the_light_path_leaves_to_the_ordinary_way_is_answered(tmp_path: Path) -> None:
    publish()
    token = key()
    run = engine.start_runs("look-up", [engine.StartRequest(INPUT)], principal="test")[0].id
    with web(tmp_path / "web.log") as site:
        first = call(site.url, token, "POST", f"/runs/{run}/cancel", {"reason": "x"}, Idempotency_Key="k")
        again = call(site.url, token, "POST", f"/runs/{run}/cancel", {"reason": "x"}, Idempotency_Key="k")
        strange = call(site.url, token, "GET", f"/runs/{run}", ERIP_Consistency_Token="none")

    assert (first[0], again[0]) == (200, 200)
    assert again[1] == first[1]
    assert strange[0] == 400


def test_a_stream_that_ends_and_a_head_of_it_leave_nothing_in_the_log(tmp_path: Path) -> None:
    token = key()
    log = tmp_path / "web.log"
    with web(log) as site:
        port = int(urlsplit(site.url).port or 0)
        lines = [("Host", "localhost"), ("Authorization", f"Bearer {token}")]
        before = log.stat().st_size
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
                link.sendall(wire.request("GET", "/api/v1/events/stream", lines))
                received = b""
                while b"retry:" not in received:
                    received += link.recv(4096)
        head, _ = wire.exchange(port, wire.request("HEAD", "/api/v1/events/stream", [*lines, ("Connection", "close")]))
        # Once a sixth has been admitted and has ended, the last of the five is over.
        until(lambda: wire.exchange(port, wire.request("GET", "/health/live", lines[:1]), seconds=2)[0] == 200)

    written = log.read_text()[before:]
    assert head == 200
    assert "Traceback" not in written
    assert "body bytes on a no-body response" not in written


def test_a_process_that_cannot_answer_yet_takes_no_connection_from_one_that_can(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with web(tmp_path / "old.log", shared=True) as old:
        place = urlsplit(old.url).netloc
        arguments = ["-m", "gunicorn", "-c", "python:tests.support.held_web", f"--bind={place}", "--reuse-port"]
        with workers.process([*arguments, "--workers=1"], tmp_path / "new.log", TEST_GATE=str(gate)) as new:
            until(gate.with_suffix(".forked").exists, seconds=60, what="the new process has its socket")
            # Each is a connection of its own, of which the system would give every second one to the new process.
            while_it_loads = [status(f"{old.url}/health/live") for _ in range(40)]
            # All of them would go to the old one by now, whoever listens.
            assert not listens(new.pid, urlsplit(old.url).port)
            gate.touch()
            until(lambda: "ASGI server listening" in (tmp_path / "new.log").read_text(), seconds=60, what="it listens")
            old.process.terminate()
            until(lambda: old.process.poll() is not None, seconds=60, what="the old process has ended")
            afterwards = status(f"{old.url}/health/live")
            assert new.poll() is None
    assert while_it_loads == [200] * 40
    assert afterwards == 200


def test_workers_of_one_gunicorn_share_what_comes_and_are_no_successors_of_each_other(tmp_path: Path) -> None:
    """With --reuse-port each of them has a socket of its own."""
    log = tmp_path / "web.log"
    with web(log, shared=True, processes=2, ERIP_DRAIN_SECONDS="3") as site:
        ready, port = f"{site.url}/health/ready", urlsplit(site.url).port
        master = psutil.Process(site.process.pid)

        def both_listen() -> bool:
            return len(master.children()) == 2 and all(listens(one.pid, port) for one in master.children())

        until(both_listen, seconds=60, what="both listen")
        killed = master.children()[0]
        killed.kill()
        until(lambda: not killed.is_running(), seconds=60, what="it is gone")
        # The other one was alone for as long as a new one loaded.
        until(both_listen, seconds=60, what="another one listens in its place")
        until(lambda: status(ready) == 200, seconds=60, what="it is ready")
        assert "claims its address" not in log.read_text()
        site.process.terminate()
        until(lambda: status(ready) == 503, seconds=60, what="the load balancer is told")
        until(lambda: site.process.poll() is not None, seconds=60, what="it has ended")
    assert "another process listens here" not in log.read_text()


def test_who_listens_beside_a_web_process_gets_nothing_until_that_is_told_to_end_and_no_check_ever_fails(
    tmp_path: Path,
) -> None:
    with web(tmp_path / "old.log", shared=True, ERIP_DRAIN_SECONDS="3") as old, socket.socket() as beside:
        host, port = urlsplit(old.url).netloc.split(":")
        ready = f"{old.url}/health/ready"
        until(lambda: status(ready) == 200, seconds=60, what="it is ready")
        until(lambda: "claims" in (tmp_path / "old.log").read_text(), seconds=60, what="it has claimed its address")
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        beside.bind((host, int(port)))
        # As a process of an earlier release does, before it can answer.
        beside.listen(1000)
        beside.setblocking(False)
        before = [status(ready) for _ in range(40)]
        assert _taken(beside) == 0
        old.process.terminate()
        answers, taken = [], 0
        while old.process.poll() is None:
            with socket.create_connection((host, int(port))) as link:
                link.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                while not (came := _readable(link)) and not (theirs := _taken(beside)):
                    pass
                if came:
                    answers.append(link.recv(12))
                else:
                    taken += theirs
    assert before == [200] * 40
    assert answers
    assert set(answers) == {b"HTTP/1.1 200"}
    assert taken


def _readable(link: socket.socket) -> bool:
    return bool(select.select([link], [], [], 0.02)[0])


def _taken(listener: socket.socket) -> int:
    """Connections that have come to it since it was asked last."""
    for number in count():
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return number
    raise AssertionError


@pytest.mark.parametrize("settings", [{}, {"ERIP_AWAIT_PRIMARY": "true"}], ids=["alone", "in the region that writes"])
def test_a_process_fills_its_caches_before_it_serves_and_serves_when_that_fails(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    noted, log = tmp_path / "noted", tmp_path / "web.log"
    place = f"127.0.0.1:{any_free()}"
    arguments = ["-m", "gunicorn", "-c", "python:tests.support.warming_web", f"--bind={place}", "--reuse-port"]
    with workers.process([*arguments, "--workers=1"], log, TEST_NOTED=str(noted), **settings):
        until(lambda: status(f"http://{place}/health/live") == 200, seconds=60, what="it serves")
    assert noted.read_text() == str(errno.ECONNREFUSED)
    assert "caches stay cold" in log.read_text()


def test_what_a_first_start_would_wait_for_is_read_before() -> None:
    assert {load_latest_graphs, begin} <= set(at_web_start.all())
    publish()
    with graphs.graph_of.cache_lock:
        graphs.graph_of.cache.clear()
    warm_up(at_web_start)
    version = WorkflowVersion.objects.latest("id")
    assert graphs.known_graph(version.id) is not None
