"""An erased person is not in a restored backup: a copy of the database from before the erasure is brought up to the
journal."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg2
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone
from psycopg2 import sql

from erip.foundation.hooks import leader_begins
from erip.management.doctor import erasures
from erip.ops.stack.state import ROOT
from tests.definitions import publish
from tests.integration.test_privacy import GREETS, about
from tests.support.databases import in_place_of_ours
from tests.unit.docs.blocks import blocks_of
from workflows import engine
from workflows.models import WorkflowRun
from workflows.privacy import holds, journal, persons
from workflows.privacy.models import DataKey, Erasure, Hold

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = ROOT / "docs/how-to/sensitive-data.md"


@pytest.fixture
def file(settings: Any, tmp_path: Path) -> Path:
    settings.ERIP_ERASURE_JOURNAL = str(tmp_path / "elsewhere" / "erasures.jsonl")
    return Path(settings.ERIP_ERASURE_JOURNAL)


@pytest.fixture
def backup() -> Iterator[Callable[[], str]]:
    """Makes a copy of the whole database as it is; gives its URL."""
    made: list[str] = []
    known = connection.settings_dict
    name = known["NAME"]

    def statement(*texts: sql.Composable) -> None:
        told = {"host": known["HOST"], "port": known["PORT"], "user": known["USER"], "password": known["PASSWORD"]}
        with closing(psycopg2.connect(dbname="postgres", **told)) as other, other.cursor() as cursor:
            other.autocommit = True
            # Not a worker of autovacuum: that is a superuser's, and makes way by itself.
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend'",
                [name],
            )
            for text in texts:
                cursor.execute(text)

    def copy() -> str:
        connections.close_all()
        made.append(f"{name}_backup_{len(made)}")
        copied = sql.Identifier(made[-1])
        statement(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(copied),
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(copied, sql.Identifier(name)),
        )
        who = f"{quote(known['USER'])}:{quote(known['PASSWORD'])}@{known['HOST']}:{known['PORT']}"
        return f"postgres://{who}/{made[-1]}"

    yield copy
    connections.close_all()
    for one in made:
        statement(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(one)))


def started(who: tuple[str, str]) -> str:
    return engine.start_runs("greets", [engine.StartRequest(about(*who))], principal="t")[0].id


def named(run: str) -> Any:
    return persons.open_run(WorkflowRun.objects.get(pk=run).pk)["input"]["name"]  # type: ignore[index]


def someone() -> tuple[str, str]:
    return f"customer-{uuid4()}", f"Zebra-{uuid4()}"


def test_a_restored_backup_is_brought_up_to_the_journal(file: Path, backup: Callable[[], str]) -> None:
    publish(GREETS)
    erased, kept = someone(), someone()
    run, other = started(erased), started(kept)
    url = backup()
    persons.erase(erased[0], by="t", reason="asked for", dry_run=False)
    holds.put(holds.Wanted("case", person=kept[0]), by="law")
    lifted = holds.put(holds.Wanted("settled"), by="law")
    holds.release(lifted.pk, by="law")
    journal.write_what_is_missing()
    assert erased[0] not in file.read_text()
    assert erased[1] not in file.read_text()

    with in_place_of_ours(primary=url):
        assert named(run) == erased[1], "the backup has it"
        back = started(erased)  # the person is there again, before anybody thought of the journal
        seen = StringIO()
        call_command("privacy", "reapply", "--reason", "r", "--dry-run", stdout=seen)
        assert len(json.loads(seen.getvalue())["erased"]) == 1
        assert named(run) == erased[1]

        done = StringIO()
        call_command("privacy", "reapply", "--reason", "restored", stdout=done)

        assert (named(run), named(other)) == (None, kept[1])
        # It was sealed with the key that the backup brought back, which went.
        assert named(back) is None
        told = json.loads(done.getvalue())
        assert (len(told["erased"]), told["held"]) == (1, 1)
        assert Erasure.objects.get().certificate["again"]
        assert [hold.reason for hold in Hold.objects.in_force()] == ["case"]
        with pytest.raises(persons.HeldForLaw):
            persons.erase(kept[0], by="t", reason="r", dry_run=False)
        # A second time there is nothing left to do, and a new key of the person stays.
        again = started(erased)
        twice = StringIO()
        call_command("privacy", "reapply", "--reason", "r", stdout=twice)
        assert json.loads(twice.getvalue()) == {"erased": [], "already": 1, "held": 0, "lifted": 0}
        assert named(again) == erased[1]


@pytest.mark.parametrize("over", [False, True], ids=["lifted since", "over by itself"])
def test_holds_are_as_the_journal_has_them(file: Path, backup: Callable[[], str], over: bool) -> None:
    who = someone()
    ends = timezone.now() - timedelta(days=1) if over else None
    first = holds.put(holds.Wanted("first", person=who[0], classes=("reports",), ends_at=ends), by="law")
    url = backup()
    if not over:
        holds.release(first.pk, by="law")
    holds.put(holds.Wanted("second", person=who[0]), by="law")
    journal.write_what_is_missing()

    with in_place_of_ours(primary=url):
        done = journal.reapply(file, by="t", reason="r")
        assert (done.held, done.lifted) == (1, 0 if over else 1)
        assert [hold.reason for hold in Hold.objects.in_force()] == ["second"]


def test_a_leader_does_it_where_nobody_thought_of_it(file: Path, backup: Callable[[], str]) -> None:
    publish(GREETS)
    who = someone()
    run = started(who)
    url = backup()
    persons.erase(who[0], by="t", reason="asked for", dry_run=False)
    assert journal._leader.begin in leader_begins.all()
    journal._leader.begin()

    # The same process leads again: a standby that had not got the last commits, or a backup.
    with in_place_of_ours(primary=url):
        assert named(run) == who[1]
        journal._leader.begin()
        assert named(run) is None


def doctor() -> tuple[str, str] | None:
    found = [(str(one.state), one.says) for one in erasures.they_are_in_force()]
    assert len(found) <= 1
    return found[0] if found else None


def test_the_doctor_names_a_database_from_before_an_erasure(
    file: Path, backup: Callable[[], str], settings: Any
) -> None:
    publish(GREETS)
    who = someone()
    started(who)
    unset, settings.ERIP_ERASURE_JOURNAL = settings.ERIP_ERASURE_JOURNAL, ""
    assert doctor() is None
    settings.ERIP_ERASURE_JOURNAL = unset
    assert doctor() == ("unknown", "the journal is not on this host, or nothing was ever written to it")
    url = backup()
    persons.erase(who[0], by="t", reason="asked for", dry_run=False)
    assert doctor() == ("well", "all 1 that the journal has are in force here")

    with in_place_of_ours(primary=url):
        assert (doctor() or ("", ""))[0] == "problem"
        assert not Erasure.objects.exists(), "it changes nothing"
        call_command("privacy", "reapply", "--reason", "restored", stdout=StringIO())
        assert (doctor() or ("", ""))[0] == "well"

    file.write_bytes(file.read_bytes() + b"{}\n")
    assert "line 2" in (doctor() or ("", ""))[1]
    settings.ERIP_ERASURE_JOURNAL = ""
    assert (doctor() or ("", ""))[0] == "warning"


def test_the_leader_writes_what_a_process_could_not(file: Path) -> None:
    publish(GREETS)
    who = someone()
    started(who)
    file.parent.write_text("no folder")  # so that nothing can be written there
    persons.erase(who[0], by="t", reason="asked for", dry_run=False)
    file.parent.unlink()
    leader = journal._Leader()

    leader.step()
    leader.step()

    assert len(file.read_bytes().splitlines()) == 1
    assert [told["person"] for told in journal.lines(file) if told] == [Erasure.objects.get().certificate["person"]]


def test_lines_of_others_and_broken_ones_are_named_and_the_rest_is_applied(file: Path) -> None:
    publish(GREETS)
    who, kept = someone(), someone()
    started(who)
    run = started(kept)
    persons.erase(who[0], by="t", reason="asked for", dry_run=False)
    good = file.read_bytes()
    other = DataKey.objects.get(destroyed_at__isnull=True)
    forged = good.replace(Erasure.objects.get().certificate["person"].encode(), bytes(other.subject).hex().encode())
    file.write_bytes(forged + good + b"\xff\n[1]\n{}\n" + good[: len(good) // 2])

    with pytest.raises(CommandError, match="lines 1, 3, 4, 5, 6"):
        call_command("privacy", "reapply", "--reason", "r")

    assert named(run) == kept[1]
    # What is written next begins a line of its own.
    persons.erase(kept[0], by="t", reason="asked for", dry_run=False)
    assert sum(told is not None for told in journal.lines(file)) == 2
    file.unlink()
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("privacy", "reapply", "--reason", "r")
    django_settings.ERIP_ERASURE_JOURNAL = ""
    with pytest.raises(CommandError, match="ERIP_ERASURE_JOURNAL"):
        call_command("privacy", "reapply", "--reason", "r")


def test_a_certificate_that_does_not_name_the_keys_is_no_final_erasure(file: Path, settings: Any) -> None:
    publish(GREETS)
    who = someone()
    started(who)
    settings.ERIP_ENCRYPTION_KEYS_FILE = f"{file}.none"  # which stops no erasure
    persons.erase(who[0], by="t", reason="asked for", dry_run=False)
    assert Erasure.objects.get().certificate["key_encryption_keys"] is None
    Erasure.objects.create(certificate={"person": "aa", "keys": [1], "at": "2026-01-01T00:00:00+00:00"})
    Erasure.objects.create(certificate={"retention": []})
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("privacy", "remains")

    settings.ERIP_ENCRYPTION_KEYS_FILE = ""

    said = StringIO()
    call_command("privacy", "remains", stdout=said)
    assert json.loads(said.getvalue()) == {"openable": {}, "final": 0, "unknown": 2}


def test_the_commands_of_the_page_run(file: Path) -> None:
    holds.put(holds.Wanted("case"), by="law")
    journal.write_what_is_missing()
    told = next(block.text for block in blocks_of(PAGE) if "privacy reapply" in block.text)
    for line in told.splitlines():
        words, _, reason = (
            line.partition("manage.py ")[2].replace("/mnt/elsewhere/erasures.jsonl", str(file)).partition(" --reason ")
        )
        call_command(*words.split(), "--reason", reason, stdout=StringIO())
