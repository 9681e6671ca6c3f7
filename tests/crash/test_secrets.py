"""A secret that a real worker used is found nowhere afterwards: in no table, file of PostgreSQL, key of Redis or log.
Nor is a person whose data was erased.

The search is shown to work: it finds a text of the same kind that was given as an ordinary input, in each place where
inputs stand.
"""

import base64
import io
import subprocess
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
import redis
from django.core.management import call_command
from django.db import connection

from erip.audit import checkpoints, erip_verify, sealer
from tests import workers
from tests.definitions import publish
from tests.integration.test_archive import LONG_AGO, age
from tests.integration.test_privacy import GREETS
from tests.integration.test_secrets import everywhere
from tests.workers import until
from workflows import engine, store
from workflows.models import WorkflowRun
from workflows.privacy import persons
from workflows.privacy.models import RunKey
from workflows.secrets import stored

pytestmark = pytest.mark.django_db(transaction=True)

LEAKS = """\
name: leaks
steps:
  a: {uses: sample.leak, essential: false, with: {token: "${{ secrets.token }}", fail: true}}
  b: {uses: sample.leak_async, with: {token: "${{ secrets.token }}"}}
  c: {uses: sample.leak_booked, needs: [b], with: {token: "${{ secrets.token }}"}}
  d: {uses: sample.leak, needs: [c], foreach: [1, 2, 3], with: {token: "${{ secrets.token }}"}}
  e: {uses: sample.leak, needs: [d], with: {token: "${{ input.planted }}"}}
output: ["${{ steps.b.output }}", "${{ steps.d.output }}"]
"""


def forms(text: str) -> list[bytes]:
    """As it is, in hexadecimal, in URLs, and in base64 at each alignment."""
    data = text.encode()
    encoded = [base64.b64encode(bytes(n) + data).decode().rstrip("=")[n + 1 : -2] for n in range(3)]
    return [form.encode() for form in (text, data.hex(), quote(text, safe=""), *encoded)]


def files_with(folder: Path, text: str, tmp_path: Path) -> set[str]:
    """The files below a folder that hold one of the forms. grep reads them faster than Python."""
    patterns = tmp_path / f"patterns-{uuid4()}"
    patterns.write_bytes(b"\n".join(forms(text)) + b"\n")
    found = subprocess.run(
        ["grep", "-rlaF", "-f", patterns, folder], capture_output=True, text=True, env={"LC_ALL": "C"}, check=False
    )
    patterns.unlink()
    return set(found.stdout.splitlines()) - {str(patterns)}


def in_redis(broker: redis.Redis, text: str) -> bool:
    broker.config_set("rdbcompression", "no")
    told = [key + (broker.dump(key) or b"") for key in broker.scan_iter("*")]
    return any(form in one for one in told for form in forms(text))


def test_a_secret_that_was_used_is_found_nowhere(broker: redis.Redis, log: Path, tmp_path: Path) -> None:
    secret, planted = f"se+cret/{uuid4()}", f"pl+anted/{uuid4()}"
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "token").write_text(secret)
    stored.put("token", stored.Wanted("files", spaces=[""]), by="test")
    publish(LEAKS)
    with workers.worker(log, ERIP_SECRETS_DIRECTORY=str(folder)):
        request = engine.StartRequest({"planted": planted}, business_key="B-1")
        run = engine.start_runs("leaks", [request], principal="t")[0].id
        until(lambda: WorkflowRun.objects.get(pk=run).finished_at is not None, what="the run ended", seconds=60)
        until(lambda: not WorkflowRun.objects.get(pk=run).steps.filter(state__in=["READY", "RUNNING"]).exists())
    assert WorkflowRun.objects.get(pk=run).state == "SUCCEEDED"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        # A process of the server works in the folder of its data, which only a superuser may ask for.
        data = Path(f"/proc/{cursor.fetchone()[0]}/cwd").resolve(strict=True)
    assert (data / "PG_VERSION").is_file()

    # What was planted shows that each search finds.
    assert {"workflows_workflowrun", "workflows_steprun"} <= everywhere(planted)
    assert files_with(log.parent, planted, tmp_path) >= {str(log)}
    assert files_with(data, planted, tmp_path)
    broker.set("planted", planted)
    assert in_redis(broker, planted)

    assert everywhere(secret) == set()
    assert files_with(data, secret, tmp_path) == set()
    assert not in_redis(broker, secret)
    # The tests' own file has it, and nothing else below their folder.
    assert {Path(one).name for one in files_with(log.parent, secret, tmp_path)} <= {"token"}
    assert files_with(log, secret, tmp_path) == set()


def test_a_person_who_was_erased_is_found_nowhere_and_the_audit_log_verifies(
    broker: redis.Redis, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who, name, planted = f"customer+{uuid4()}", f"Ze+bra/{uuid4()}", f"pl+anted/{uuid4()}"
    publish(GREETS)
    fails = GREETS.replace("name: greets", "name: fails")
    publish(fails.replace("greet, with: {name", "greet, with: {fail: true, name"))
    given = {"person_id": who, "name": name, "case": planted}
    with workers.worker(log):
        runs = [
            engine.start_runs(workflow, [engine.StartRequest(given)], principal="t")[0].id
            for workflow in ("greets", "greets", "fails")
        ]
        until(lambda: WorkflowRun.objects.filter(finished_at=None).count() == 0, what="the runs ended", seconds=60)
    aged = age(runs[0], LONG_AGO)
    row = RunKey.objects.get(pk=runs[0])
    RunKey.objects.create(pk=aged, key=row.key, salt=row.salt)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        data = Path(f"/proc/{cursor.fetchone()[0]}/cwd").resolve(strict=True)
    assert store.archive_runs(older_than=86_400.0, limit=10) == 1
    assert {one["input"]["name"] for one in persons.export(who)["runs"]} == {name}

    persons.erase(who, by="test", reason="asked for", dry_run=False)

    assert "workflows_archivedrun" in everywhere(planted)
    assert files_with(data, planted, tmp_path)
    for text in (who, name):
        assert everywhere(text) == set()
        assert files_with(data, text, tmp_path) == set()
        assert files_with(log.parent, text, tmp_path) - {str(log)} == set()
        assert not in_redis(broker, text)
    # What a step logs is its own: this one logs the name, of which the worker strikes out what it was given.
    assert files_with(log, name, tmp_path) == set()
    until(lambda: not sealer.seal.do() and _is_sealed(tmp_path), what="the audit log is sealed", seconds=200.0)
    checkpoints.sign()
    call_command("audit", "export", "--output", str(tmp_path / "log.jsonl"))
    key = io.StringIO()
    call_command("audit", "key", stdout=key)
    assert erip_verify.main([str(tmp_path / "log.jsonl"), "--key", key.getvalue().strip(), "--fresh", "600"]) == 0
    assert "the log is whole" in capsys.readouterr().out
    assert name not in (tmp_path / "log.jsonl").read_text()


def _is_sealed(tmp_path: Path) -> bool:
    call_command("audit", "export", "--output", str(tmp_path / "unsealed.jsonl"))
    return not any(line.startswith('{"unsealed"') for line in (tmp_path / "unsealed.jsonl").read_text().splitlines())
