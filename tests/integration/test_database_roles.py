"""The application's role cannot change the past: PostgreSQL refuses it, whatever the application sends.

One database goes the way of an installation that exists: its tables belonged to the application's role, are handed to
an owner, and get their privileges from `manage.py migrate`. The platform then runs on it as the application's role.
"""

from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from typing import Any

import psycopg2
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, connections

from erip.access import tables
from erip.foundation import hooks
from erip.foundation.db.privileges import APPEND
from erip.foundation.db.roles import faults
from erip.ops.stack.logins import DATABASE, ROLES, Logins, make_roles
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import as_superuser
from tests.definitions import CHAIN, publish
from tests.support.databases import in_place_of_ours
from tests.support.four_eyes import ASKING, MAY_ASK, SETTINGS, SQL, Asked, ask_people
from tests.support.postgresql.base import making_content_types_and_permissions
from tests.unit.docs.blocks import blocks
from tests.workers import until
from workflows import engine, store
from workflows.events.store import months
from workflows.leader.archive import tidy
from workflows.models import ArchivedRun, WorkflowRun
from workflows.worker.executor import Executor

LANES = ["critical", "high", "standard", "bulk"]
PASSWORDS = Logins(owner="of-owner", app="of-app", read="of-read", monitor="of-monitor")


def url(server: Server, role: str, password: str) -> str:
    return f"postgres://{role}:{password}@{LOOPBACK}:{server.port}/{DATABASE}"


@pytest.fixture(scope="module")
def server(django_db_blocker: Any) -> Iterator[Server]:
    with private_servers(redis=False, fsync=False) as (started, _):
        assert started is not None
        with django_db_blocker.unblock(), in_place_of_ours(primary=started.url, ERIP_DATABASE_OWNER=None):
            call_command("migrate", verbosity=0)
        # Twice: the second time there is nothing left to do.
        for _ in range(2):
            make_roles(lambda name: as_superuser(started.kind, name), PASSWORDS)
        yield started


@pytest.fixture(scope="module")
def platform(server: Server, django_db_blocker: Any) -> Iterator[Server]:
    """The connection `default` is the application's, on a database with a run in the archive and events in its log."""
    login = {"USER": ROLES.owner, "PASSWORD": PASSWORDS.owner}
    with (
        django_db_blocker.unblock(),
        in_place_of_ours(primary=url(server, ROLES.app, PASSWORDS.app), ERIP_DATABASE_OWNER=login),
    ):
        with making_content_types_and_permissions():
            call_command("migrate", verbosity=0)
        publish(CHAIN)
        executor = Executor(store.register_worker("test", "here", 1, LANES), LANES, threads=2)
        try:
            run = engine.start_runs("chain", [engine.StartRequest({"times": 1})], principal="ann")[0].id
            executor.execute([run])
            until(lambda: WorkflowRun.objects.get(pk=run).state == "SUCCEEDED", what="the run ended")
        finally:
            executor.stop(grace=5)
        assert store.archive_runs(older_than=0.0, limit=10) == 1
        engine.start_runs("chain", [engine.StartRequest({"times": 1})], principal="ann")
        months.ensure_months_ahead(1)
        tidy()
        yield server
        connections.close_all()


@pytest.fixture(scope="module")
def app(platform: Server) -> Iterator[Any]:
    with closing(psycopg2.connect(url(platform, ROLES.app, PASSWORDS.app))) as connected, connected.cursor() as cursor:
        connected.autocommit = True
        yield cursor


#: the partition of this month
PART = "workflows_archivedrun_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') || '"
THE_TRIGGER = (
    "SELECT format('DROP TRIGGER %I ON workflows_workflowversion', tgname) FROM pg_trigger"
    " WHERE tgrelid = 'workflows_workflowversion'::regclass AND tgname LIKE 'pgtrigger%' LIMIT 1"
)
NO_TRIGGERS = "SELECT set_config('pgtrigger.ignore', '{workflows_workflowversion:version_immutable}', true);"
ATTACKS = {
    "change a version": "UPDATE workflows_workflowversion SET author = 'x'",
    "change one with its trigger ignored": f"{NO_TRIGGERS} UPDATE workflows_workflowversion SET author = 'x'",
    "remove one with its trigger ignored": f"{NO_TRIGGERS} DELETE FROM workflows_workflowversion",
    "replace a version by inserting": "INSERT INTO workflows_workflowversion SELECT * FROM workflows_workflowversion"
    " ON CONFLICT (id) DO UPDATE SET author = 'x'",
    "merge into versions": "MERGE INTO workflows_workflowversion v USING (SELECT 1) s ON true"
    " WHEN MATCHED THEN UPDATE SET author = 'x'",
    "empty a table": "TRUNCATE workflows_archivedrun",
    "empty a table by another": "TRUNCATE workflows_workflowdefinition CASCADE",
    "change an archived run": "UPDATE workflows_archivedrun SET state = 'FAILED'",
    "remove an archived run": "DELETE FROM workflows_archivedrun",
    "change an archived step": "UPDATE workflows_archivedsteprun SET output = NULL",
    "remove an archived event": "DELETE FROM workflows_archivedrunevent",
    "go by the partition": f"DO $$ BEGIN EXECUTE 'DELETE FROM {PART}'; END $$",
    "write into the partition": f"DO $$ BEGIN EXECUTE 'UPDATE {PART} SET state = NULL'; END $$",
    "detach the partition": f"DO $$ BEGIN EXECUTE 'ALTER TABLE workflows_archivedrun DETACH PARTITION {PART}'; END $$",
    "drop the partition": f"DO $$ BEGIN EXECUTE 'DROP TABLE {PART}'; END $$",
    "change an event of a run": "UPDATE workflows_runevent SET detail = '{}'",
    "change the log": "UPDATE events_event SET event = '{}'",
    "remove from the log": "DELETE FROM events_event",
    "change the audit log": "UPDATE audit_entry SET body = '{}'",
    "remove from the audit log": "DELETE FROM audit_entry",
    "move a block of the audit log": "UPDATE audit_block SET number = 0",
    "remove a checkpoint of the audit log": "DELETE FROM audit_checkpoint",
    "have the audit log stay no more": "CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN OLD; END'",
    "change what an admin did": "UPDATE django_admin_log SET change_message = ''",
    "remove what an admin did": "DELETE FROM django_admin_log",
    "change a schedule's version": "UPDATE schedules_scheduleversion SET author = 'x'",
    "change an event type's version": "UPDATE events_eventtypeversion SET author = 'x'",
    "change a trigger's version": "UPDATE events_triggerversion SET author = 'x'",
    "change a decision's version": "UPDATE decisions_decisionversion SET author = 'x'",
    "claim that a migration ran": "INSERT INTO django_migrations (app, name, applied) VALUES ('x', 'x', now())",
    "switch all triggers off": "SET session_replication_role = replica",
    "switch them off in a function": "SELECT set_config('session_replication_role', 'replica', false)",
    "switch them off for the role": "ALTER ROLE CURRENT_USER SET session_replication_role = replica",
    "switch them off for the database": "ALTER DATABASE erip SET session_replication_role = replica",
    "switch them off for the server": "ALTER SYSTEM SET session_replication_role = replica",
    "disable a table's triggers": "ALTER TABLE workflows_workflowversion DISABLE TRIGGER ALL",
    "disable its own triggers": "ALTER TABLE workflows_workflowversion DISABLE TRIGGER USER",
    "drop a trigger": f"DO $$ BEGIN EXECUTE ({THE_TRIGGER}); END $$",
    "add a trigger": "CREATE TRIGGER t BEFORE INSERT ON workflows_archivedrun FOR EACH ROW"
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "rewrite by a rule": "CREATE RULE r AS ON INSERT TO workflows_archivedrun DO INSTEAD NOTHING",
    "drop a table": "DROP TABLE workflows_archivedrun CASCADE",
    "rename a table": "ALTER TABLE workflows_archivedrun RENAME TO was",
    "add a column": "ALTER TABLE workflows_archivedrun ADD COLUMN x int",
    "take a table over": "ALTER TABLE workflows_archivedrun OWNER TO CURRENT_USER",
    "grant itself more": "GRANT ALL ON workflows_archivedrun TO CURRENT_USER; DELETE FROM workflows_archivedrun",
    "make a table that hides one": "CREATE TABLE workflows_archivedrun_2000_01 (id uuid)",
    "make a temporary table that hides one": "CREATE TEMP TABLE workflows_archivedrun (id uuid)",
    "make a view": "CREATE VIEW v AS SELECT 1",
    "make a function": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "make a schema": "CREATE SCHEMA other",
    "make an extension": "CREATE EXTENSION pgcrypto",
    "have nothing kept": "CREATE OR REPLACE FUNCTION workflows_archive_floor() RETURNS int LANGUAGE sql AS 'SELECT 0'",
    "drop the guard of the archive": "DROP FUNCTION workflows_drop_archive_month(date)",
    "drop a month of the archive": "SELECT workflows_drop_archive_month(date_trunc('month', now())::date)",
    "drop an old month of the archive": "SELECT workflows_drop_archive_month('2001-01-01')",
    "drop a month of the log": "SELECT events_drop_log_month('2001-01-01')",
    "become the owner": "SET ROLE erip_owner",
    "log in as the owner": "SET SESSION AUTHORIZATION erip_owner",
    "join the owner": "GRANT erip_owner TO CURRENT_USER",
    "give the owner another password": "ALTER ROLE erip_owner PASSWORD 'x'",
    "become a superuser": "ALTER ROLE CURRENT_USER SUPERUSER",
    "make a superuser": "CREATE ROLE other SUPERUSER",
    "take what the owner has": "REASSIGN OWNED BY erip_owner TO CURRENT_USER",
    "drop what the owner has": "DROP OWNED BY erip_owner",
    "drop the database": "ALTER DATABASE erip RENAME TO other",
    "write the catalogue": "UPDATE pg_trigger SET tgenabled = 'D'",
    "write privileges": "UPDATE pg_class SET relacl = NULL",
    "give out a number again": "SELECT setval('workflows_workflowversion_id_seq', 1)",
    "lock everybody out": "BEGIN; LOCK TABLE workflows_archivedrun IN ACCESS EXCLUSIVE MODE",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "write a file": "COPY (SELECT 1) TO '/erip'",
    "read a file": "SELECT pg_read_file('postgresql.conf')",
    "follow the changes elsewhere": "CREATE PUBLICATION p FOR ALL TABLES",
    "replicate": "SELECT pg_create_physical_replication_slot('s')",
}


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_postgresql_refuses_the_application_to(attack: str, app: Any) -> None:
    try:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            app.execute(ATTACKS[attack])
    finally:
        app.execute("ROLLBACK")


@pytest.fixture(scope="module")
def asked(platform: Server) -> Asked:
    return ask_people()


def test_postgresql_refuses_the_application_every_way_round_four_eyes(asked: Asked, app: Any) -> None:
    """Whatever its session says of itself before: `pgtrigger.ignore` was such a word."""
    app.execute(SETTINGS)
    passed = []
    for way, statement in SQL.items():
        try:
            app.execute(f"BEGIN; {statement}; COMMIT")
            passed.append(way)
        except psycopg2.Error:
            app.execute("ROLLBACK")
    assert passed == []
    assert asked.untouched


def test_no_trigger_asks_the_applications_session_whether_to_stand_aside(app: Any) -> None:
    app.execute(ASKING)
    assert {name for (name,) in app.fetchall()} == MAY_ASK
    # Privileges refuse it first; the trigger would refuse it as well, as the role owns nothing.
    app.execute("SELECT pg_has_role((SELECT relowner FROM pg_class WHERE relname = 'audit_entry'), 'USAGE')")
    assert app.fetchone() == (False,)


def test_no_table_can_be_emptied_and_each_named_one_is_closed_as_its_app_says(app: Any) -> None:
    """Over all tables that there are, those of the site's own packages and partitions included."""
    app.execute("SELECT relname::text, relispartition FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'p')")  # fmt: skip
    found = app.fetchall()
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    for table, partition in found:
        expected = frozenset() if partition else tables.rules().of(table)
        app.execute("SELECT v FROM unnest(%s) v WHERE has_table_privilege(%s, v)", [list(verbs), f"public.{table}"])
        assert {verb for (verb,) in app.fetchall()} == expected, table
    assert tables.rules().names() <= {table for table, _ in found}
    assert any(partition for _, partition in found)


def test_the_limited_role_sees_the_spaces_that_were_named_and_nothing_else(app: Any) -> None:
    """As the application becomes it. (tests/integration/test_spaces.py asks through the API.)"""
    tables_ = [*tables.rules().walled]
    app.execute("SELECT count(*) FROM workflows_workflowrun")
    assert app.fetchone()[0] > 0
    try:
        for settings in ("", "SET LOCAL erip.spaces = 'north'; SET LOCAL erip.workflows = 'other';"):
            app.execute(f"BEGIN; {settings} SET LOCAL ROLE erip_limited")
            for table in tables_:
                app.execute(f"SELECT count(*) FROM {table}")
                assert app.fetchone() == (0,), table
            app.execute("ROLLBACK")
        app.execute("BEGIN; SET LOCAL erip.workflows = 'chain'; SET LOCAL ROLE erip_limited")
        for table in ("workflows_workflowrun", "workflows_archivedrun", "workflows_archivedsteprun"):
            app.execute(f"SELECT count(*) FROM {table}")
            assert app.fetchone()[0] > 0, table
        for refused in ("auth_user", "secrets_secret", "audit_entry", "events_logentry"):
            app.execute("SAVEPOINT s")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                app.execute(f"SELECT * FROM {refused}")
            app.execute("ROLLBACK TO s")
    finally:
        app.execute("ROLLBACK")


def test_the_applications_own_statements_are_planned_as_if_there_were_no_policies(app: Any) -> None:
    for statement in (
        "SELECT * FROM workflows_steprun WHERE state = 'READY' AND lane = 'critical'",
        "SELECT * FROM workflows_workflowrun WHERE id = '01a00000-0000-7000-8000-000000000000'",
        "UPDATE workflows_workflowrun SET seq = seq + 1 WHERE id = '01a00000-0000-7000-8000-000000000000'",
        "INSERT INTO workflows_runevent (run_id, type) SELECT id, 'x' FROM workflows_workflowrun",
        "SELECT * FROM events_subscription WHERE enabled",
    ):
        app.execute(f"EXPLAIN (COSTS OFF) {statement}")
        plan = "\n".join(line for (line,) in app.fetchall())
        assert "SubPlan" not in plan, plan
        assert "erip." not in plan, plan
    app.execute("BEGIN; SET LOCAL ROLE erip_limited")
    app.execute("EXPLAIN (COSTS OFF) SELECT * FROM workflows_workflowrun")
    plan = "\n".join(line for (line,) in app.fetchall())
    app.execute("ROLLBACK")
    assert "erip.workflows" in plan


def test_an_application_without_its_attribute_gets_no_policies_and_check_says_so(platform: Server) -> None:
    """`migrate` of this release, before a superuser has said what `roles sql` prints."""
    with closing(as_superuser(platform.kind, DATABASE)) as superuser, superuser.cursor() as root:
        root.execute("ALTER ROLE erip NOBYPASSRLS")
        try:
            call_command("migrate", verbosity=0)
            root.execute("SELECT count(*) FROM pg_class WHERE relrowsecurity")
            assert root.fetchone() == (0,)
            with pytest.raises(CommandError, match="roles sql"):
                call_command("roles", "check")
            assert engine.start_runs("chain", [engine.StartRequest({"times": 1})], principal="ann")
        finally:
            root.execute("ALTER ROLE erip BYPASSRLS")
            call_command("migrate", verbosity=0)
    call_command("roles", "check", stdout=StringIO())


def test_what_was_attacked_is_there(platform: Server) -> None:
    """Otherwise a refusal would show nothing."""
    assert ArchivedRun.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workflows_workflowversion")
        assert cursor.fetchone()[0] >= 1
        cursor.execute(THE_TRIGGER)
        assert cursor.fetchone() is not None


def test_a_migration_that_loosens_something_is_put_right_and_said(platform: Server) -> None:
    with closing(as_superuser(platform.kind, DATABASE)) as superuser, superuser.cursor() as root:
        root.execute(
            "GRANT UPDATE (author) ON workflows_workflowversion TO erip; GRANT TRUNCATE ON auth_user TO PUBLIC"
        )
        root.execute("GRANT erip_owner TO erip; GRANT SET ON PARAMETER session_replication_role TO erip")
        assert set(faults(ROLES, tables.rules())) == {
            "erip is a member of pg_database_owner",
            "erip is a member of erip_owner",
            "erip may set session_replication_role, which switches triggers off",
            "PUBLIC may TRUNCATE on table auth_user",
            "erip may UPDATE on table workflows_workflowversion",
        }
        with pytest.raises(CommandError):
            call_command("roles", "check")
        root.execute("REVOKE erip_owner FROM erip; REVOKE SET ON PARAMETER session_replication_role FROM erip")
        call_command("migrate", verbosity=0)
        assert faults(ROLES, tables.rules()) == []
        call_command("roles", "check")


def test_the_page_says_what_happens(platform: Server) -> None:
    """docs/how-to/database-roles.md: what `roles sql` prints can be said again and again, and a line adds a table."""
    page = [block.text for block in blocks() if block.page == "docs/how-to/database-roles.md"]
    assert any("manage.py roles sql" in text for text in page)
    printed = StringIO()
    call_command("roles", "sql", stdout=printed)
    with closing(as_superuser(platform.kind, DATABASE)) as superuser, superuser.cursor() as root:
        root.execute(printed.getvalue())
    with hooks.append_only.only(*hooks.append_only.all()):
        exec("\n".join(text for text in page if "append_only(" in text), {})
        assert tables.rules().of("acme_decision") == APPEND
        with pytest.raises(CommandError, match="acme_decision"):
            call_command("roles", "apply")


def test_a_month_may_go_once_the_owner_lets_it(platform: Server, settings: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT workflows_make_archive_month('2001-01-01')")
    settings.ERIP_KEEP_ARCHIVE_MONTHS = 12
    from workflows.conf import conf

    conf.cache_clear()
    try:
        call_command("roles", "apply")
        tidy()
    finally:
        del settings.ERIP_KEEP_ARCHIVE_MONTHS
        conf.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('workflows_archivedrun_2001_01')")
        assert cursor.fetchone() == (None,)
    assert ArchivedRun.objects.count() == 1


def test_who_only_reads_sees_no_secret_and_writes_nothing(platform: Server) -> None:
    with closing(psycopg2.connect(url(platform, ROLES.read, PASSWORDS.read))) as reader, reader.cursor() as cursor:
        reader.autocommit = True
        cursor.execute("SELECT count(*) FROM workflows_archivedrun")
        assert cursor.fetchone() == (1,)
        cursor.execute("SET default_transaction_read_only = off")  # a reminder, which it may take off: it may not write
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            for verb in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                cursor.execute("SELECT has_table_privilege(to_regclass(%s), %s)", [table, verb])
                assert cursor.fetchone() in ((False,), (None,)), f"{verb} on {table}"
        for table in tables.rules().confidential:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(f"SELECT * FROM {table}")


def test_who_watches_sees_the_server_and_no_row(platform: Server) -> None:
    with closing(psycopg2.connect(url(platform, ROLES.monitor, PASSWORDS.monitor))) as watcher:
        watcher.autocommit = True
        with watcher.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'erip' AND query <> ''")
            assert cursor.fetchone()[0] > 0
            for model in apps.get_models(include_auto_created=True):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(f"SELECT * FROM public.{model._meta.db_table}")


def test_no_other_role_gets_in_by_default(platform: Server) -> None:
    with closing(as_superuser(platform.kind, DATABASE)) as superuser, superuser.cursor() as root:
        root.execute("CREATE ROLE stranger LOGIN PASSWORD 'of-stranger'")
        try:
            with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
                psycopg2.connect(url(platform, "stranger", "of-stranger"))
        finally:
            root.execute("DROP ROLE stranger")
