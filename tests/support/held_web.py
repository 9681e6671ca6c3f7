"""gunicorn as the platform configures it, whose processes wait from their fork on until a file exists."""

import os
from pathlib import Path
from typing import Any

from erip.gunicorn import *  # noqa: F403  (a configuration is a module's names)
from tests.workers import until

GATE = Path(os.environ["TEST_GATE"])


def post_fork(_: Any, __: Any) -> None:
    GATE.with_suffix(".forked").touch()
    until(GATE.exists, seconds=300, what="the test opens the gate")
