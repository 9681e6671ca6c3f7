"""Keeps logs from filling the disk."""

import os
import shutil
from pathlib import Path

from erip.foundation.os_errors import in_words

LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 3


def rotate_all(folder: Path) -> None:
    """Rotate every log of `folder` that is past 10 MB."""
    for log in folder.glob("*.log"):
        try:
            if log.stat().st_size > LOG_BYTES:
                rotate(log)
        except OSError as error:
            print(f"{log} cannot be rotated: {in_words(error)}", flush=True)


def rotate(log: Path) -> None:
    """Keep `log` as `log.1` and so on, and empty it in place: its writer appends, and goes on doing so."""
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)
