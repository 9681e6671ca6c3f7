"""Data migrations in the background: exact whatever kills them, in nobody's way, and as slow as the standbys are."""

from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from erip.foundation.db import backfills
from erip.foundation.db.backfills import Backfill, BackfillError, Finished, Pace
from erip.models import Backfill as Row
from erip.ops.stack.servers import private_servers
from erip.ops.stack.standby import as_superuser, standby_of
from tests import workers
from tests.sample.models import Effect
from tests.support.databases import in_place_of_ours
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

WEIGH = Backfill("sample.weigh", table="sample_effect", set="weight = length(key)", where="weight IS NULL")
#: no pause between batches
QUICK = Pace(rest=0)


@pytest.fixture(autouse=True)
def declared() -> None:
    """As the migration left it in a database with rows: what a test empties is empty for the next one."""
    Row.objects.update_or_create(
        name=WEIGH.name, defaults={"position": "", "number": 1, "changed": 0, "met": 0, "finished_at": None}
    )


def filled(count: int) -> None:
    Effect.objects.bulk_create([Effect(key="x" * (1 + number % 7)) for number in range(count)])


def weighed() -> int:
    return Effect.objects.exclude(weight=None).count()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "processes.log"


@pytest.fixture
def another() -> Iterator[psycopg2.extensions.connection]:
    """Another session on the same database."""
    with closing(psycopg2.connect(workers.environment()["DATABASE_URL"])) as session:
        yield session


def test_one_that_is_killed_goes_on_behind_its_last_commit_and_no_row_is_done_twice(log: Path) -> None:
    filled(4_000)
    # Batches as small as can be, so that the kill is in the middle.
    command = ["manage.py", "backfill", "run", "--seconds", "0.0001", "--rest", "3"]
    with workers.process(command, log) as running:
        until(lambda: Row.objects.get().changed > 600 or running.poll() is not None, seconds=90, what=f"begun: {log}")
        assert running.poll() is None, log.read_text()
        workers.kill(running)
    # What is counted and what is done are of the same commits.
    at = Row.objects.get()
    assert 600 < at.changed == weighed() < 4_000
    assert at.finished_at is None
    last = Effect.objects.exclude(weight=None).order_by("-pk").values_list("pk", flat=True)[0]
    assert at.position == str(last)

    said = StringIO()
    call_command("backfill", "run", stdout=said)

    at = Row.objects.get()
    assert (at.changed, weighed(), at.finished_at is not None) == (4_000, 4_000, True)
    assert said.getvalue().splitlines()[-1] == "sample.weigh: done, 4,000 rows changed"
    assert [one.key for one in Effect.objects.all() if one.weight != len(one.key)] == []


def test_it_waits_for_no_row_and_comes_back_for_those_that_others_hold(another: psycopg2.extensions.connection) -> None:
    filled(50)
    held = Effect.objects.order_by("pk").values_list("pk", flat=True)[10]
    with another.cursor() as cursor:
        cursor.execute("UPDATE sample_effect SET key = 'held' WHERE id = %s", [held])

    # With the suite's lock timeout a wait would be an error.
    batch = backfills.step(WEIGH, 1_000)

    assert batch is not None
    assert (batch.looked_at, batch.changed, batch.left, batch.last) == (50, 49, 1, False)
    another.commit()
    assert backfills.run(WEIGH, QUICK) == 1
    assert Effect.objects.get(pk=held).weight == len("held"), "by its newest version"


def test_rows_that_the_old_release_writes_behind_the_position_are_found_by_another_pass() -> None:
    filled(20)
    first = Effect.objects.order_by("pk")[0].pk
    Effect.objects.filter(pk=first).delete()
    assert backfills.step(WEIGH, 10) is not None
    Effect.objects.create(pk=first, key="late")

    backfills.run(WEIGH, QUICK)

    assert weighed() == 20
    assert Row.objects.get().number > 1


def test_rows_without_an_end_are_said_and_what_was_done_is_kept() -> None:
    filled(5)
    endless = Backfill(WEIGH.name, table=WEIGH.table, set="weight = coalesce(weight, 0) + 1", where="true")
    with pytest.raises(BackfillError, match="pass 5 over sample_effect still met rows"):
        backfills.run(endless, QUICK)
    assert set(Effect.objects.values_list("weight", flat=True)) == {backfills.PASSES}


def test_a_row_that_others_hold_through_many_passes_is_waited_for(another: psycopg2.extensions.connection) -> None:
    filled(5)
    with another.cursor() as cursor:
        cursor.execute("SELECT FROM sample_effect ORDER BY id LIMIT 1 FOR UPDATE")
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if waited.count(backfills.LOOK_EVERY) == 2 * backfills.PASSES:
            another.rollback()

    assert backfills.run(WEIGH, QUICK, pause=pause) == 5
    assert Row.objects.get().number > 2 * backfills.PASSES


def test_two_at_once_share_the_work(another: psycopg2.extensions.connection) -> None:
    filled(5)
    with another.cursor() as cursor:
        cursor.execute("SELECT FROM erip_backfill WHERE name = %s FOR UPDATE", [WEIGH.name])
    assert backfills.step(WEIGH, 10) is None
    assert weighed() == 0
    another.rollback()
    assert backfills.run(WEIGH, QUICK) == 5


def test_what_needs_the_rows_is_refused_until_they_are_done_and_a_fresh_database_has_nothing_to_do() -> None:
    filled(3)

    def migrate(operation: object) -> None:
        with connection.schema_editor() as editor:
            operation.database_forwards("sample", editor, None, None)  # type: ignore[attr-defined]

    with pytest.raises(BackfillError, match=r"sample\.weigh is not done: not begun"):
        migrate(Finished(WEIGH.name))
    with pytest.raises(BackfillError, match="never declared"):
        migrate(Finished("sample.other"))
    call_command("backfill", "run", stdout=StringIO())
    migrate(Finished(WEIGH.name))

    Row.objects.all().delete()
    migrate(WEIGH)
    assert not backfills.progress()[WEIGH.name].finished, "there are rows"
    migrate(WEIGH)
    assert len(backfills.progress()) == 1
    Row.objects.all().delete()
    Effect.objects.all().delete()
    migrate(WEIGH)
    migrate(Finished(WEIGH.name))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "sample.other"], "sample.other: no migration of this code declares that"),
        (["run", "--seconds", "0"], "--seconds: invalid positive value"),
        (["run", "sample.weigh"], "is not declared in this database: run manage.py migrate first"),
    ],
)
def test_what_is_not_known_is_refused(arguments: list[str], said: str) -> None:
    Row.objects.all().delete()
    with pytest.raises(CommandError, match=said):
        call_command("backfill", *arguments)


def test_the_list_says_how_far_each_is() -> None:
    filled(30)
    backfills.step(WEIGH, 10)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sample_effect")
    said = StringIO()
    call_command("backfill", stdout=said)
    expected = "sample.weigh: pass 1: 10 of about 30 rows looked at, 10 changed in all"
    assert said.getvalue().strip() == expected


def test_batches_grow_and_shrink_towards_their_time() -> None:
    assert backfills.next_size(500, 0.1, 0.2) == 1_000
    assert backfills.next_size(500, 0.001, 0.2) == 1_000, "at most twice as many"
    assert backfills.next_size(500, 9.0, 0.2) == 250
    assert backfills.next_size(10, 9.0, 0.2) == backfills.LEAST
    assert backfills.next_size(backfills.MOST, 0.001, 0.2) == backfills.MOST


@pytest.mark.django_db(transaction=False)
def test_a_standby_that_is_behind_is_waited_for(django_db_blocker: object) -> None:
    with private_servers(redis=False, fsync=False) as (primary, _):
        assert primary is not None
        with (
            standby_of(primary) as standby,
            django_db_blocker.unblock(),  # type: ignore[attr-defined]
            in_place_of_ours(primary=primary.url),
            closing(as_superuser(standby.kind, "postgres")) as root,
            root.cursor() as cursor,
        ):
            _lay_out()
            root_primary = as_superuser(primary.kind, "postgres")
            with closing(root_primary), root_primary.cursor() as asking:
                until(lambda: _streams(asking), what="the standby streams")
            cursor.execute("SELECT pg_wal_replay_pause()")
            said: list[str] = []
            left: list[int] = []

            def pause(seconds: float) -> None:
                """Nothing is done meanwhile; at the second look the standby goes on."""
                if seconds == backfills.LOOK_EVERY:
                    left.append(_undone())
                    cursor.execute("SELECT pg_wal_replay_resume()")

            # Less than one batch writes.
            pace = Pace(rest=0, lag_bytes=1_000, lag_seconds=3600)
            changed = backfills.run(WEIGH, pace, tell=said.append, pause=pause)

            assert changed == 5_000
            assert left[0] > 0
            assert any(one.startswith("waits for a standby: ") for one in said), said
            with connection.cursor() as ours:
                ours.execute("SELECT count(*) FROM sample_effect WHERE weight = length(key)")
                assert ours.fetchone() == (5_000,)


def _lay_out() -> None:
    with transaction.atomic(), connection.cursor() as cursor, connection.schema_editor() as editor:
        editor.create_model(Row)
        cursor.execute("CREATE TABLE sample_effect (id bigserial PRIMARY KEY, key text, weight int)")
        cursor.execute("INSERT INTO sample_effect (key) SELECT repeat('x', 20) FROM generate_series(1, 5000)")
        cursor.execute("INSERT INTO erip_backfill (name) VALUES (%s)", [WEIGH.name])


def _streams(cursor: Any) -> bool:
    cursor.execute(
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn = pg_current_wal_lsn()"
    )
    return bool(cursor.fetchone() == (1,))


def _undone() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sample_effect WHERE weight IS NULL")
        return int(cursor.fetchone()[0])
