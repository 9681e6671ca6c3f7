"""A short fuzz of everything that comes from outside, against a real platform: see `tests.fuzz` for longer ones."""

import os
from pathlib import Path

import pytest

from tests.fuzz.platform import platform
from tests.fuzz.session import fuzz

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = float(os.environ.get("ERIP_FUZZ_SECONDS", "15"))
SEED = int(os.environ.get("ERIP_FUZZ_SEED", "2026"))


def test_nothing_from_outside_is_answered_with_500_ends_a_thread_or_logs_a_traceback(tmp_path: Path) -> None:
    with platform(tmp_path) as site:
        report = fuzz(site, seed=SEED, seconds=SECONDS, folder=tmp_path, commands=False)

    assert report.requests > 20, "the platform answers"
    assert report.errors == []
    assert report.tracebacks == []
    assert report.dead_threads == []
