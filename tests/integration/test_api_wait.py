"""`Prefer: wait`, a chunked body and one key sent fifty times, over a real web server."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from django.db import connection, connections

from erip.access import keys
from tests.support.api import INPUT, key, publish
from tests.support.server import serving, without_light_path
from workflows import engine
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)
START = "/api/v1/workflows/look-up/runs"
ENDS_AT_ONCE = "name: ends-at-once\nsteps:\n  a: {uses: test.look_up, with: {cves: []}, if: input.absent}\n"


@pytest.fixture(params=["light path", "ordinary path"])
def call(request):
    keys.forget_cached()
    publish()
    token = key()

    with serving(without_light_path() if request.param == "ordinary path" else None) as url:

        def send(method: str, path: str, body=None, **headers: str):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            web = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
            try:
                sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **named}
                web.request(method, path, body if not isinstance(body, dict) else json.dumps(body), sent)
                answer = web.getresponse()
                return answer.status, answer.headers, json.loads(answer.read() or "null")
            finally:
                web.close()

        yield send


def end_the_run_once_somebody_waits() -> threading.Thread:
    """Cancel the one run as soon as the server listens for its end."""

    def work() -> None:
        deadline = time.monotonic() + 20
        try:
            while time.monotonic() < deadline:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND query LIKE 'LISTEN%%' AND state = 'idle'"
                    )
                    listening = cursor.fetchone()[0]
                run = WorkflowRun.objects.first()
                if listening and run is not None:
                    engine.cancel_run(str(run.pk), principal="test")
                    return
                time.sleep(0.02)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_run_that_ends_in_time_is_the_answer(call):
    other = end_the_run_once_somebody_waits()

    started = time.monotonic()
    status, headers, body = call("POST", START, {"input": INPUT}, Prefer="wait=30")
    took = time.monotonic() - started
    other.join()

    assert status == 200
    assert took < 28
    assert headers["Preference-Applied"] == "wait"
    assert headers["Location"] == f"/api/v1/runs/{body['id']}"
    assert (body["status"], [step["id"] for step in body["steps"]]) == ("CANCELLED", ["enrich"])


def test_a_run_that_takes_longer_is_accepted_as_without_the_preference(call):
    status, headers, body = call("POST", START, {"input": INPUT}, Prefer="wait=1")

    assert status == 202
    assert headers["Preference-Applied"] == "wait"
    assert body["status"] in ("PENDING", "RUNNING")


def test_a_run_that_ends_in_its_own_start_is_the_answer_at_once_every_time(call):
    engine.publish(None, ENDS_AT_ONCE, "yaml", author="test")

    for _ in range(6):
        began = time.monotonic()
        status, _, body = call("POST", "/api/v1/workflows/ends-at-once/runs", {"input": {}}, Prefer="wait=30")

        assert (status, body["status"]) == (200, "FAILED")
        assert time.monotonic() - began < 25


def test_without_the_preference_nothing_is_applied(call):
    status, headers, _ = call("POST", START, {"input": INPUT})

    assert status == 202
    assert headers["Preference-Applied"] is None


def test_waiting_for_a_refused_request_is_over_at_once(call):
    assert call("POST", START, {"input": {}}, Prefer="wait=30")[0] == 422


def test_a_chunked_body_is_read(call):
    chunks = iter([b'{"input": {"cves"', b": []}}"])

    assert call("POST", START, chunks)[0] == 202


def test_a_chunked_body_over_the_limit_is_refused(call):
    chunks = iter([b" " * 65_536] * 32)

    try:
        status, headers, problem = call("POST", START, chunks)
    except (BrokenPipeError, ConnectionResetError):
        return  # refused while it was still being sent
    assert (status, problem["code"]) == (413, "payload-too-large")
    assert headers["Content-Type"] == "application/problem+json"


def test_fifty_requests_at_once_under_one_key_start_one_run(call):
    barrier = threading.Barrier(50)

    def send(_):
        barrier.wait(30)
        return call("POST", START, {"input": INPUT}, Idempotency_Key="k-1")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))

    assert {status for status, _, _ in answers} == {202}
    assert len({body["id"] for _, _, body in answers}) == 1
    assert sum(not body["existing"] for _, _, body in answers) == 1
    assert WorkflowRun.objects.count() == 1
