"""Hashes of personal data in the audit log cannot be guessed by who reads it, and are forgotten with their salt."""

import hashlib
import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from erip.access.models import Space
from erip.audit import checkpoints, erip_verify, salts, sealer
from erip.audit.models import Salt
from erip.audit.operation import doing
from erip.ops.stack.state import ROOT
from tests.integration.test_audit_changes import by_somebody, newest
from tests.unit.docs.blocks import blocks_of
from tests.workers import until
from workflows.conf import conf
from workflows.privacy import holds, retention

pytestmark = pytest.mark.django_db(transaction=True)


def ada() -> tuple[str, str]:
    """(the row's name in the log, the hash of her first name)."""
    with doing(by_somebody()):
        user = User.objects.create_user("ada", email="ada@example.org", first_name="Ada")
    return f"auth_user/{user.pk}", newest()["changes"][0]["after"]["first_name"]["salted"]


def export(tmp_path: Path) -> Path:
    def sealed() -> bool:
        sealer.seal.do()
        call_command("audit", "export", "--output", str(tmp_path / "log.jsonl"))
        return not any(line.startswith('{"unsealed"') for line in (tmp_path / "log.jsonl").read_text().splitlines())

    until(sealed, what="the audit log is sealed", seconds=200.0)
    checkpoints.sign()
    call_command("audit", "export", "--output", str(tmp_path / "log.jsonl"))
    return tmp_path / "log.jsonl"


def test_a_reader_of_the_log_cannot_try_a_short_value_and_who_has_the_salt_can_show_it(tmp_path) -> None:
    name, hashed = ada()

    log = export(tmp_path).read_text()
    ((month, salt),) = salts.salts_of(name)

    assert hashed in log
    assert hashlib.sha256(b"Ada").hexdigest() not in log
    assert salt.hex() not in log
    assert str(salt) not in log
    assert salts.hash_of(salt, "Ada") == hashed
    assert (month.day, len(salt)) == (1, 32)


def test_values_of_one_row_are_compared_and_those_of_others_are_not() -> None:
    with doing(by_somebody()):
        one = User.objects.create_user("one", first_name="Ada")
    first = newest()["changes"][0]["after"]["first_name"]
    with doing(by_somebody()):
        User.objects.create_user("two", first_name="Ada")
    second = newest()["changes"][0]["after"]["first_name"]
    with doing(by_somebody()):
        User.objects.filter(pk=one.pk).update(first_name="Bea")
    changed = newest()["changes"][0]

    assert changed["before"]["first_name"] == first != second
    assert changed["after"]["first_name"] != first


def test_the_log_verifies_when_a_salt_is_destroyed_and_nothing_opens_the_hash(tmp_path, capsys) -> None:
    name, hashed = ada()
    told = [block.text for block in blocks_of(ROOT / "docs/how-to/audit.md") if "audit forget" in block.text]

    for line in told[0].splitlines():
        words, _, reason = line.partition("manage.py ")[2].partition(" --reason ")
        with doing(by_somebody()):
            call_command(*words.replace("auth_user/5", name).split(), *(["--reason", reason] if reason else []))
    out = capsys.readouterr().out

    assert "1 salts were destroyed" in out
    assert salts.salts_of(name) == []
    assert newest()["object"] == name
    log = export(tmp_path)
    key = io.StringIO()
    call_command("audit", "key", stdout=key)
    assert erip_verify.main([str(log), "--key", key.getvalue().strip(), "--fresh", "600"]) == 0
    assert hashed in log.read_text()


def test_the_salts_of_a_month_go_once_it_is_long_over_and_a_hold_keeps_them(settings) -> None:
    name, _ = ada()
    Salt.objects.filter(object=name).update(month=date(2025, 1, 1))
    _, _ = Salt.objects.get_or_create(object="auth_user/0", month=date(2025, 1, 1), defaults={"salt": b"x" * 32})
    with doing(by_somebody()):
        User.objects.filter(username="ada").update(first_name="Bea")
    settings.ERIP_RETENTION_AUDIT_DAYS = 365
    conf.cache_clear()
    try:
        number = holds.put(holds.Wanted("case", workflow="anything"), by="law").pk
        kept = retention.remove(by="t", reason="r").kept
        holds.release(number, by="law")
        retention.remove(by="t", reason="r")
    finally:
        settings.ERIP_RETENTION_AUDIT_DAYS = None
        conf.cache_clear()

    assert kept == {("audit", f"legal hold {number}"): 2}
    assert [row.object for row in Salt.objects.all() if row.object.startswith("auth_user/")] == [name]
    assert Salt.objects.get(object=name).month > date(2025, 1, 1)


def test_nothing_is_forgotten_by_hand_that_a_hold_keeps() -> None:
    name, _ = ada()
    long_ago = datetime(2025, 1, 1, tzinfo=UTC)
    other = holds.put(holds.Wanted("case", until=long_ago), by="law")
    number = holds.put(holds.Wanted("case", workflow="anything"), by="law").pk

    with pytest.raises(CommandError, match=f"privacy {number}"):
        call_command("audit", "forget", name, "--reason", "r")
    assert salts.salts_of(name)
    holds.release(number, by="law")
    call_command("audit", "forget", name, "--reason", "r")
    assert salts.salts_of(name) == []
    assert other.ended_at is None


def test_what_is_not_hashed_makes_no_salt() -> None:
    with doing(by_somebody()):
        space = Space.objects.create(name="north")

    assert salts.salts_of(f"access_space/{space.pk}") == []
