"""Requests of events that share a commit: each is answered for itself, whatever happens to the others."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import orjson
import psycopg2
import pytest
from django.db import connection

from tests.support.events import Recorder, consuming, event
from workflows.core.blocks import decode
from workflows.core.cloudevents import Batch, partition_of, read_batch
from workflows.events import ingest
from workflows.events.conf import conf
from workflows.events.errors import QuotaExceeded
from workflows.events.models import Block, SourceQuota

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60.0
WRITE = "INSERT INTO events_block"
LOCK = "LOCK TABLE events_block IN ACCESS EXCLUSIVE MODE"


def batch(events: Sequence[dict[str, Any]]) -> Batch:
    return read_batch(orjson.dumps(list(events)), partitions=conf().partitions, most=1_000)


def journalled() -> Counter[str]:
    """The ids of the events in the journal."""
    return Counter(one.id for block in Block.objects.all() for one in decode(bytes(block.body)))


@pytest.fixture(autouse=True)
def surveyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer knows how full the journal is, and will not look again: then only its INSERT waits for the table."""
    monkeypatch.setattr(ingest, "SURVEY_SECONDS", 3_600.0)
    ingest.writer().submit(batch([event()])).result(PATIENCE)
    Block.objects.all().delete()


@contextmanager
def outside() -> Iterator[Any]:
    """A session of its own in the test's database."""
    at = {**psycopg2.extensions.parse_dsn(os.environ["DATABASE_URL"]), "dbname": connection.settings_dict["NAME"]}
    with closing(psycopg2.connect(**at)) as session, session.cursor() as cursor:
        yield cursor


def wait_for_lock(cursor: Any, statement: str, *, but: int = 0) -> int:
    """The server's process of the session, another one than `but`, that waits for a lock for this statement."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        cursor.execute(
            "SELECT pg_stat_clear_snapshot(); SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE %s AND pid <> %s",
            [f"{statement}%", but],
        )
        if found := cursor.fetchone():
            return int(found[0])
    raise AssertionError(f"nobody waits for {statement}")


def while_one_is_written(cursor: Any, first: Batch, others: Sequence[Batch]) -> list["Future[None]"]:
    """Hand these over while the first is being written, so that they share the next commit. The table stays locked
    until the session commits."""
    cursor.execute(LOCK)
    answers = [ingest.writer().submit(first)]
    wait_for_lock(cursor, WRITE)
    return answers + [ingest.writer().submit(one) for one in others]


def test_of_requests_that_share_a_commit_one_that_is_refused_does_no_harm() -> None:
    SourceQuota.objects.create(source="/small", rate=0.001, burst=1)
    ingest.forget()
    ingest.writer().submit(batch([event(source="/small")])).result(PATIENCE)
    good = [[event(subject="a", id=f"{number}-{place}") for place in range(3)] for number in range(6)]
    refused = batch([event(source="/small", id="refused")])
    with outside() as cursor:
        first, *rest = while_one_is_written(
            cursor, batch(good[0]), [*map(batch, good[1:3]), refused, *map(batch, good[3:])]
        )
        assert not any(answer.done() for answer in [first, *rest])
        cursor.connection.commit()
    with pytest.raises(QuotaExceeded):
        rest.pop(2).result(PATIENCE)
    for answer in [first, *rest]:
        answer.result(PATIENCE)
    blocks = [[one.id for one in decode(bytes(block.body))] for block in Block.objects.order_by("seq")][1:]
    assert blocks == [
        [one["id"] for one in good[0]],
        [one["id"] for request in good[1:] for one in request],
    ], "one commit, each key in its order"


def test_of_requests_that_share_a_commit_one_that_postgresql_refuses_fails_alone() -> None:
    subjects = {partition_of(event(subject=f"s-{n}"), conf().partitions): f"s-{n}" for n in range(1_000)}
    poisoned, *sound = subjects
    with outside() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION USING ERRCODE = '22000'; END $$;"
            " CREATE TRIGGER refused BEFORE INSERT ON events_block FOR EACH ROW"
            f" WHEN (NEW.partition = {poisoned}) EXECUTE FUNCTION refuse()"
        )
        cursor.connection.commit()
        try:
            bad = batch([event(subject=subjects[poisoned], id="bad"), event(subject=subjects[sound[0]], id="beside")])
            good = [batch([event(subject=subjects[number], id=f"good-{number}")]) for number in sound]
            first, *rest = while_one_is_written(cursor, batch([event(subject=subjects[sound[0]], id="first")]), [])
            rest = [ingest.writer().submit(one) for one in [*good[:2], bad, *good[2:]]]
            cursor.connection.commit()
            with pytest.raises(Exception) as error:
                rest.pop(2).result(PATIENCE)
            for answer in [first, *rest]:
                answer.result(PATIENCE)
        finally:
            cursor.connection.rollback()
            cursor.execute("DROP TRIGGER refused ON events_block; DROP FUNCTION refuse()")
            cursor.connection.commit()
    assert "22000" in str(getattr(error.value.__cause__, "pgcode", ""))
    assert journalled() == Counter(["first", *(f"good-{number}" for number in sound)])


def test_when_postgresql_is_cut_off_during_a_shared_commit_each_is_answered_and_each_event_is_logged_once() -> None:
    requests = [[event(subject="a", id=f"{number}-{place}") for place in range(3)] for number in range(5)]
    with outside() as cursor, outside() as next_, ThreadPoolExecutor(1) as thread:
        answers = while_one_is_written(cursor, batch(requests[0]), [batch(one) for one in requests[1:]])
        # Locks are given in turn: the first is written, and the others find the table locked again.
        locked = thread.submit(next_.execute, LOCK)
        wait_for_lock(cursor, LOCK)
        cursor.connection.commit()
        locked.result(PATIENCE)
        answers[0].result(PATIENCE)
        cut = wait_for_lock(cursor, WRITE)
        cursor.execute("SELECT pg_terminate_backend(%s)", [cut])
        wait_for_lock(cursor, WRITE, but=cut)
        assert not any(answer.done() for answer in answers[1:])
        next_.connection.commit()
        for answer in answers:
            answer.result(PATIENCE)
    seen = Recorder()
    done = threading.Event()
    wanted = [one["id"] for request in requests for one in request]
    with consuming(seen):
        deadline = time.monotonic() + PATIENCE
        while len(seen.ids) < len(wanted) and time.monotonic() < deadline:
            done.wait(0.05)
    assert seen.ids == wanted, "once, and in order"
