"""Where and with what a benchmark was run: without it, a figure says nothing."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg2
import redis

from .deployment import Deployment

ROOT = Path(__file__).resolve().parent.parent
PG_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "wal_sync_method", "commit_delay")
PACKAGES = ("django", "celery", "psycopg2-binary", "redis", "gunicorn", "uvloop")


def environment(deployment: Deployment) -> dict[str, Any]:
    """Plain values, ready for JSON. `load_before`: the machine's in the last minute; above 0.5 others were at work.

    Machine, system, packages and commit are of where the benchmark runs, which is not where a running deployment is."""
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "deployment": "private stack" if deployment.pid else "running deployment",
        **({} if deployment.pid else {"url": _address(deployment.url)}),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if deployment.database:
        found |= _postgres(deployment.database)
    if deployment.broker and not deployment.broker.startswith("sentinel"):
        with suppress(redis.RedisError), closing(redis.Redis.from_url(deployment.broker)) as connection:
            told = connection.info("server")
            name = str(told.get("server_name", "redis"))
            found["broker"] = f"{name} {told.get(f'{name}_version', told['redis_version'])}"
    return found


def _address(url: str) -> str:
    """Without a user's name and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _postgres(database: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with (
        suppress(psycopg2.Error),
        closing(psycopg2.connect(database, connect_timeout=5)) as connection,
        connection.cursor() as cursor,
    ):
        for name in ("server_version", *PG_SETTINGS):
            cursor.execute("SELECT current_setting(%s, true)", [name])
            row = cursor.fetchone()
            found[f"postgres_{name}"] = row[0] if row else None
    return found


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """None outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = [git, "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    return done.stdout.strip() or None
