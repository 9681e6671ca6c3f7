"""Decides whether the database must be brought up to date before a start, and has it done (`prepare`)."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg2

from erip.ops.stack import own
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.processes import last_line
from erip.ops.stack.reporting import Progress
from erip.ops.stack.state import ROOT, State, read_json, write_json

# What tables and reference data are made from. A change in any of these files makes the next start do it again.
SOURCES = (
    "requirements.txt",
    "*/migrations/*.py",
    "*/*/migrations/*.py",
    # which role may do what
    "*/hooks.py",
    "*/*/hooks.py",
    "erip/foundation/db/privileges.py",
    "erip/foundation/db/walls.py",
    "erip/foundation/db/compression.py",
    "workflows/walls.py",
    "workflows/library/**/*.yaml",
    "workflows/library/**/*.json",
    "schedules/*.yaml",
    "workflows/management/commands/bootstrap.py",
)
#: settings that the database's owner writes into it (`hooks.as_owner`)
KEPT = ("ERIP_KEEP_ARCHIVE_MONTHS", "ERIP_KEEP_EVENT_MONTHS", "ERIP_RETENTION_LEAST_DAYS")
WHICH = """
    SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || oid
    FROM pg_database WHERE datname = current_database()
"""


def bring_up_to_date(state: State, env: dict[str, str], admin_password: str, report: Progress) -> None:
    """Run `prepare` unless nothing changed since it last ran on this database, and it did all that there was to do."""
    kept = " ".join(env.get(name, "") for name in KEPT)
    files = f"{fingerprint(ROOT)} {own.fingerprint(env)} {kept}".rstrip()
    known = read_json(state.setup)
    owner = env.get("DATABASE_OWNER_URL") or env["DATABASE_URL"]
    which, applied = inspect(owner)
    credentials = read_json(state.credentials)
    same = which is not None and known.get("database") == which and "api_key" in credentials
    if same and known.get("files") == files and known.get("migrations") == applied:
        return
    made, complete = _prepare(state, env, {"new_database": not same, "admin_password": admin_password}, report)
    if made:
        write_json(
            state.credentials,
            {**credentials, "admin": {"username": "admin", "password": admin_password}, "api_key": made},
        )
    which, applied = inspect(owner)
    write_json(state.setup, {"files": files if complete else None, "database": which, "migrations": applied})


def fingerprint(root: Path) -> str:
    """A hash over the names and contents of `SOURCES`."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def inspect(url: str) -> tuple[str | None, int]:
    """Which database this is, past any renaming or restoring, and how many migrations it has; None when unknown."""
    try:
        connection = psycopg2.connect(url, connect_timeout=5)
    except psycopg2.Error:
        return None, 0
    try:
        with connection.cursor() as cursor:
            cursor.execute(WHICH)
            which = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM django_migrations")
            applied = cursor.fetchone()
            return (which[0], applied[0]) if which and applied else (None, 0)
    except psycopg2.Error:
        return None, 0
    finally:
        connection.close()


def _prepare(state: State, env: dict[str, str], order: dict[str, Any], report: Progress) -> tuple[str | None, bool]:
    """(the API key that was made, if one was; whether nothing has to wait for the end of an upgrade)."""
    log = state.logs / "setup.log"
    api_key, complete = None, True
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "erip.ops.stack.prepare"],
            env=env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.close()
            for line in process.stdout:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue  # a library's print
                if "done" in said:
                    report.done(said["done"], said["seconds"])
                if "warning" in said:
                    report.warn(said["warning"])
                complete = complete and not said.get("not_yet")
                api_key = said.get("api_key", api_key)
    if process.returncode != 0:
        raise ServerFailed(f"The database could not be brought up to date: {last_line(log)} (the whole log: {log})")
    return api_key, complete
