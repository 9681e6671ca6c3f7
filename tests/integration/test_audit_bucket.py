"""Checkpoints of the audit log in a bucket with object lock, on a real server: they are what an auditor needs, and
nobody removes them."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from minio.error import S3Error

from erip.audit import bucket, checkpoints, copies, erip_verify
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
    for start in range(0, 12, 4):
        write(4, start)
        seal()
        copied(monkeypatch)
    witness = kept()
    assert len(witness) >= 3
    log, _ = erip_verify.verify(lines(), witness, checkpoints.public_key())
    assert (log.findings, log.size) == ([], 12)

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
