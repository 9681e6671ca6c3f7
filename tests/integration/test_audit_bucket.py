"""Checkpoints of the audit log in a bucket with object lock, on a real server: they are what an auditor needs, and no
version of them is removed."""

import io
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from minio.error import S3Error

from erip.audit import bucket, checkpoints, copies, erip_bucket, erip_verify
from erip.audit.store import sealed
from tests.integration.test_audit import lines, no_triggers, write
from tests.support.sealing import seal
from tests.support.seaweedfs import Store, running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def locked(store: Store, settings):
    """A bucket with object lock, set as the place for copies, and what an auditor reads there."""
    name = f"audit-{uuid.uuid4().hex}"
    client = store.client()
    client.make_bucket(name, object_lock=True)
    settings.ERIP_AUDIT_S3 = f"http://{store.host}/{name}/erip"
    settings.ERIP_AUDIT_S3_KEY_ID, settings.ERIP_AUDIT_S3_SECRET = store.key_id, store.secret
    settings.ERIP_AUDIT_S3_DAYS = 2
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = True
    bucket._bucket.cache_clear()

    def kept() -> list[bytes]:
        names = sorted(each.object_name for each in client.list_objects(name, prefix="erip/"))
        return [client.get_object(name, each).read() for each in names]

    return client, name, kept


def copied(monkeypatch) -> None:
    """Sign, and wait for the copy."""
    threads = []
    monkeypatch.setattr(copies, "once", lambda *given: threads.append(started(*given)))
    checkpoints.sign()
    for thread in threads:
        thread.join()


started = copies.once


def test_what_a_superuser_rewrites_is_named_by_what_the_bucket_kept(locked, monkeypatch):
    client, name, kept = locked
    seal()
    before = sealed().log.size
    for start in range(0, 12, 4):
        write(4, start)
        seal()
        copied(monkeypatch)
    witness = kept()
    assert len(witness) >= 3
    log, _ = erip_verify.verify(lines(), witness, checkpoints.public_key())
    assert (log.findings, log.size) == ([], before + 12)

    with transaction.atomic(), connection.cursor() as cursor:
        no_triggers(cursor)
        cursor.execute("UPDATE audit_block SET leaves = overlay(leaves PLACING sha256('x') FROM 1) WHERE number = 2")
        told = lines()
        transaction.set_rollback(True)
    log, _ = erip_verify.verify(told, witness, checkpoints.public_key())
    assert str(log.findings[0]).startswith("edited at position")

    (first, *_) = client.list_objects(name, prefix="erip/", include_version=True)
    until = client.get_object_retention(name, first.object_name).retain_until_date
    assert until > datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(S3Error, match="AccessDenied"):
        client.remove_object(name, first.object_name, version_id=first.version_id)
    assert kept() == witness


def test_the_auditor_reads_what_was_written_first_whatever_was_put_over_it(
    store, locked, settings, monkeypatch, tmp_path, capsys
):
    client, name, kept = locked
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store.secret)
    output = tmp_path / "checkpoints.jsonl"

    def audited() -> tuple[int, str]:
        output.unlink(missing_ok=True)
        status = erip_bucket.main([settings.ERIP_AUDIT_S3, "--output", str(output)])
        return status, capsys.readouterr().err

    status, told = audited()
    assert (status, output.exists()) == (2, False)
    assert "there is no checkpoint" in told
    for start in range(0, 16, 4):
        write(4, start)
        seal()
        copied(monkeypatch)
    written = kept()
    first, second, third, *_ = sorted(each.object_name for each in client.list_objects(name, prefix="erip/"))
    assert audited() == (0, "")
    assert output.read_bytes() == b"".join(written)

    # A leader that wrote the same twice is no finding.
    client.put_object(name, third, io.BytesIO(written[2]), len(written[2]))
    assert audited() == (0, "")
    client.remove_object(name, first)
    client.put_object(name, second, io.BytesIO(b"{}\n"), 3)
    assert kept() != written, "who reads it as usual is deceived"
    status, told = audited()
    assert status == 1
    assert f"WRONG: deleted: {first}: " in told
    assert f"WRONG: overwritten: {second}: " in told
    assert len(told.splitlines()) == 2
    assert output.read_bytes() == b"".join(written)
    log, _ = erip_verify.verify(lines(), output.read_bytes().splitlines(), checkpoints.public_key())
    assert log.findings == []

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    status, told = audited()
    assert (status, output.exists()) == (2, False)
    assert "cannot be read" in told


def test_the_command_prints_the_program_that_the_auditor_runs():
    printed = io.StringIO()
    call_command("audit", "reader", stdout=printed)
    assert printed.getvalue().endswith("sys.exit(main())\n")
    assert "ERIP" in printed.getvalue()
    assert "from erip" not in printed.getvalue()


def test_a_large_first_copy_is_one_request(locked):
    client, name, _ = locked
    bucket.bucket_of_settings().put(1, 0, b"x" * 6_000_000)
    (one,) = client.list_objects(name, prefix="erip/")
    # The tag of an object that came in parts says how many.
    assert "-" not in client.stat_object(name, one.object_name).etag


def test_a_server_that_takes_no_notice_of_the_time_is_noticed(store, locked, settings):
    name = f"plain-{uuid.uuid4().hex}"
    store.client().make_bucket(name)
    settings.ERIP_AUDIT_S3 = f"http://{store.host}/{name}"
    forgetful = bucket.bucket_of_settings()
    forgetful._client.put_object = lambda *given, retention, **more: store.client().put_object(*given, **more)

    for number in (1, 2):
        with pytest.raises(bucket.NotKept, match="it took a checkpoint, and does not"):
            forgetful.put(number, 2 * number, b"{}\n")
    # They are there all the same: the leaves in them are not sent again and again.
    assert forgetful.size_before(3) == 4


def test_another_leader_goes_on_where_the_bucket_is_and_a_copy_that_failed_leaves_no_gap(
    locked, settings, monkeypatch, caplog
):
    _, _, kept = locked
    write(3)
    seal()
    copied(monkeypatch)
    # The copy of this checkpoint does not arrive.
    settings.ERIP_AUDIT_S3_SECRET = "wrong"
    write(3, 3)
    seal()
    copied(monkeypatch)
    settings.ERIP_AUDIT_S3_SECRET = "a secret of tests/alone+"
    # A new process knows of no earlier copy.
    bucket._bucket.cache_clear()
    write(3, 6)
    seal()
    copied(monkeypatch)
    sent = [erip_verify.Checkpoint.of(line.rstrip(b"\n")) for line in kept()]
    leaves = erip_verify.witness_of(sent)
    assert leaves is not None
    assert len(leaves) == 9 * 32


def test_a_bucket_without_object_lock_takes_nothing(store, locked, settings):
    name = f"plain-{uuid.uuid4().hex}"
    store.client().make_bucket(name)
    settings.ERIP_AUDIT_S3 = f"http://{store.host}/{name}"
    with pytest.raises(bucket.NotKept):
        bucket.bucket_of_settings().put(1, 0, b"{}\n")


def test_plain_http_needs_the_leave_to_use_private_targets(locked, settings):
    bucket._bucket.cache_clear()
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = False
    with pytest.raises(ValueError, match="private targets"):
        bucket.bucket_of_settings()


def test_what_goes_wrong_is_said_without_the_secret(locked, settings):
    settings.ERIP_AUDIT_S3_SECRET = "a-wrong-secret"
    with pytest.raises(bucket.NotKept) as refused:
        bucket.bucket_of_settings().put(1, 0, b"{}\n")
    assert "a-wrong-secret" not in str(refused.value)
    settings.ERIP_AUDIT_S3 = "http://127.0.0.1:9/nobody/erip"
    with pytest.raises(bucket.NotKept):
        bucket.bucket_of_settings().put(1, 0, b"{}\n")
