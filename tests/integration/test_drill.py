"""A real drill: backups of a PostgreSQL that archives, restored to a named second, proven, recorded and signed.

docs/how-to/backups.md says what a drill shows.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import override_settings

from erip.audit import entries
from erip.audit.operation import Operation, doing
from erip.management.doctor import recovery as doctor
from erip.management.doctor.findings import State
from erip.management.drill import ledger
from erip.management.drill import work as at_work
from erip.ops.stack import carrying
from monitoring.controls.results import Status, look
from monitoring.store import recovery
from tests.definitions import publish
from tests.support.backups import archived_server, holds_text, needs_pgbackrest
from tests.support.databases import in_place_of_ours
from tests.support.receiver import receiving
from tests.support.sealing import seal
from tests.workers import until
from workflows import engine, store
from workflows.core.states import Lane
from workflows.engine import StartRequest
from workflows.models import Chunk, StepRun, WorkflowRun
from workflows.privacy import persons
from workflows.worker.executor import Executor

PASS = "a-pass-of-more-than-16-characters"
WORK = "name: work\nsteps:\n  one: {uses: sample.echo, with: {value: 1}}\n"
NAPS = "name: naps\nsteps:\n  nap: {wait: {for: 1s}}\n  one: {uses: sample.echo, needs: [nap], with: {value: 1}}\n"
#: after its moment it waits on, and nothing else is due
AGAIN = "name: again\nsteps:\n  hold: {wait: {all: [{signal: x}, {any: [{signal: y}, {for: 1s}]}]}}\n"
TELLS = """\
name: tells
input: {type: object, properties: {to: {type: string}}}
steps:
  tell: {uses: notify.send, with: {webhook: ["${{ input.to }}"], data: {x: 1}}}
"""
ABOUT = """\
name: about
input:
  type: object
  properties:
    person_id: {type: string, subject: true, title: Customer number}
    name: {type: string, sensitive: true, purpose: to greet, basis: contract}
steps:
  greet: {uses: sample.greet, with: {name: "${{ input.name }}"}}
"""


def start(workflow: str, count: int, **given: object) -> list[UUID]:
    return [run.id for run in engine.start_runs(workflow, [StartRequest(given)] * count, principal="test")]


def carry_out(runs: list[UUID]) -> None:
    """As a worker does."""
    lanes = [str(lane) for lane in Lane]
    executor = Executor(store.register_worker("test", "here", 1, lanes), lanes, threads=2)
    ended = WorkflowRun.objects.filter(pk__in=runs, finished_at__isnull=False)
    try:
        executor.execute(runs)
        until(lambda: ended.count() == len(runs), seconds=60, what="the runs have ended")
    finally:
        executor.stop(grace=10)


def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def told(command: str, *words: str, **options: object) -> Any:
    out = StringIO()
    call_command(command, *words, stdout=out, json=True, **options)
    return json.loads(out.getvalue())


@needs_pgbackrest
@pytest.mark.timeout(600)
def test_a_backup_is_restored_to_a_second_and_proven(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The worker of the drill has the environment's settings: what keeps it from sending is that it is parked.
    monkeypatch.setenv("ERIP_WEBHOOK_ALLOW_PRIVATE", "true")
    known = connection.settings_dict
    ours = f"postgres://{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "report.html").write_text("what a report says")
    with archived_server() as (server, node), receiving() as receiver:
        told_to = {
            "ERIP_BACKUP_CONFIG": [str(node.configuration)],
            "ERIP_BACKUP_FILES_TO": str(tmp_path / "sealed"),
            "ERIP_BACKUP_PASS": PASS,
            "ERIP_REPORT_DIR": tmp_path / "reports",
        }
        with in_place_of_ours(primary=server.url, **told_to):
            # Quicker than all migrations.
            carrying.copy(ours, server.url, server.kind.binary.path.parent, {"PATH": "/usr/bin:/bin"})
            assert look("restore-drill").status is Status.UNKNOWN
            for text in (WORK, NAPS, AGAIN, TELLS, ABOUT):
                publish(text)
            with pytest.raises(CommandError, match="there is no backup"):
                told("backup", "check")

            # Given a backup, and after it runs that ended, runs that wait, and a person's
            made = told("backup", "now")
            assert made["backup"]["kind"] == "full"
            assert made["files"]["files"] == 1
            assert told("backup", "now")["backup"]["kind"] == "incr"
            carry_out(ended := start("work", 5))
            start("about", 1, person_id="customer-1", name="Zebra")
            waiting = start("work", 3)
            start("work", 20)
            assert Chunk.objects.get().size == 20, "these are accepted together, without rows of steps"
            start("naps", 1)
            start("again", 1)
            start("tells", 1, to=receiver.url)
            with override_settings(ERIP_AUDIT_CHECKPOINT_SECONDS=0.0):
                with doing(Operation("command", "command:test", lambda: "os:test")):
                    entries.write({"kind": "effect", "action": "test"})
                seal()
            second = now()
            # and after a named second more runs, an end, and an erasure
            start("work", 7)
            carry_out(waiting)
            persons.erase("customer-1", by="test", reason="asked for", dry_run=False)
            told("backup", "check")

            # When it is restored to that second
            record = told("drill", second=second.isoformat(), margin=0.0)

            # Then all is there, nothing is from later, what was erased is erased, and work goes on without a word
            found = {one["name"]: one for one in record["proofs"]}
            assert {name: one["ok"] for name, one in found.items()} == dict.fromkeys(
                ("ledger", "audit", "erased", "keys", "work"), True
            )
            assert (found["ledger"]["runs"], found["ledger"]["uncertain"]) == (len(ended) + 3 + 20 + 4, 0)
            assert (found["erased"]["came_back"], found["erased"]["erased_again"]) == (1, 1)
            assert found["keys"]["opened"] == ["derived"]
            work = {name: found["work"][name] for name in ("open_runs", "due", "due_in_chunks", "taken_up")}
            assert work == {"open_runs": 27, "due": 27, "due_in_chunks": 20, "taken_up": 27}
            assert receiver.posts == []
            assert record["rpo_seconds"] == 0.0
            assert 0 < record["rto_seconds"] < 300

            # and the controls, the metrics and the doctor know
            assert look("restore-drill").status is Status.HOLDS
            assert look("backup").status is Status.HOLDS
            assert recovery.ages().keys() == {"backup", "drill"}
            states = {one.about: one.state for one in doctor.a_backup_is_fresh()}
            assert states == {
                "backups": State.WELL, "drill": State.WELL, "key derived": State.WARNING, "secret key": State.WARNING
            }  # fmt: skip
            with override_settings(ERIP_BACKUP_KEYS_KEPT=list(told("backup", "keys").values())):
                assert {one.state for one in doctor.a_backup_is_fresh()} == {State.WELL}
            assert not holds_text(tmp_path / "sealed", b"what a report says")
            assert not holds_text(node.configuration.parent / "repository", b"customer")

            # A record that somebody changed, and a drill that cannot find what it should, are seen.
            with connection.cursor() as cursor:
                cursor.execute("UPDATE monitoring_recoveryrecord SET at = at - interval '1 day' WHERE kind = 'drill'")
            assert look("restore-drill").status is Status.FAILS
            with pytest.raises(CommandError, match="Nothing could be proven"):
                told("drill", second=(second - timedelta(days=9)).isoformat())
            assert look("restore-drill").status is Status.FAILS
            connections.close_all()


# --- what is due ---------------------------------------------------------------------------------------------------


def taken_up(due: list[tuple[Any, ...]]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(at_work._MOVED, [[row[at] for row in due] for at in range(6)])
        return int(cursor.fetchone()[0])


def test_a_wait_that_rests_again_was_taken_up_and_one_that_was_put_off_was_not(transactional_db: None) -> None:
    lanes = [str(lane) for lane in Lane]
    publish("name: on\nsteps: {hold: {wait: {all: [{signal: x}, {for: 1ms}, {for: 1h}]}}}\n")
    publish("name: last\nsteps: {hold: {wait: {all: [{signal: x}, {any: [{signal: y}, {for: 1ms}]}]}}}\n")
    publish("name: unread\nsteps: {hold: {wait: {for: 1ms}}}\n")
    (unread,) = [*start("on", 1), *start("last", 1), *start("unread", 1)][2:]
    due: list[tuple[Any, ...]] = []

    def all_due() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(at_work._DUE, [at_work.MOST])
            due[:] = cursor.fetchall()
        return len(due) == 3

    until(all_due, what="all three are due")
    assert taken_up(due) == 0
    # As where the definition is of a newer release.
    with transaction.atomic():
        store.put_off([(str(unread), "hold", -1)], seconds=600)
    assert taken_up(due) == 0
    engine.release_due(lanes, limit=9)
    assert taken_up(due) == 2
    dues = dict(StepRun.objects.filter(state="WAITING").values_list("run__workflow", "due_at"))
    assert dues["last"] is None
    assert dues["on"] > now()


# --- the ledger ----------------------------------------------------------------------------------------------------


@pytest.fixture
def two(transactional_db: None) -> Iterator[tuple[Any, Any]]:
    """Connections to the tests' database, and to a copy of its runs in another schema."""
    publish(WORK)
    carry_out(start("work", 3))
    start("work", 3)
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA restored")
        for table in ("workflows_workflowrun", "workflows_archivedrun"):
            cursor.execute(f"CREATE TABLE restored.{table} AS TABLE {table}")
    known = connection.get_connection_params()
    known = {name: value for name, value in known.items() if name not in ("cursor_factory", "options", "context")}
    one, other = (psycopg2.connect(**known, options=f"-c search_path={path}") for path in ("public", "restored"))
    for each in (one, other):
        each.autocommit = True
    yield one, other
    one.close()
    other.close()
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA restored CASCADE")


def change(restored: Any, statement: str) -> None:
    with closing(restored.cursor()) as cursor:
        cursor.execute(statement)


ONE = "(SELECT id FROM workflows_workflowrun WHERE finished_at IS {}NULL ORDER BY id LIMIT 1)"


@pytest.mark.parametrize(
    ("statement", "fact"),
    [
        (f"DELETE FROM workflows_workflowrun WHERE id = {ONE.format('')}", "missing"),
        (f"UPDATE workflows_workflowrun SET output = '2' WHERE id = {ONE.format('NOT ')}", "other_outcomes"),
        (
            f"UPDATE workflows_workflowrun SET state = 'RUNNING', finished_at = NULL WHERE id = {ONE.format('NOT ')}",
            "other_outcomes",
        ),
        (
            f"UPDATE workflows_workflowrun SET id = gen_random_uuid() WHERE id = {ONE.format('')}",
            "unknown_here",
        ),
        (
            "UPDATE workflows_workflowrun SET created_at = created_at + interval '9 hours'"
            f" WHERE id = {ONE.format('')}",
            "later",
        ),
    ],
)
def test_the_ledger_finds_each_kind_of_loss(two: tuple[Any, Any], statement: str, fact: str) -> None:
    until = now() + timedelta(hours=1)
    compared = ledger.compare(*two, until=until, margin=0.0, kept_from=until - timedelta(days=1))
    assert (compared.ok, compared.facts["runs"]) == (True, 6)
    change(two[1], statement)
    compared = ledger.compare(*two, until=until, margin=0.0, kept_from=until - timedelta(days=1))
    assert compared.ok is False
    assert compared.facts[fact] == 1
    assert compared.facts["named"] or fact == "later"


def test_what_began_just_before_the_second_is_uncertain_and_what_retention_took_is_no_loss(
    two: tuple[Any, Any],
) -> None:
    until = now() + timedelta(seconds=1)
    change(two[1], f"DELETE FROM workflows_workflowrun WHERE id = {ONE.format('')}")
    compared = ledger.compare(*two, until=until, margin=600.0, kept_from=until - timedelta(days=1))
    assert (compared.ok, compared.facts["uncertain"], compared.facts["missing"]) == (True, 1, 0)
    # The living database has let go of it.
    compared = ledger.compare(two[1], two[0], until=until, margin=0.0, kept_from=until)
    assert (compared.ok, compared.facts["unknown_here"], compared.facts["gone_since"]) == (True, 0, 1)
