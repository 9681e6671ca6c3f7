"""Settings: declared once, documented from that, and refused all at once when they cannot be read."""

import os
import re
import subprocess
import sys
from pathlib import Path

from django.core.management import call_command

from erip.management.commands.settings import reference
from erip.settings.declared import DECLARED

ROOT = Path(__file__).resolve().parents[5]


def test_the_reference_is_what_the_settings_declare() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert page == reference(), "run: manage.py settings reference > docs/reference/settings.md"


def test_every_variable_that_the_settings_read_is_declared() -> None:
    read = set()
    for path in (ROOT / "erip" / "settings").glob("*.py"):
        read |= set(re.findall(r"env(?:iron)?\.(?:get|\w+)\(\s*\"((?:ERIP|DATABASE)_\w+)\"", path.read_text()))
    assert read - set(DECLARED) <= {"ERIP_STACK_ID"}


def test_every_value_that_cannot_be_read_is_named_at_once() -> None:
    bad = {
        "ERIP_WORKER_THREADS": "many",
        "ERIP_LEASE_SECONDS": "3s",
        "ERIP_DB_PREPARE": "maybe",
        "ERIP_EVENT_PARTITIONS": "1e3",
        "DATABASE_URL": "postgres://a@h:xx/y",
        "ERIP_DB_DIRECT_URL": "postgres://a@h:xx/y",
        "ERIP_EMAIL_URL": "smtp://h:xx",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={**os.environ, **bad, "DJANGO_SETTINGS_MODULE": "erip.settings.test"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert all(name in last for name in bad), last


def test_secrets_are_not_shown(capsys, settings) -> None:
    settings.ERIP_WEBHOOK_SECRET = "whsec_c2VjcmV0"
    call_command("settings", "show")
    shown = capsys.readouterr().out
    assert "ERIP_WEBHOOK_SECRET=(set)" in shown
    assert "c2VjcmV0" not in shown
    assert "ERIP_WORKER_THREADS=16" in shown
