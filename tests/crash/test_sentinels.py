"""The broker behind Sentinels fails in every way we know of: starts are answered, all runs succeed, and the same
workers consume again."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import current_app
from django.db import connection, transaction

from erip.access import keys
from erip.foundation.process.broker import publisher_options, transport_options
from tests import workers
from tests.definitions import CHAIN, publish
from tests.support.api import key
from tests.support.programs import needs
from tests.support.sentinels import MASTER, SENTINEL_PASSWORD, Cluster, cluster
from tests.support.web import status, web
from tests.workers import until
from workflows import engine
from workflows.models import StepRun, WorkflowRun
from workflows.starts import dispatch

pytestmark = [pytest.mark.django_db(transaction=True), needs("redis-server", "redis-sentinel")]

#: seconds after which a client gives up on a call: much less than a standard publisher hangs
CLIENT_PATIENCE = 5


@pytest.fixture
def broker_cluster(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        yield made


class Client:
    """Starts two runs at a time, again and again, because messages announce such starts. Keeps every answer."""

    def __init__(self, url: str, token: str) -> None:
        self.answers: list[int | str] = []
        self._address, self._token = urlsplit(url).netloc, token
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        body = json.dumps({"workflow": "chain", "inputs": [{"times": 300}] * 2})
        while not self._stop.wait(0.1):
            link = http.client.HTTPConnection(self._address, timeout=CLIENT_PATIENCE)
            try:
                link.request("POST", "/api/v1/runs/bulk", body, headers)
                answer = link.getresponse()
                answer.read()
                self.answers.append(answer.status)
            except OSError as error:
                self.answers.append(repr(error))
            finally:
                link.close()


def kill_master(made: Cluster) -> None:
    master = made.master()
    master.kill()
    until(lambda: made.master() is not master, what="failed over")


def freeze_master(made: Cluster) -> None:
    master = made.master()
    master.freeze()
    until(lambda: made.master() is not master, what="failed over")


def kill_master_and_a_sentinel(made: Cluster) -> None:
    made.sentinels[0].kill()
    kill_master(made)


def fail_over_as_planned(made: Cluster) -> None:
    master = made.master()
    with made.sentinels[0].client() as client:
        client.execute_command("SENTINEL", "FAILOVER", MASTER)
    until(lambda: made.master() is not master, what="failed over")
    until(lambda: master.role() == "slave", what="the former master is read-only")


def freeze_replicas(made: Cluster) -> None:
    """NOREPLICAS: the master refuses writes, and BRPOP is one."""
    for replica in made.replicas():
        replica.freeze()

    def refused() -> bool:
        with made.master().client() as client:
            try:
                client.set("probe", 1)
            except Exception as error:
                return "NOREPLICAS" in str(error)
        return False

    until(refused, what="writes are refused")


def fill(made: Cluster) -> None:
    with made.master().client() as client:
        client.config_set("maxmemory", "1")


def flush(made: Cluster) -> None:
    with made.master().client() as client:
        client.flushall()


def mend(made: Cluster) -> None:
    made.mend()
    for node in made.nodes:
        with node.client() as client:
            client.config_set("maxmemory", "0")


def options(made: Cluster) -> dict:
    return transport_options(made.url, master=MASTER, sentinel_password=SENTINEL_PASSWORD)


def assert_messages_are_consumed(made: Cluster) -> None:
    """Ready work of the future is invisible to the workers' own look: only a message can start it."""
    # In one transaction: a quick worker would take them before they are of the future.
    with transaction.atomic(), connection.cursor() as cursor:
        ids = [run.id for run in engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 3, principal="t")]
        cursor.execute(
            "UPDATE workflows_steprun SET ready_at = now() + interval '1 hour' WHERE state = 'READY'"
            " AND run_id = ANY(%s::uuid[])",
            [ids],
        )
        assert cursor.rowcount == 3
    with current_app.connection_for_write(made.url, transport_options=options(made)) as link:
        current_app.send_task("workflows.execute", kwargs={"run_ids": ids}, queue="standard", connection=link)
    until(lambda: WorkflowRun.objects.filter(pk__in=ids, state="SUCCEEDED").count() == 3, what="messages are consumed")


FAULTS = [kill_master, freeze_master, kill_master_and_a_sentinel, fail_over_as_planned, freeze_replicas, fill, flush]


@pytest.mark.timeout(600)
def test_starts_are_answered_and_all_runs_succeed_whatever_the_broker_does(
    broker_cluster: Cluster, log: Path, transactional_db: None, subtests: pytest.Subtests
) -> None:
    """One platform goes through all of them, one after the other: its processes have to recover each time."""
    keys.forget_cached()
    publish(CHAIN)
    token = key()
    made = broker_cluster
    with (
        workers.worker(log, **made.settings) as worker,
        workers.leader(log, **made.settings),
        web(log, **made.settings) as serving,
    ):
        for fault in FAULTS:
            with subtests.test(fault=fault.__name__):
                goes_on_through(fault, made, serving.url, token)
                assert worker.poll() is None
    assert not StepRun.objects.filter(lost__gte=1).exists(), "no worker was lost"


def goes_on_through(fault: Callable[[Cluster], None], made: Cluster, url: str, token: str) -> None:
    ended = WorkflowRun.objects.filter(state="SUCCEEDED").count()
    with Client(url, token) as client:
        until(lambda: len(client.answers) >= 10)
        engine.start_runs("chain", [engine.StartRequest({"times": 3_000})] * 200, principal="t")
        until(lambda: WorkflowRun.objects.filter(state="SUCCEEDED").count() >= ended + 10)
        in_flight = WorkflowRun.objects.exclude(state="SUCCEEDED").count()
        fault(made)
        before = len(client.answers)
        until(lambda: len(client.answers) >= before + 30, what="starts are answered while the broker is out of order")
        assert status(f"{url}/health/ready") == 200, "degraded at the most"
        mend(made)
        assert_messages_are_consumed(made)
    until(lambda: not WorkflowRun.objects.exclude(state="SUCCEEDED").exists(), seconds=120, what="all succeed")
    assert set(client.answers) == {202}, "a broker that is away is no client's error"
    assert in_flight > 0, "the fault came too late to prove anything"


def test_nobody_waits_for_a_frozen_broker_longer_than_promised(
    broker_cluster: Cluster, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = broker_cluster
    settings.ERIP_PUBLISHER_TRANSPORT_OPTIONS = publisher_options(options(made))
    monkeypatch.setattr(current_app.conf, "broker_url", made.url)
    publisher = dispatch.Publisher()
    assert publisher.publish([("standard", ["r1"])]), "it is sent while all is well"

    for node in [*made.nodes, *made.sentinels]:
        node.freeze()
    asked, answered = threading.Semaphore(0), []

    def ask() -> None:
        for _ in range(20):
            answered.append(publisher.publish([("critical", ["r2"]), ("bulk", ["r3"])]))
        asked.release()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    # 400 calls by 20 threads: each waits at most once or twice before the broker is known to be away.
    for _ in threads:
        assert asked.acquire(timeout=10), "somebody is held up"
    assert not any(answered)
    assert publisher.away

    made.mend()
    until(lambda: publisher.publish([("standard", ["r4"])]), what="a trial in the background found it back")
    assert not publisher.away


def test_urgent_messages_overtake_what_waits_to_be_sent(
    broker_cluster: Cluster, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = broker_cluster
    settings.ERIP_PUBLISHER_TRANSPORT_OPTIONS = publisher_options(options(made))
    monkeypatch.setattr(current_app.conf, "broker_url", made.url)
    publisher = dispatch.Publisher()
    order: list[str] = []
    sent: list[str] = []
    first, go_on = threading.Event(), threading.Event()
    send = publisher.send
    with_first: list[str] = []

    def slow_first(lane: str, run_ids: list[str]) -> None:
        if not order:
            with_first.extend(run_ids)
            first.set()
            go_on.wait(10)
        order.append(lane)
        send(lane, run_ids)
        sent.extend(run_ids)

    monkeypatch.setattr(publisher, "send", slow_first)
    bulk = threading.Thread(target=publisher.publish, args=([("bulk", [str(n)]) for n in range(50)],), daemon=True)
    bulk.start()
    first.wait(10)
    urgent = threading.Thread(target=publisher.publish, args=([("critical", ["u"])],), daemon=True)
    urgent.start()
    until(lambda: publisher._waiting.qsize() == 51 - len(with_first))
    go_on.set()
    until(lambda: len(sent) == 51)
    assert order.index("critical") == 1
    # The first message may have had company, if that was quick enough.
    assert len(order) in (4, 5), "what waits for the same lane shares a message, of 20 runs at most"
