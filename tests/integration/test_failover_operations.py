"""Requests while PostgreSQL fails over: each is answered once and done once, without an error."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections

from erip.access.scopes import Scope
from erip.foundation.db.failures import is_connection_lost
from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import as_superuser, promote, standby_of
from tests.sample import steps as sample
from tests.support.api import INPUT, Api, key, publish
from tests.support.databases import forget_all, in_place_of_ours, reconfigure
from tests.support.recordings import begin_counting, recorded
from tests.workers import until
from workflows import engine, graphs, store
from workflows.core.states import Lane
from workflows.engine import StartRequest
from workflows.models import Chunk, RunEvent, RunSignal, WorkflowRun
from workflows.store import chunks
from workflows.worker import chunks as working
from workflows.worker.executor import Executor

#: one chunk
CHUNKED = 20


@pytest.fixture(scope="module")
def servers(django_db_blocker: object) -> Iterator[tuple[Server, Server]]:
    with private_servers(redis=False, fsync=False) as (primary, _):
        with django_db_blocker.unblock(), in_place_of_ours(primary=primary.url):
            call_command("migrate", verbosity=0)
        with standby_of(primary) as standby:
            yield primary, standby


@pytest.fixture
def primary(servers: tuple[Server, Server], django_db_blocker: object) -> Iterator[Server]:
    forget_all()
    both = [server.url for server in servers]
    with django_db_blocker.unblock(), in_place_of_ours(primary=both):
        publish()
        yield servers[0]
    forget_all()


@contextmanager
def commits_whose_answers_are_lost(server: Server, settings: object, *, seconds: float) -> Iterator[None]:
    """Commits wait for a standby that does not exist: the client gives up, and later all take effect after all."""
    settings.ERIP_DB_STATEMENT_TIMEOUT = 0.5
    with closing(as_superuser(server.kind, "erip")) as root, root.cursor() as cursor:
        reconfigure(cursor, "synchronous_standby_names", "nobody")

        def let_them_happen() -> None:
            reconfigure(cursor, "synchronous_standby_names", "")

        timer = threading.Timer(seconds, let_them_happen)
        timer.start()
        try:
            yield
        finally:
            timer.join()


def start(**more: object) -> list[engine.StartedRun]:
    count = int(more.pop("count", 1))
    return engine.start_runs("look-up", [StartRequest(INPUT, lane="critical")] * count, principal="test", **more)


def test_a_start_whose_answer_was_lost_has_started_one_run(primary: Server, settings: object) -> None:
    start()  # so that the version is remembered
    before = WorkflowRun.objects.count()
    with commits_whose_answers_are_lost(primary, settings, seconds=4):
        (run,) = start()
    assert WorkflowRun.objects.count() == before + 1
    assert WorkflowRun.objects.filter(pk=run.id).exists()
    assert run.existing is False


def test_a_start_with_a_key_whose_answer_was_lost_is_new_to_its_caller(primary: Server, settings: object) -> None:
    start()
    before = WorkflowRun.objects.count()
    with commits_whose_answers_are_lost(primary, settings, seconds=4):
        (run,) = start(idempotency_key="lost", request_hash="x")
    (again,) = start(idempotency_key="lost", request_hash="x")
    assert WorkflowRun.objects.count() == before + 1
    assert (run.existing, again.existing) == (False, True)
    assert again.id == run.id


def test_a_bulk_start_whose_answer_was_lost_has_started_each_run_once(primary: Server, settings: object) -> None:
    before = WorkflowRun.objects.count()
    with commits_whose_answers_are_lost(primary, settings, seconds=4):
        runs = start(count=5, many=True)
    assert WorkflowRun.objects.count() == before + 5
    assert WorkflowRun.objects.filter(pk__in=[run.id for run in runs]).count() == 5


def test_a_cancellation_whose_answer_was_lost_is_no_conflict(primary: Server, settings: object) -> None:
    (run,) = start()
    with commits_whose_answers_are_lost(primary, settings, seconds=4):
        engine.cancel_run(run.id, principal="test", reason="enough")
    assert WorkflowRun.objects.get(pk=run.id).state == "CANCELLED"
    assert RunEvent.objects.filter(run=run.id, type="run.cancelled").count() == 1


@pytest.mark.parametrize("waits", [2, 0])
def test_a_signal_whose_answer_was_lost_is_given_or_kept_once(primary: Server, settings: object, waits: int) -> None:
    """Given: a second attempt would reach the second wait. Kept: no step waits for the signal yet."""
    first = "one: {wait: {signal: go}}, two: {wait: {signal: go}}"
    later = "a: {uses: test.look_up, with: {cves: []}}, one: {needs: [a], wait: {signal: go}}"
    engine.publish(None, f"name: waits{waits}\nsteps: {{{first if waits else later}}}\n", "yaml", author="test")
    (run,) = engine.start_runs(f"waits{waits}", [StartRequest({})], principal="test")
    with commits_whose_answers_are_lost(primary, settings, seconds=4):
        sent = engine.signal_run(run.id, "go", 1, principal="test")
    assert sent.step == ("one" if waits else None)
    events = RunEvent.objects.filter(run=run.id, type__in=["step.signalled", "run.signal_kept"])
    assert events.count() == 1
    assert RunSignal.objects.filter(run=run.id).count() == (0 if waits else 1)


def test_a_publication_whose_answer_was_lost_is_one_version(primary: Server, settings: object) -> None:
    text = "name: other\nsteps: {a: {uses: test.look_up, with: {cves: []}}}\n"
    with commits_whose_answers_are_lost(primary, settings, seconds=4):
        published = engine.publish(None, text, "yaml", author="test")
    assert published.number == 1


def test_a_claim_is_waited_for_only_where_its_step_must_not_run_twice(primary: Server, settings: object) -> None:
    engine.publish(None, "name: once\nsteps: {a: {uses: sample.block_once}}\n", "yaml", author="test")
    lanes = [str(lane) for lane in Lane]
    worker = store.register_worker("test", "here", 1, lanes)
    (often,) = start()
    (once,) = engine.start_runs("once", [StartRequest({})], principal="test")
    with closing(as_superuser(primary.kind, "erip")) as root, root.cursor() as cursor:
        reconfigure(cursor, "synchronous_standby_names", "nobody")
        try:
            claim = partial(store.claim, worker_id=worker, lanes=lanes, known_graph=graphs.known_graph)
            assert len(claim([often.id])) == 1
            settings.ERIP_DB_STATEMENT_TIMEOUT = 0.5
            with pytest.raises(OperationalError) as error:
                claim([once.id])
            assert is_connection_lost(error.value)
        finally:
            reconfigure(cursor, "synchronous_standby_names", "")
    connections.close_all()


@contextmanager
def chunk_under_way(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker in the middle of a chunk: some of its runs are done and not recorded, one runs until the block ends.
    Then all are worked off, and each step is recorded once."""
    for name in ("SLOW", "TURN", "RECORD_AFTER", "LEAVE_AFTER"):
        monkeypatch.setattr(working, name, 60.0)
    step = "{uses: sample.call, timeout: 90s}"
    engine.publish(
        None, f"name: chained\nsteps: {{a: {step}, b: {{uses: sample.echo, needs: [a]}}}}", "yaml", author="t"
    )
    lanes = [str(lane) for lane in Lane]
    executor = Executor(store.register_worker("test", "here", 1, lanes), lanes, threads=2)
    begun, go_on = threading.Event(), threading.Event()
    sample.CALLS[:] = [lambda: None] * 7 + [lambda: (begun.set(), go_on.wait(60))]

    def work() -> None:
        try:
            executor.execute([*ids, *(chunks.token(one) for one in Chunk.objects.values_list("pk", flat=True))])
        finally:
            connections.close_all()

    def over() -> bool:
        work()
        return WorkflowRun.objects.filter(pk__in=ids, state="SUCCEEDED").count() == CHUNKED

    begin_counting()
    ids = [run.id for run in engine.start_runs("chained", [StartRequest({})] * CHUNKED, principal="test")]
    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert begun.wait(60)
        assert Chunk.objects.filter(worker_id=executor.worker_id).exists()
        yield
        go_on.set()
        worker.join(60)
        connections.close_all()
        # Whether the new primary knows of the taking or not.
        until(over, what="all runs of the chunk succeeded")
        assert recorded() == (2 * CHUNKED, 2 * CHUNKED)
        assert not Chunk.objects.exists()
    finally:
        go_on.set()
        executor.stop(grace=5)


def test_starts_and_reads_over_http_and_a_chunk_go_through_a_promotion(
    primary: Server, servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This test is the last in the file: it kills the primary."""
    # Given a synchronous standby, and callers with a key of the API
    with closing(as_superuser(primary.kind, "erip")) as root, root.cursor() as cursor:
        reconfigure(cursor, "synchronous_standby_names", "*")
    token = key(Scope.OPERATOR)
    answers: list[tuple[str, int, str]] = []
    killed, enough = threading.Event(), threading.Event()

    def call() -> None:
        api = Api(token)
        after = 0
        while not enough.is_set() and after < 10:
            started = api.post("/workflows/look-up/runs", {"input": INPUT, "lane": "critical"})
            answers.append(("start", started.status_code, started.json().get("id", started.json().get("detail"))))
            listed = api.get("/runs", limit=1)
            answers.append(("list", listed.status_code, listed.json().get("detail", "")))
            after += killed.is_set()
        connections.close_all()

    before = WorkflowRun.objects.count()
    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    # When the primary is killed in the middle of their calls, and of a chunk, and the standby promoted
    try:
        while len(answers) < 40:
            threads[0].join(0.05)
        with chunk_under_way(monkeypatch):
            before += CHUNKED
            primary.kill()
            killed.set()
            threads[0].join(0.7)
            promote(servers[1])
        for thread in threads:
            thread.join(60)
    finally:
        enough.set()
    # Then every call was answered without an error, and each start has started one run
    assert {status for kind, status, _ in answers if kind == "start"} == {202}
    assert {status for kind, status, _ in answers if kind == "list"} == {200}
    connections.close_all()
    ids = [told for kind, _, told in answers if kind == "start"]
    assert WorkflowRun.objects.count() == before + len(ids)
    assert WorkflowRun.objects.filter(pk__in=ids).count() == len(set(ids)) == len(ids)
