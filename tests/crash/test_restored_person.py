"""A person who was erased is in no restored backup.

A base backup from before the erasure is restored for real: files of a cluster, from which a server recovers. It holds
the person's key, wrapped. This shows what brings it up to the erasure, that nothing in tables and files says who the
person was, and which bytes are left: the wrapped key, which nothing opens once its key-encryption key is gone.
"""

import base64
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection

from erip.audit import checkpoints, erip_verify
from erip.foundation import keyring
from erip.ops.backup.restored import Restored
from erip.ops.stack import carrying
from erip.ops.stack.ports import any_free
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import Standby
from tests.crash.test_secrets import files_with
from tests.definitions import publish
from tests.integration.test_archive import LONG_AGO, age
from tests.integration.test_drill import carry_out
from tests.integration.test_privacy import GREETS
from tests.integration.test_secrets import everywhere
from tests.support.databases import in_place_of_ours
from tests.support.sealing import seal
from workflows import engine, store
from workflows.privacy import keys, persons
from workflows.privacy.models import DataKey, Erasure, RunKey

pytestmark = pytest.mark.django_db(transaction=True)
REPLAYED = ("binary", "superuser_password", "password", "user", "role", "database")


@contextmanager
def base_backup(living: Postgres) -> Iterator[Server]:
    """What pg_basebackup copies of it now, as a server that is not started yet."""
    home = living.home / "restored"
    home.mkdir(mode=0o700)
    if living.user:
        os.chown(home, living.user.uid, living.user.gid)
    same = {one.name: getattr(living, one.name) for one in fields(Postgres) if one.name in REPLAYED}
    Standby(**same, home=home, port=any_free(), log=home / "copy.log", primary_port=living.port).prepare()
    # A copy that follows nobody: else the erasure would come to it by itself.
    (home / "postgres" / "standby.signal").unlink()
    server = Server(Restored(**same, home=home, port=any_free(), log=home / "postgres.log"))
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def key_encryption_key(name: str) -> str:
    return f"{name}:{base64.b64encode(keyring.new_key()).decode()}"


def started(workflow: str, who: str, name: str, planted: str) -> Any:
    given = {"person_id": who, "name": name, "case": planted}
    return engine.start_runs(workflow, [engine.StartRequest(given)], principal="t")[0].id


def named(run: Any) -> Any:
    opened = persons.open_run(run)
    assert opened is not None
    return opened["input"]["name"]


def what_remains() -> Any:
    said = io.StringIO()
    call_command("privacy", "remains", stdout=said)
    return json.loads(said.getvalue())


def ours() -> str:
    known = connection.settings_dict
    return f"postgres://{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"


def verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The audit log as an auditor has it, which `erip-verify` finds whole."""
    seal()
    checkpoints.sign()
    file, public = tmp_path / f"{uuid4()}.jsonl", io.StringIO()
    call_command("audit", "export", "--output", str(file))
    call_command("audit", "key", stdout=public)
    assert erip_verify.main([str(file), "--key", public.getvalue().strip(), "--fresh", "600"]) == 0
    assert "the log is whole" in capsys.readouterr().out
    return file.read_text()


@pytest.mark.usefixtures("no_chunks")
def test_a_person_who_was_erased_is_in_no_restored_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    who, name, planted = f"customer+{uuid4()}", f"Ze+bra/{uuid4()}", f"pl+anted/{uuid4()}"
    kept = (f"customer+{uuid4()}", f"Gi+raffe/{uuid4()}", "C-1")
    old, new = key_encryption_key("old"), key_encryption_key("new")
    told: dict[str, Any] = {"ERIP_ERASURE_JOURNAL": str(tmp_path / "elsewhere" / "erasures.jsonl")}
    with ExitStack() as stack:
        living, _ = stack.enter_context(private_servers(redis=False))
        assert living is not None
        assert isinstance(living.kind, Postgres)
        # Quicker than all migrations.
        carrying.copy(ours(), living.url, living.kind.binary.path.parent, living.kind.env)

        with in_place_of_ours(primary=living.url, ERIP_ENCRYPTION_KEYS=[old], **told):
            # Given runs about a person, of which one failed and one is in the archive
            publish(GREETS)
            fails = GREETS.replace("name: greets", "name: fails")
            publish(fails.replace("greet, with: {name", "greet, with: {fail: true, name"))
            runs = [started(workflow, who, name, planted) for workflow in ("greets", "greets", "fails")]
            other = started("greets", *kept)
            carry_out([*runs, other])
            salt = RunKey.objects.get(pk=runs[0])
            RunKey.objects.create(pk=age(runs[0], LONG_AGO), key=salt.key, salt=salt.salt)
            assert store.archive_runs(older_than=86_400.0, limit=10) == 1
            key = DataKey.objects.get(subject=keys.fingerprint(who))
            remains = keyring.Wrapped(key.wrapped_by, bytes(key.wrapped or b""))
            # and a base backup, and an erasure after it
            restored = stack.enter_context(base_backup(living.kind))
            persons.erase(who, by="t", reason="asked for", dry_run=False)

        # When it is restored, and brought up to the journal
        restored.start()
        assert isinstance(restored.kind, Restored)
        restored.kind.take_over()
        with in_place_of_ours(primary=restored.url, ERIP_ENCRYPTION_KEYS=[old], **told):
            assert named(runs[1]) == name, "the backup has it: else this shows nothing"
            assert not Erasure.objects.exists()
            call_command("privacy", "reapply", "--reason", "restored", stdout=io.StringIO())

            # Then nobody reads it, no table holds it, and the audit log is whole
            assert (named(runs[1]), named(other)) == (None, kept[1])
            with pytest.raises(persons.UnknownSubject):
                persons.export(who)
            log = verified(tmp_path, capsys)
            assert everywhere(planted) >= {"workflows_workflowrun", "workflows_archivedrun"}
            for text in (who, name):
                assert everywhere(text) == set()
                assert text not in log

        # What is left is the wrapped key: in the backup, and where PostgreSQL has not cleaned up. Its key-encryption
        # key still opens it.
        with in_place_of_ours(primary=restored.url, ERIP_ENCRYPTION_KEYS=[new, old], **told):
            assert keyring.unwrap(remains, about=f"data key {key.pk}")
            assert what_remains() == {"openable": {"old": 1}, "final": 0, "unknown": 0}
            call_command("secrets", "rotate", stdout=io.StringIO())
        # With that gone, nothing does; and who was not erased is read as before.
        with in_place_of_ours(primary=restored.url, ERIP_ENCRYPTION_KEYS=[new], **told):
            with pytest.raises(keyring.KeyMissing):
                keyring.unwrap(remains, about=f"data key {key.pk}")
            assert what_remains() == {"openable": {}, "final": 1, "unknown": 0}
            assert (named(runs[1]), named(other)) == (None, kept[1])

        restored.stop()
        for data in (restored.kind.data, living.kind.data):
            assert files_with(data, planted, tmp_path), "the search finds what is there"
            for text in (who, name):
                assert files_with(data, text, tmp_path) == set()
        assert any(remains.key in path.read_bytes() for path in restored.kind.data.rglob("*") if path.is_file())
