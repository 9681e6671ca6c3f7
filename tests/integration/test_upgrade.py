"""upgrade --plan says what PostgreSQL does; a migration stops nobody for long; an older release spoils nothing."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import CommandError, call_command
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    migrations,
    models,
    transaction,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from erip import health
from erip.audit import changes
from erip.foundation.db import migrating, phases
from erip.foundation.db.backfills import Finished
from erip.foundation.db.primary import Primary
from erip.management.doctor import database
from erip.management.doctor.findings import State
from erip.management.migration_lint import Old
from erip.management.upgrade import contracting, planning
from erip.management.upgrade.locks import Mode, Work, locks
from erip.management.upgrade.planning import Phase
from monitoring.reporting import may_wait
from monitoring.store import components
from tests import workers
from tests.definitions import CHAIN, publish
from workflows import store
from workflows.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)

#: the strongest of PostgreSQL's locks that each means
MODES = {
    Mode.LETS_OTHERS: {"ShareUpdateExclusiveLock", "RowExclusiveLock"},
    Mode.STOPS_WRITERS: {"ShareLock", "ShareRowExclusiveLock"},
    Mode.STOPS_ALL: {"AccessExclusiveLock"},
}
STRENGTH = [
    *("AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock"),
    *("ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"),
]
STATEMENTS = [
    "CREATE INDEX i ON tried (a)",
    'CREATE UNIQUE INDEX IF NOT EXISTS "i" ON "tried" ("a")',
    "DROP INDEX tried_b",
    "ALTER TABLE tried ADD COLUMN c int NULL",
    "ALTER TABLE tried ADD COLUMN c int DEFAULT 3 NOT NULL",
    "ALTER TABLE tried ADD COLUMN c uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE tried ADD COLUMN c int GENERATED ALWAYS AS (a + 1) STORED",
    "ALTER TABLE tried ADD COLUMN c int UNIQUE",
    "ALTER TABLE tried DROP COLUMN b",
    "ALTER TABLE tried RENAME COLUMN b TO c",
    "ALTER TABLE tried RENAME TO other",
    "ALTER TABLE tried ALTER COLUMN b TYPE bigint USING b::bigint",
    "ALTER TABLE tried ALTER COLUMN b SET DEFAULT 3",
    "ALTER TABLE tried ALTER COLUMN a DROP NOT NULL",
    "ALTER TABLE tried ALTER COLUMN b SET NOT NULL",
    "ALTER TABLE tried ADD CONSTRAINT k CHECK (b > 0)",
    "ALTER TABLE tried ADD CONSTRAINT k CHECK (b > 0) NOT VALID",
    "ALTER TABLE tried ADD CONSTRAINT k FOREIGN KEY (b) REFERENCES looked (id)",
    "ALTER TABLE tried ADD CONSTRAINT k FOREIGN KEY (b) REFERENCES looked (id) NOT VALID",
    "ALTER TABLE tried ADD CONSTRAINT k UNIQUE (b)",
    "ALTER TABLE tried VALIDATE CONSTRAINT young",
    "ALTER TABLE tried DROP CONSTRAINT young",
    "ALTER TABLE tried ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE tried ENABLE TRIGGER t",
    "ALTER TABLE tried SET (fillfactor = 70)",
    "ALTER TABLE tried ALTER COLUMN b SET STATISTICS 500",
    "ALTER TABLE tried SET UNLOGGED",
    "CREATE OR REPLACE TRIGGER u AFTER INSERT ON tried FOR EACH ROW EXECUTE FUNCTION nothing()",
    "CREATE CONSTRAINT TRIGGER u AFTER INSERT ON tried FOR EACH ROW EXECUTE FUNCTION nothing()",
    "DROP TRIGGER t ON tried",
    "CREATE POLICY p ON tried USING (true)",
    "UPDATE tried SET b = 2",
    "DELETE FROM tried",
    "TRUNCATE tried",
    "DROP TABLE tried",
    "LOCK TABLE tried",
]
SCRATCH = """
CREATE TABLE looked (id int PRIMARY KEY);
INSERT INTO looked SELECT generate_series(1, 50);
CREATE TABLE tried (a int NOT NULL, b int);
INSERT INTO tried SELECT n, n FROM generate_series(1, 50) n;
CREATE INDEX tried_b ON tried (b);
ALTER TABLE tried ADD CONSTRAINT young CHECK (a > 0) NOT VALID;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER t AFTER INSERT ON tried FOR EACH ROW EXECUTE FUNCTION nothing();
"""
LOOK = """
SELECT (SELECT relfilenode FROM pg_class WHERE oid = %(oid)s),
       (SELECT array_agg(mode) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = %(oid)s AND granted)
"""


@pytest.fixture(scope="module")
def scratch(django_db_setup: None, django_db_blocker: object) -> Iterator[psycopg2.extensions.connection]:
    """A session on the test's database with a table that the statements are tried on."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        session = psycopg2.connect(workers.environment()["DATABASE_URL"])
        with closing(session), session.cursor() as cursor:
            cursor.execute(SCRATCH)
            session.commit()
            try:
                yield session
            finally:
                session.rollback()
                cursor.execute("DROP TABLE tried, looked; DROP FUNCTION nothing")
                session.commit()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_takes_the_lock_that_is_said(scratch: psycopg2.extensions.connection, statement: str) -> None:
    """Asked of PostgreSQL itself, in a transaction that is undone."""
    (said,) = locks(statement)
    with scratch.cursor() as cursor:
        cursor.execute("SELECT oid, relfilenode FROM pg_class WHERE oid = 'tried'::regclass")
        oid, before = cursor.fetchone() or (0, 0)
        try:
            cursor.execute(statement)
            cursor.execute(LOOK, {"oid": oid})
            after, modes = cursor.fetchone() or (0, [])
        finally:
            scratch.rollback()
    strongest = max(modes, key=STRENGTH.index)
    assert strongest in MODES[said.mode], said
    if after not in (before, None) and not statement.startswith("TRUNCATE"):
        assert said.work is Work.WRITES, "the table was written anew"


def test_what_is_not_known_is_said_and_not_left_out() -> None:
    (odd,) = locks("FROBNICATE TABLE tried")
    assert (odd.mode, odd.work) == (Mode.UNKNOWN, Work.UNKNOWN)
    assert [one.mode for one in locks("DO $$ BEGIN DROP TABLE tried; END $$")] == [Mode.UNKNOWN]
    assert list(locks("CREATE TABLE fresh (a int); CREATE INDEX i ON fresh (a); -- DROP TABLE tried")) == []


# --- a plan of the suite's own database


@contextmanager
def one_step_behind() -> Iterator[None]:
    """The schema before the last migration of the sample."""
    call_command("migrate", "sample", "0001", verbosity=0)
    try:
        yield
    finally:
        call_command("migrate", "sample", verbosity=0)


def planned(*arguments: str) -> tuple[str, int]:
    """What the command says, and its exit status."""
    said = StringIO()
    try:
        call_command("upgrade", "--plan", *arguments, stdout=said)
    except SystemExit as end:
        return said.getvalue(), int(end.code or 0)
    return said.getvalue(), 0


def test_a_database_that_is_up_to_date_has_nothing_to_do() -> None:
    said, status = planned()
    assert said.startswith("Nothing to migrate")
    assert status == 0


def test_the_plan_names_each_step_with_its_phase_its_locks_and_who_may_go_on(tmp_path: Path) -> None:
    before = tmp_path / "before.txt"
    before.write_text("sample.0001_initial\n")
    with one_step_behind():
        said, status = planned("--json")
        text, _ = planned("--before", str(before))
    told = json.loads(said)
    assert status == 0
    (step,) = told["steps"]
    assert (step["name"], step["phase"]) == ("sample.0002_weights", "background")
    assert step["backfills"] == ["sample.weigh"]
    assert {"table": "sample_effect", "lock": "nobody else reads or writes", "does": "a moment"}.items() <= step[
        "locks"
    ][0].items()
    assert (told["beside"], told["back"]) == ("goes on", "not known")
    assert "1. sample.0002_weights: background" in text
    assert "may run beside this one, for as long as you want" in text
    assert "To drain before: nothing" in text


def test_the_way_back_is_open_until_something_was_taken_away(tmp_path: Path) -> None:
    before = tmp_path / "before.txt"
    before.write_text("sample.0001_initial  # of the release before\n")
    # Of the other apps every migration counts as new, and several of them took something away.
    assert json.loads(planned("--before", str(before), "--json")[0])["back"] != "goes on"
    leaves = planning.plan(before=[("sample", "0001_initial")]).applied
    assert [step.name for step in leaves if step.name.startswith("sample.")] == ["sample.0002_weights"]
    mine = [step for step in leaves if step.name == "sample.0002_weights"]
    assert planning.judge(mine) is Old.GOES_ON
    assert mine[0].phase is Phase.BACKGROUND


@pytest.mark.parametrize("content", ["nonsense", "sample.0009_none"])
def test_a_release_before_that_cannot_be_is_refused(tmp_path: Path, content: str) -> None:
    before = tmp_path / "before.txt"
    before.write_text(content)
    with pytest.raises(CommandError, match="--before"):
        planned("--before", str(before))
    with pytest.raises(CommandError, match="--before"):
        planned("--before", str(tmp_path / "absent"))


# --- migrations beside the platform


class Hearing(StringIO):
    """Standard error that does something with the first line."""

    def __init__(self, then: threading.Event) -> None:
        super().__init__()
        self._then = then

    def write(self, text: str) -> int:
        self._then.set()
        return super().write(text)


def test_a_migration_that_gets_no_lock_lets_others_pass_and_is_tried_again(settings: object) -> None:
    settings.ERIP_DB_MIGRATION_LOCK_TIMEOUT = 0.1  # type: ignore[attr-defined]
    heard = threading.Event()
    said = Hearing(heard)
    with one_step_behind(), closing(psycopg2.connect(workers.environment()["DATABASE_URL"])) as reader:
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sample_effect")

        def leave() -> None:
            heard.wait(60)
            reader.rollback()

        leaving = threading.Thread(target=leave)
        leaving.start()
        call_command("migrate", "sample", verbosity=0, stderr=said)
        leaving.join(60)
    assert "it is tried again" in said.getvalue()


def test_a_migration_that_never_gets_its_lock_fails_and_changes_nothing(settings: object) -> None:
    settings.ERIP_DB_MIGRATION_LOCK_TIMEOUT = 0.05  # type: ignore[attr-defined]
    settings.ERIP_DB_MIGRATION_PATIENCE = 0  # type: ignore[attr-defined]
    with one_step_behind():
        with closing(psycopg2.connect(workers.environment()["DATABASE_URL"])) as reader, reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sample_effect")
            with pytest.raises(OperationalError, match="lock timeout"):
                call_command("migrate", "sample", verbosity=0)
        assert [step.name for step in planning.plan().steps] == ["sample.0002_weights"]


@contextmanager
def a_step_more(
    *operations: Operation, atomic: bool = True, contracts: str = "", after: Sequence[Operation] | None = None
) -> Iterator[None]:
    """As if the sample had one more migration, of these operations, which is not applied. after: those of the next."""
    body: dict[str, Any] = {"dependencies": [("sample", "0002_weights")], "operations": list(operations)}
    body |= {"atomic": atomic, "contracts": contracts}
    made = type("Migration", (migrations.Migration,), body)
    needs = {"dependencies": [("sample", "0003_more")], "operations": list(after or ())}
    last = type("Migration", (migrations.Migration,), needs)
    load = MigrationLoader.load_disk

    def with_more(loader: MigrationLoader) -> None:
        load(loader)
        assert loader.disk_migrations is not None
        loader.disk_migrations["sample", "0003_more"] = made("0003_more", "sample")
        if after is not None:
            loader.disk_migrations["sample", "0004_after"] = last("0004_after", "sample")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MigrationLoader, "load_disk", with_more)
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute(
                    "DELETE FROM django_migrations WHERE app = 'sample' AND name IN ('0003_more', '0004_after')"
                )
                cursor.execute("COMMENT ON TABLE django_migrations IS NULL")


def triggers_of(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s",
                       [table, changes.TRIGGER])  # fmt: skip
        return int((cursor.fetchone() or (0,))[0])


def test_where_a_later_migration_has_to_wait_or_fails_what_was_applied_before_it_is_recorded() -> None:
    def without_trigger() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {changes.TRIGGER} ON sample_effect")
            cursor.execute("INSERT INTO sample_effect (key, at) VALUES ('a', now())")

    with one_step_behind(), a_step_more(Finished("sample.weigh")):
        without_trigger()
        with pytest.raises(CommandError) as refused:
            call_command("migrate", "sample", verbosity=0)
        assert triggers_of("sample_effect") == 1
        for part in ("stops here", "sample.weigh is not done", "backfill run", "before it: sample.0002_weights."):
            assert part in str(refused.value)
        with pytest.raises(CommandError, match=r"No migration was applied\."):
            call_command("migrate", "sample", verbosity=0)
    with a_step_more(migrations.RunSQL("SELECT 1 / 0")):
        without_trigger()
        with pytest.raises(DataError):
            call_command("migrate", "sample", verbosity=0)
        assert triggers_of("sample_effect") == 1


def test_an_index_that_was_cut_off_while_it_was_built_is_built_anew() -> None:
    index = models.Index(fields=["key"], name="sample_by_key")
    said = StringIO()
    with connection.cursor() as cursor, a_step_more(AddIndexConcurrently("effect", index), atomic=False):
        cursor.execute("INSERT INTO sample_effect (key, at) VALUES ('a', now()), ('a', now())")
        with pytest.raises(IntegrityError):
            cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY sample_by_key ON sample_effect (key)")
        try:
            call_command("migrate", "sample", verbosity=0, stderr=said)
            cursor.execute("SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'sample_by_key'::regclass")
            assert cursor.fetchall() == [(True, False)]
        finally:
            cursor.execute("DROP INDEX sample_by_key")
    assert "sample_by_key was left half built" in said.getvalue()


def test_two_that_migrate_take_turns(settings: object) -> None:
    heard = threading.Event()
    said = Hearing(heard)
    with one_step_behind(), closing(psycopg2.connect(workers.environment()["DATABASE_URL"])) as other:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [migrating._TURN])
        other.commit()
        settings.ERIP_DB_MIGRATION_PATIENCE = 0  # type: ignore[attr-defined]
        with pytest.raises(CommandError, match=r"Another process .* Nothing was changed\."):
            call_command("migrate", "sample", verbosity=0)
        assert [step.name for step in planning.plan().steps] == ["sample.0002_weights"]
        settings.ERIP_DB_MIGRATION_PATIENCE = 60  # type: ignore[attr-defined]

        def leave() -> None:
            heard.wait(60)
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [migrating._TURN])

        leaving = threading.Thread(target=leave)
        leaving.start()
        call_command("migrate", "sample", verbosity=0, stderr=said)
        leaving.join(60)
        assert "is waited for" in said.getvalue()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [migrating._TURN])
            assert cursor.fetchone() == (True,), "it is given back"


def test_a_turn_whose_session_ends_meanwhile_spoils_nothing() -> None:
    waited: list[None] = []
    with migrating.turn("default", lambda: waited.append(None)), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND pid <>"
            " pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [migrating._TURN],
        )
        assert cursor.fetchall() == [(True,)]
    with migrating.turn("default", lambda: waited.append(None)):
        pass
    assert waited == []


def test_an_older_release_leaves_the_triggers_and_privileges_of_a_newer_one() -> None:
    """What it does not know it would take away: seen when a roll-back ran the old release's migrate."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('sample', '0003_future', now())")
        cursor.execute(
            f"CREATE TRIGGER {changes.TRIGGER} AFTER DELETE ON erip_backfill FOR EACH ROW"
            " EXECUTE FUNCTION audit_changed('{name}', '{}', '{}')"
        )
    said = StringIO()
    try:
        assert migrating.ahead() == ["sample.0003_future"]
        call_command("migrate", stdout=said, verbosity=0)
        assert "of a newer release (sample.0003_future)" in said.getvalue()
        assert "sample.0003_future" in planned()[0]
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'erip_backfill'::regclass AND tgname = %s",
                           [changes.TRIGGER])  # fmt: skip
            assert cursor.fetchone() == (1,)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = '0003_future'")
    # The same once it is the newest.
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'erip_backfill'::regclass AND tgname = %s",
                       [changes.TRIGGER])  # fmt: skip
        assert cursor.fetchone() == (0,)


# --- migrations that contract


CONTRACTS = "releases before this one read sample_effect.note"
MORE = "sample.0003_more"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reports here who has to be waited for."""
    monkeypatch.setattr(contracting, "AGAIN_AFTER", 0.0)


def reports(kind: str, pid: int, *knows: str) -> UUID:
    """A process of the platform that lives. Returns its life."""
    life = uuid4()
    report = components.Report(life, kind, "there", pid, datetime.now(UTC), [], [], None, knows=knows)
    components.insert_report(report)
    return life


def migrated(*arguments: str) -> str:
    said = StringIO()
    call_command("migrate", *arguments, verbosity=0, stdout=said)
    return said.getvalue()


def applied() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations WHERE (app, name) = ('sample', '0003_more')")
        return cursor.fetchone() == (1,)


def test_what_contracts_waits_for_the_last_process_that_does_not_know_of_it(at_once: None) -> None:
    old, _ = reports("web", 1), reports("web", 2, MORE)
    said = "web 1 on there is of a release that does not know sample.0003_more"
    with one_step_behind(), a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS):
        # What comes before it is applied, and it is not.
        assert migrated() == (f"Left for later: {MORE} must wait: {said}. Call migrate again when that is over.\n")
        assert [step.name for step in planning.plan().steps] == [MORE]
        plan = json.loads(planned("--json")[0])
        assert (plan["steps"][0]["phase"], plan["steps"][0]["contracts"]) == ("contract", CONTRACTS)
        assert plan["in_the_way"] == [said]
        assert said in planned()[0]
        for arguments in (("--contract",), ("sample",), ("sample", "0003")):
            with pytest.raises(CommandError, match="does not know") as refused:
                migrated(*arguments)
            assert "Nothing was changed." in str(refused.value)
        # It ends in good order, and the rest knows of it; but somebody may want to go back.
        components.farewell(old, 5.0)
        assert "--expand was asked for" in migrated("--expand")
        assert not applied()
        assert migrated() == ""
        assert applied()
        # A process that does not know of it, and stood by meanwhile, sees that when its turn comes.
        with closing(Primary()) as primary:
            assert primary.lacks(30.0) == [MORE]
            call_command("migrate", "sample", "0002", fake=True, verbosity=0)
            assert primary.lacks(30.0) == []


def test_what_contracts_is_noted_before_it_takes_anything_away(at_once: None) -> None:
    """What comes after it in the same call may take hours, or fail: by then a standby has what it took away."""
    fails = [migrations.RunSQL("SELECT 1 / 0", "SELECT 1")]
    with a_step_more(migrations.RunSQL("SELECT 1", "SELECT 1"), contracts=CONTRACTS, after=fails):
        with pytest.MonkeyPatch.context() as patch:

            def none() -> None:
                raise OperationalError("its locks were not to be had")

            patch.setattr(changes, "install", none)
            with pytest.raises(DataError, match="division by zero"):
                call_command("migrate", "sample", verbosity=0, stderr=StringIO())
        assert applied()
        with closing(Primary()) as primary:
            assert primary.lacks(30.0) == [MORE]


def test_nothing_is_noted_in_a_database_that_nobody_has_migrated() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO hidden")
    try:
        phases.note(connection)
        with closing(Primary()) as primary:
            assert primary.lacks(30.0) == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hidden RENAME TO django_migrations")


def test_who_does_not_say_of_which_release_it_is_is_in_the_way(at_once: None) -> None:
    store.register_worker("silent", "there", 7, ["standard"])
    with a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS):
        with pytest.raises(CommandError, match="worker silent does not say of which release it is"):
            migrated("--contract")
        reports("worker", 7, MORE)
        assert migrated("--contract") == ""
        assert applied()


def test_what_contracts_waits_for_the_background(at_once: None) -> None:
    with one_step_behind(), a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS):
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO sample_effect (key, at) VALUES ('a', now())")
        # The step before it declares what it has to wait for: in the same call.
        with pytest.raises(
            CommandError, match=r"weigh is not done: not begun\. Applied before it: sample\.0002_weights"
        ):
            migrated("--contract")
        assert "the backfill sample.weigh is not done: not begun" in migrated()
        assert migrated("sample", "--expand").startswith(f"Left for later: {MORE} must wait: --expand was asked for.")
        assert not applied()
        # Somebody has looked, and goes on all the same.
        assert migrated("--force-contract") == ""
        assert applied()


def test_what_is_left_for_later_keeps_no_process_from_starting_and_doctor_names_it() -> None:
    """Kubernetes ends the old pods when the new ones have started: each would wait for the other."""
    publish(CHAIN)
    with a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS):
        health._ask_whether_started()
        (found,) = database.migrations_are_applied()
        assert found.state is State.WARNING
        assert "1 are left for later, first sample.0003_more" in found.says
    # What comes behind it only adds: the code that is to start uses that.
    behind = a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS, after=[migrations.RunSQL("SELECT 1")])
    with behind, pytest.raises(health.NotStarted, match="1 migrations are not applied"):
        health._ask_whether_started()
    with a_step_more(migrations.RunSQL("SELECT 1")):
        with pytest.raises(health.NotStarted, match="1 migrations are not applied"):
            health._ask_whether_started()
        assert [one.state for one in database.migrations_are_applied()] == [State.PROBLEM]


def test_a_migration_that_is_asked_for_by_name_is_the_last_that_is_applied(at_once: None) -> None:
    """It went further, and back again: what the next one took away was lost."""
    done: list[str] = []

    def note(*_: Any) -> None:
        done.append("0004")

    after = [migrations.RunPython(note, note)]
    with a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS, after=after):
        assert migrated("sample", "0003") == ""
        assert applied()
        assert done == []
        assert migrated("sample") == ""
        assert done == ["0004"]


def test_while_nobody_reports_what_contracts_waits_and_says_how_to_go_on(at_once: None, settings: Any) -> None:
    settings.ERIP_PULSE = False
    with a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS):
        said = migrated()
        assert said.startswith(f"Left for later: {MORE} must wait: ERIP_PULSE is off")
        assert "--force-contract" in said
        assert not applied()
        assert migrated("--force-contract") == ""
        assert applied()


def test_a_worker_that_was_killed_is_in_the_way_for_a_minute(at_once: None) -> None:
    worker = store.register_worker("killed", "there", 7, ["standard"])
    with a_step_more(migrations.RunSQL("SELECT 1"), contracts=CONTRACTS):
        with pytest.raises(CommandError, match="worker killed"):
            migrated("--contract")
        # No leader was there to bury it.
        Worker.objects.filter(pk=worker).update(heartbeat_at=datetime.now(UTC) - timedelta(seconds=61))
        assert migrated("--contract") == ""
        assert applied()


def test_before_processes_could_say_what_they_know_they_know_nothing() -> None:
    """As in a database of a release before `monitoring.0013_component_knows`."""
    reports("web", 1, MORE)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitoring_component DROP COLUMN knows")
        assert [(one.pid, list(one.knows)) for one in components.lives(60.0)] == [(1, [])]
        with pytest.raises(ProgrammingError) as error, transaction.atomic():
            reports("web", 2, MORE)
        assert may_wait(error.value)
        transaction.set_rollback(True)
    assert [(one.pid, list(one.knows)) for one in components.lives(60.0)] == [(1, [MORE])]
