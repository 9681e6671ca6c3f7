"""The evidence pack of a quarter: an auditor checks it offline with one file, and what was done to it is named."""

import base64
import io
import json
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from erip.access.models import Space
from erip.audit import checkpoints, erip_verify
from erip.audit.operation import Operation, doing
from monitoring.controls.periods import period
from monitoring.store import work
from tests.support.api import publish
from tests.support.sealing import seal

pytestmark = pytest.mark.django_db(transaction=True)


def quarter() -> str:
    now = work.clock()
    return f"{now.year}Q{(now.month + 2) // 3}"


@pytest.fixture
def pack(tmp_path, settings) -> Path:
    """Of this quarter: results of checks for each day of it, entries of the audit log with a checkpoint after
    each few, a version and an alert."""
    settings.ERIP_AUDIT_CHECKPOINT_SECONDS = 0.0
    publish()
    for number in range(12):
        with doing(Operation("command", f"command:made-{number}", lambda: "os:test")):
            Space.objects.create(name=f"space-{number}")
        if number % 3 == 2:
            seal()
    span = period(quarter())
    since, days = span.since, (span.until - span.since).days
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO monitoring_controlresult (check_name, at, status, sentence, facts)"
            " VALUES (%s, %s, %s, %s, '{}')",
            [
                ("backup", since + timedelta(days=day), "fails" if 10 <= day < 12 else "holds", f"day {day}")
                for day in range(days)
            ],
        )
    out = tmp_path / "pack.zip"
    call_command("evidence", "--framework", "soc2", "--period", quarter(), "--out", str(out), stdout=io.StringIO())
    return out


def verify(path: Path) -> tuple[int, str]:
    """As the auditor does it: another process, one file, nothing of the platform."""
    key = base64.b64encode(checkpoints.public_key()).decode()
    done = subprocess.run(
        [sys.executable, "-I", erip_verify.__file__, "--pack", str(path), "--key", key],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=path.parent,
    )
    return done.returncode, done.stdout + done.stderr


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, files: dict[str, bytes], *, manifest: bool = False) -> Path:
    """A pack with these files; manifest: with hashes that fit them, by somebody who has no key."""
    if manifest:
        told = json.loads(files["MANIFEST.json"])
        listed = {name: data for name, data in files.items() if not name.startswith("MANIFEST")}
        told["files"] = {
            name: {"sha256": erip_verify.hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in listed.items()
        }
        files = {**files, "MANIFEST.json": json.dumps(told).encode()}
    out = path.with_name("other.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out


def test_the_pack_of_a_quarter_is_whole_and_holds_its_history(pack):
    code, said = verify(pack)
    assert (code, "the pack is whole" in said) == (0, True), said

    files = content(pack)
    document = json.loads(files["controls.json"])
    assert document["checks"]["backup"]["failed"][0][0].startswith(
        (period(quarter()).since + timedelta(days=10)).date().isoformat()
    )
    assert document["checks"]["backup"]["days_seen"] > 88
    assert document["checks"]["standby"] == {"results": 0, "days_seen": 0, "failed": []}
    by_id = {one["id"]: one for one in document["controls"]}
    assert by_id["CC6.4"]["standing"] == "not_covered"
    assert by_id["CC7.5"]["standing"] == "unknown"
    trail = files["audit.jsonl"].decode()
    assert all(f"command:made-{number}" in trail for number in range(12))
    assert json.loads(files["versions.jsonl"].splitlines()[0])["name"] == "look-up"
    assert b"CC6.1" in files["index.html"]


def test_the_same_data_gives_the_same_bytes(pack):
    again = pack.with_name("again.zip")
    day = (work.clock() - timedelta(days=2)).date()
    for out in (pack, again):
        call_command(
            "evidence", "--framework", "gdpr", "--period", f"{day}..{day}", "--out", str(out), stdout=io.StringIO()
        )
    assert pack.read_bytes() == again.read_bytes()


def test_what_was_done_to_a_pack_is_named(pack):
    files = content(pack)
    edited = {**files, "checks.jsonl": files["checks.jsonl"].replace(b'"fails"', b'"holds"')}
    lines = files["audit.jsonl"].splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if line.startswith(b'{"position":')]
    at = places[5]
    other = [*lines[:at], lines[at].replace(b"space-", b"spaxe-"), *lines[at + 1 :]]
    gone = lines[:at] + lines[at + 1 :]
    ended = [line for line in lines if not line.startswith(b'{"checkpoint":')]

    def named(changed: dict[str, bytes], *said: str, manifest: bool = False) -> None:
        code, told = verify(rewritten(pack, changed, manifest=manifest))
        assert code == 1, told
        assert all(text in told for text in said), told

    named(edited, "edited: checks.jsonl")
    named({name: data for name, data in files.items() if name != "access.json"}, "removed: access.json")
    named({**files, "more.json": b"{}"}, "inserted: more.json")
    named(edited, "forged: the manifest", manifest=True)
    named({**files, "audit.jsonl": b"".join(other)}, "forged", "edited at position", manifest=True)
    named({**files, "audit.jsonl": b"".join(gone)}, "forged", "removed at position", manifest=True)
    named({**files, "audit.jsonl": b"".join(ended)}, "forged", "no checkpoint covers", manifest=True)


def test_what_is_no_pack_is_refused(tmp_path, pack):
    raw = pack.read_bytes()
    for number, data in enumerate((b"", b"PK\x03\x04", raw[: len(raw) // 2], b"x" * 1000)):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        code, said = verify(path)
        assert (code, "Traceback" in said) == (2, False), said
    for at in range(40, len(raw), max(1, len(raw) // 25)):
        path = tmp_path / "flipped.zip"
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :])
        try:
            found = erip_verify.check_pack(path, checkpoints.public_key())
            whole = not found.findings and content(path) == content(pack)
            assert found.findings or whole, at
        except (erip_verify.Unreadable, zipfile.BadZipFile):
            pass


def test_periods_that_cannot_be_packed_are_refused(tmp_path):
    for text in ("2026Q5", "2099"):
        with pytest.raises(CommandError):
            call_command("evidence", "--framework", "soc2", "--period", text, "--out", str(tmp_path / "none.zip"))
    with pytest.raises(CommandError):
        call_command("evidence", "--framework", "soc2", "--period", quarter(), "--out", str(tmp_path / "no" / "dir"))
