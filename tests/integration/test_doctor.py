"""The doctor names what is wrong, is not confused by what is away, and a support bundle holds no secret."""

import http.server
import json
import os
import ssl
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from erip.management.doctor import bundle, database, examination, machine, outside, platform
from erip.management.doctor.findings import Finding, State, look
from erip.ops.ca import Authority, Leaf
from erip.ops.stack.ports import any_free
from erip.ops.stack.state import ROOT
from tests.definitions import CHAIN, publish
from tests.support.web import web
from workflows import store

pytestmark = pytest.mark.django_db(transaction=True)


def states(found: list[Finding]) -> dict[str, State]:
    """The worst of what was found about each thing."""
    order = list(State)
    worst: dict[str, State] = {}
    for one in found:
        worst[one.about] = max(worst.get(one.about, State.WELL), one.state, key=order.index)
    return worst


def doctor(*words: str, **env: str) -> tuple[int, dict[str, Finding]]:
    """manage.py doctor --json as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", "doctor", "--json", *words],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = json.loads(done.stdout)
    assert said["status"] == done.returncode
    return done.returncode, {one["about"]: Finding(**one) for one in said["findings"]}


# --- inside -----------------------------------------------------------------------------------------------


def test_a_platform_on_which_nothing_runs_is_named(settings: Any, tmp_path: Path) -> None:
    settings.ERIP_REPORT_DIR = tmp_path / "reports"
    found = states(examination.whole())
    assert found["PostgreSQL"] is State.PROBLEM, "the suite's server runs without fsync"
    assert found["definitions"] is State.PROBLEM
    assert found["lane critical"] is State.PROBLEM
    assert found["leader"] is State.PROBLEM
    assert found["migrations"] is State.WELL
    assert found["broker"] is State.WELL
    assert found["connections"] in (State.WELL, State.WARNING)


def test_what_is_put_right_is_no_longer_named() -> None:
    publish(CHAIN)
    for lanes in ("critical", "critical,high,standard,bulk"):
        store.register_worker(name=lanes, host="h", pid=1, lanes=lanes.split(","))
    found = states(look("work", platform.work_is_done))
    assert {about for about, state in found.items() if state is not State.WELL} == {"leader"}


def test_a_release_that_is_not_the_databases_is_named() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('workflows', '9999_next', now())"
            )
            cursor.execute(
                "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations WHERE app = 'events')"
            )
        found = look("migrations", database.migrations_are_applied)
        transaction.set_rollback(True)
    assert [one.state for one in found] == [State.PROBLEM, State.WARNING]
    assert "1 are not applied, first events." in found[0].says
    assert "does not know, as workflows.9999_next" in found[1].says


def test_while_postgresql_is_away_the_rest_is_looked_at(tmp_path: Path) -> None:
    status, found = doctor(DATABASE_URL=f"postgres://erip:hunter2@127.0.0.1:{any_free()}/erip")
    assert status == 1
    assert found["PostgreSQL"].state == State.PROBLEM
    assert found["migrations"].state == State.UNKNOWN
    assert found["broker"].state == State.WELL
    assert "hunter2" not in str(found)


def test_files_of_secrets_that_everybody_reads_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, mode in (("ERIP_AUDIT_KEY", 0o644), ("ERIP_SENTINEL_PASSWORD", 0o600)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    monkeypatch.setenv("ERIP_WEBHOOK_SECRET_FILE", str(tmp_path / "none"))
    found = states(look("files", machine.files_are_there))
    assert found["ERIP_AUDIT_KEY"] is State.WARNING
    assert found["ERIP_SENTINEL_PASSWORD"] is State.WELL
    assert found["ERIP_WEBHOOK_SECRET"] is State.PROBLEM


def test_a_check_that_fails_itself_keeps_nobody_from_looking() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("a", State.WELL, "seen")
        raise RuntimeError("no")

    assert [(one.about, one.state) for one in look("b", broken)] == [("a", State.WELL), ("b", State.UNKNOWN)]


# --- outside ----------------------------------------------------------------------------------------------


def test_a_deployment_is_looked_at_by_its_url(tmp_path: Path) -> None:
    publish(CHAIN)
    with web(tmp_path / "web.log") as started:
        found = of(started.url)
    assert {about: one.state for about, one in found.items()} == {
        "/health/live": State.WELL,
        "/health/startup": State.WELL,
        "/health/ready": State.WELL,
        "/api/v1/runs": State.WELL,
        "/api/v1/health": State.WELL,
        "/metrics": State.WELL,
        "TLS": State.WARNING,
    }


class Careless(http.server.BaseHTTPRequestHandler):
    """Answers everything to everybody, and hides nothing but its headers."""

    def do_GET(self) -> None:
        body = b'["no object"]' if self.path == "/health/live" else b"x" * 200_000
        self.send_response(503 if self.path == "/health/ready" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def careless(tmp_path: Path, name: str) -> Iterator[tuple[str, Path]]:
    """A server with TLS for this name, and its authority."""
    issued = Authority(tmp_path / "ca", "tests").issue(tmp_path / "tls", Leaf("web", "web-1", (name,), server=True))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.bundle)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", issued.ca
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def of(url: str, ca: str = "") -> dict[str, Finding]:
    return {one.about: one for one in outside.of_url(outside.Outside(url, ca))}


def test_a_door_that_is_open_and_a_server_that_says_nothing_are_named(tmp_path: Path) -> None:
    with careless(tmp_path, "127.0.0.1") as (url, ca):
        found = of(url, str(ca))
    assert found["/health/ready"].state is State.PROBLEM
    assert found["/api/v1/runs"].state is State.PROBLEM
    assert found["/metrics"].says == "answers 200 without a login"
    assert "content-security-policy" in found["/admin/login/"].says
    assert "Strict-Transport-Security" in found["TLS"].says


def test_a_certificate_that_is_not_to_be_trusted_is_named(tmp_path: Path) -> None:
    with careless(tmp_path, "127.0.0.1") as (url, _):
        (one,) = of(url).values()
    assert one.state is State.PROBLEM
    assert "certificate" in one.says.lower()
    (gone,) = of(f"http://127.0.0.1:{any_free()}").values()
    assert gone.state is State.PROBLEM


@pytest.mark.parametrize("url", ["ftp://h", "https://", "https://u:p@h", "erip.example.org", "http://[::1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(CommandError) as raised:
        call_command("doctor", "--url", url)
    assert raised.value.returncode == 2


# --- the support bundle -----------------------------------------------------------------------------------


def test_a_bundle_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that quotes one, which should not happen, is left out."""
    monkeypatch.setenv("ERIP_ALERT_SLACK", "https://slack.example/T0/hunter2-slack,https://slack.example/T1/hunter3")
    monkeypatch.setenv("ERIP_OTLP_ENDPOINT", "http://u:hunter4@collector:4318")
    file = tmp_path / "key"
    file.write_text("hunter5-hunter5")
    file.chmod(0o600)
    monkeypatch.setenv("ERIP_SENTINEL_PASSWORD_FILE", str(file))
    (tmp_path / "web.log").write_text("started\n" * 100_000)
    (tmp_path / "bad.log").write_text("failed with hunter5-hunter5\n")
    secrets = set(bundle.known_secrets())
    assert {"hunter5-hunter5", "https://slack.example/T1/hunter3", connection.settings_dict["PASSWORD"]} <= secrets | {
        ""
    }

    out = tmp_path / "support.tar.gz"
    call_command("support_bundle", str(out), "--log", str(tmp_path / "web.log"), "--log", str(tmp_path / "bad.log"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with tarfile.open(out) as archive:
        texts = {one.name: archive.extractfile(one).read().decode() for one in archive}  # type: ignore[union-attr]
    assert set(texts) == {
        f"erip-support/{name}"
        for name in (
            *("settings.json", "versions.json", "health.json", "postgresql.json", "doctor.json", "logs/web.log"),
            "left_out.json",
        )
    }
    assert not [name for name, text in texts.items() if "hunter" in text or any(one in text for one in secrets)]
    assert json.loads(texts["erip-support/left_out.json"]) == ["logs/bad.log: it holds a secret"]
    assert len(texts["erip-support/logs/web.log"]) <= bundle.LOG_BYTES
    assert json.loads(texts["erip-support/settings.json"])["values"]["ERIP_ALERT_SLACK"] == "(set)"
    assert "could_not_be_had" not in "".join(texts.values())
    with pytest.raises(CommandError, match="is there already"):
        call_command("support_bundle", str(out))
