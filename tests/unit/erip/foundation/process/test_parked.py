"""A process that stands by: it waits for its PostgreSQL, and for whoever ends it."""

import os
import signal
import subprocess
import sys

from erip.ops.stack.state import ROOT

WAITS = """
import django
django.setup()
from erip.foundation.process import parked
parked.wait()
"""


def test_it_ends_in_good_order_when_it_is_asked_to_although_nothing_of_it_has_begun() -> None:
    settings = {
        "DJANGO_SETTINGS_MODULE": "erip.settings.test",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "ERIP_AWAIT_PRIMARY": "true",
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-c", WAITS],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = next((line for line in process.stdout if "parked" in line), "")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "because" in said
