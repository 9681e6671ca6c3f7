"""pgBackRest's configuration, and what is made of its answers and failures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from erip.ops.backup import files
from erip.ops.backup.pgbackrest import BackupError, PgBackRest, leads
from erip.ops.deploy import inventory
from erip.ops.deploy.backups import S3, PgBackRestNode, Repository, archive_command
from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.templates import FOLDER

SITE = inventory.load(FOLDER / "inventory.example.toml")
SECRETS = {
    f"ERIP_DEPLOY_{name}_PASSWORD": f"long-enough-{name.lower()}"
    for name in (*inventory.SECRETS, *inventory.BACKUP_SECRETS)
}


def test_without_a_backup_a_site_archives_nothing() -> None:
    made = inventory.files(SITE, SECRETS)
    assert not [name for name in made if "pgbackrest" in name]
    assert "archive_mode" not in made["postgres-1/patroni.yml"]


def test_a_site_with_a_backup_archives_from_every_node_into_one_repository() -> None:
    made = inventory.files({**SITE, "backup": {"path": "/srv/backups", "keep_full": 4}}, SECRETS)
    for name in ("postgres-1", "postgres-2", "postgres-3"):
        text = made[f"{name}/pgbackrest.conf"]
        assert "repo1-path=/srv/backups\n" in text
        assert "repo1-retention-full=4\n" in text
        assert "repo1-cipher-pass=long-enough-backup\n" in text
        parameters = yaml.safe_load(made[f"{name}/patroni.yml"])["postgresql"]["parameters"]
        assert parameters["archive_mode"] == "on"
        assert parameters["archive_command"] == (
            "/usr/bin/pgbackrest --config=/etc/erip/pgbackrest.conf --stanza=erip archive-push %p"
        )
        # What etcd says cannot take its place: Note [No commands from etcd].
        assert "archive" not in str(yaml.safe_load(made[f"{name}/patroni.yml"])["bootstrap"])


def test_a_bucket_takes_the_place_of_a_folder() -> None:
    bucket = {"s3_bucket": "erip", "s3_endpoint": "s3.example.org", "s3_region": "eu-1"}
    secrets = {**SECRETS, "ERIP_DEPLOY_S3_SECRET_PASSWORD": "made/by+others/of=40"}
    made = inventory.files({**SITE, "backup": {"path": "/erip", **bucket}}, secrets)
    text = made["postgres-1/pgbackrest.conf"]
    for line in ("repo1-type=s3", "repo1-s3-bucket=erip", "repo1-s3-key-secret=made/by+others/of=40"):
        assert f"{line}\n" in text
    assert "ca-file" not in text


def test_every_fault_of_a_backup_is_named() -> None:
    with pytest.raises(DeployError) as refused:
        inventory.files({**SITE, "backup": {"path": "here", "keep_full": 0, "s3_bucket": "b", "what": 1}}, {})
    said = "; ".join(refused.value.faults)
    for part in (
        "backup.path", "backup.keep_full", "backup.s3_endpoint", "backup.s3_region", "backup.what", "BACKUP_PASSWORD"
    ):  # fmt: skip
        assert part in said


def test_no_secret_of_a_repository_is_shown() -> None:
    repository = Repository(Path("/r"), "hidden-cipher", s3=S3("b", "e", "r", "hidden-key", "hidden-secret"))
    node = PgBackRestNode("erip", Path("/d"), 5432, repository, Path("/o"))
    assert "hidden" not in repr(node)
    assert "hidden-cipher" in node.render()


def test_the_archive_command_survives_a_path_with_spaces() -> None:
    assert archive_command("pgbackrest", Path("/a b/c.conf"), "erip").split("'")[1] == ["--config", "/a b/c.conf"][1]


@pytest.fixture
def node(tmp_path: Path) -> PgBackRest:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "pgbackrest.conf").write_text(f"[global]\nrepo1-path=/r\n\n[erip]\npg1-path={data}\npg1-port=6000\n")
    return PgBackRest(tmp_path / "pgbackrest.conf", "erip")


def test_who_leads_is_seen_in_the_files(node: PgBackRest) -> None:
    assert leads(node) is None
    (node.data / "postmaster.pid").write_text("1")
    assert leads(node) is True
    (node.data / "standby.signal").touch()
    assert leads(node) is False


def test_its_environment_is_libpqs_alone(node: PgBackRest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGBACKREST_REPO1_PATH", "/elsewhere")
    monkeypatch.setenv("ERIP_SECRET_KEY", "secret")
    node.configuration.with_suffix(".env").write_text("PGHOST=127.0.0.1\nPGPASSWORD=a=b\n")
    assert {"PGHOST": "127.0.0.1", "PGPASSWORD": "a=b"}.items() <= node.env.items()
    assert not [name for name in node.env if name.startswith(("PGBACKREST", "ERIP"))]
    other = PgBackRest(node.configuration, "erip")
    node.configuration.with_suffix(".env").write_text("LD_PRELOAD=/x.so\n")
    with pytest.raises(BackupError, match="LD_PRELOAD"):
        other.env  # noqa: B018


def test_what_is_missing_is_said(tmp_path: Path, node: PgBackRest, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackupError, match="cannot be read"):
        PgBackRest(tmp_path / "none.conf", "erip").port  # noqa: B018
    with pytest.raises(BackupError, match="stanza other"):
        PgBackRest(node.configuration, "other").data  # noqa: B018
    with pytest.raises(BackupError, match="no kind of backup"):
        node.backup("most")
    with pytest.raises(BackupError, match="offset"):
        node.restore(tmp_path, second=datetime(2026, 11, 26, 14))
    monkeypatch.setattr("erip.ops.backup.pgbackrest.SYSTEM_FOLDERS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="no pgBackRest"):
        node.list()


def test_sealed_archives_leave_with_the_oldest_backup_and_never_the_newest(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    names = [f"files-{now - timedelta(days=days):%Y%m%dT%H%M%SZ}.sealed" for days in (9, 8, 3, 1)]
    for name in (*names, "files-other.sealed"):
        (tmp_path / name).touch()
    gone = files.prune(tmp_path, before=now - timedelta(days=5))
    assert sorted(path.name for path in gone) == names[:2]
    files.prune(tmp_path, before=now + timedelta(days=5))
    assert (tmp_path / "files-other.sealed").exists()
