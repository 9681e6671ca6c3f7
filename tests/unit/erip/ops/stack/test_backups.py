"""Backups of the highly available stack: nothing of them without ERIP_BACKUP_DIR, and with it files that agree."""

from pathlib import Path

import pytest

from erip.ops.backup.pgbackrest import PgBackRest
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.nodes import EtcdPeer, PatroniSecrets, PostgresPeer
from erip.ops.stack.binaries import Binary
from erip.ops.stack.errors import MissingServer, StackError
from erip.ops.stack.ha.backup import Backups
from erip.ops.stack.ha.patroni import Patroni
from erip.ops.stack.ha.tls import Reached

SECRETS = {"backup_cipher": "a-cipher-of-the-repository"}


def test_nothing_is_wanted_without_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ERIP_BACKUP_DIR", raising=False)
    assert Backups.wanted("erip", SECRETS, None) is None
    monkeypatch.setenv("ERIP_BACKUP_DIR", "relative")
    with pytest.raises(StackError, match="absolute"):
        Backups.wanted("erip", SECRETS, None)
    monkeypatch.setenv("ERIP_BACKUP_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("erip.ops.backup.pgbackrest.SYSTEM_FOLDERS", str(tmp_path))
    with pytest.raises(MissingServer, match="pgBackRest"):
        Backups.wanted("erip", SECRETS, None)


@pytest.mark.parametrize("archives", [True, False])
def test_a_node_archives_with_the_configuration_that_lies_beside_it(tmp_path: Path, archives: bool) -> None:
    backups = Backups(Path("/usr/bin/pgbackrest"), tmp_path / "backups", "erip", "a-cipher-of-the-repository", None)
    folder = tmp_path / "postgres-1"
    node = Patroni(
        name="postgres-1",
        folder=folder,
        port=6001,
        log=tmp_path / "log",
        user=None,
        binary=Binary("postgres", Path("/usr/lib/postgresql/15/bin/postgres"), "15.1"),
        me=PostgresPeer("postgres-1", "127.0.0.1", 6001, 7001),
        etcd=(EtcdPeer("etcd-1", "127.0.0.1", 1, 2),) * 3,
        secrets=PatroniSecrets("a-superuser", "a-replication", "a-rewind", "a-rest", "an-etcd"),
        circles=Circles(tmp_path / "ca"),
        reached=Reached(tmp_path / "tls"),
        backups=backups if archives else None,
    )
    node.prepare()
    text = node.configuration.read_text()
    file = folder / "pgbackrest.conf"
    assert (f"--config={file} --stanza=erip archive-push %p" in text) is archives
    assert file.exists() is archives
    if archives:
        assert file.stat().st_mode & 0o077 == 0
        read = PgBackRest(file, "erip")
        assert (read.data, read.port) == (node.data, 6001)
        assert read.env["PGPASSWORD"] == "a-superuser"
        assert read.env["PGSSLMODE"] == "verify-full"
        settings = backups.settings([folder], "a-pass")
        assert settings["ERIP_BACKUP_CONFIG"] == str(file)
    else:
        assert "archive_mode" not in text
