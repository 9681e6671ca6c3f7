"""What support needs to see of a deployment, in one file, without a secret and without data of users.

Note [What is in a support bundle]
Only what is listed here goes in: settings by their declarations (secrets as "(set)"), what the doctor found, versions,
PULSE's health, counts of rows by PostgreSQL's own estimate, statistics of the database, and, if asked for, the ends of
log files, which hold no data of users (Note [No data in logs] in `erip.foundation.logs`). At the end every text is
searched for the secrets that this process knows: what holds one is left out, and said to be.
"""

import io
import json
import platform
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from erip.foundation.db.failures import said
from erip.management import configuration
from erip.settings import declared, sources
from erip.settings.values import BadValue
from monitoring.api import health

from . import database
from .findings import Finding

#: bytes from the end of one log
LOG_BYTES: Final = 512 * 1024
#: shorter texts are found everywhere, and secrets are longer
_SHORTEST_SECRET: Final = 6

_TABLES = """
SELECT relname AS table, n_live_tup AS rows, n_dead_tup AS dead, pg_total_relation_size(relid) AS bytes,
       last_autovacuum, last_autoanalyze
FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC LIMIT 200
"""
_SETTINGS = "SELECT name, setting, unit, source FROM pg_settings WHERE source NOT IN ('default', 'override')"
_WAITS = """
SELECT state, wait_event_type, wait_event, count(*) AS sessions,
       extract(epoch FROM max(now() - xact_start))::float8 AS oldest_transaction
FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1, 2, 3
"""
#: settings of PostgreSQL that may hold a login or a command
_NOT_SHOWN = (
    "primary_conninfo",
    "archive_command",
    "restore_command",
    "ssl_passphrase_command",
    "archive_cleanup_command",
)


def write(path: Path, found: Sequence[Finding], logs: Sequence[Path]) -> list[str]:
    """Writes a .tar.gz for its owner alone. Returns what was left out, and why. Raises OSError, FileExistsError."""
    left_out: list[str] = []
    parts: dict[str, str] = {}
    for name, make in _PARTS.items():
        parts[name] = _made(make)
    parts["doctor.json"] = _json([{"about": f.about, "state": f.state, "says": f.says, "do": f.do} for f in found])
    for log in logs:
        try:
            parts[f"logs/{log.name}"] = _end_of(log)
        except OSError as error:
            left_out.append(f"logs/{log.name}: {error.strerror}")
    secrets = list(known_secrets())
    for name, text in list(parts.items()):
        if any(secret in text for secret in secrets):
            del parts[name]
            left_out.append(f"{name}: it holds a secret")
    parts["left_out.json"] = _json(left_out)
    with path.open("xb") as file:
        path.chmod(0o600)
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in parts.items():
                content = text.encode()
                info = tarfile.TarInfo(f"erip-support/{name}")
                info.size, info.mtime, info.mode = len(content), int(time.time()), 0o600
                archive.addfile(info, io.BytesIO(content))
    return left_out


def known_secrets() -> Iterator[str]:
    """Each secret of the settings here, each item of a list, and each password in a URL."""
    for name, one in declared.DECLARED.items():
        if not one.secret:
            continue
        try:
            text = sources.given(name, by_file=one.by_file) or ""
        except BadValue:
            continue
        for each in {text, *text.split(","), *text.split(";")}:
            yield from (found for found in {each.strip(), *_passwords(each)} if len(found) >= _SHORTEST_SECRET)
    if len(settings.SECRET_KEY) >= _SHORTEST_SECRET:
        yield settings.SECRET_KEY


def _passwords(url: str) -> Iterator[str]:
    try:
        if password := urlsplit(url.strip()).password:
            yield password
    except ValueError:
        return


def _made(make: Callable[[], Any]) -> str:
    try:
        return _json(make())
    except Exception as error:  # part of what is broken
        return _json({"could_not_be_had": said(error)[:400]})


def _settings() -> Any:
    looked = configuration.look(configuration.read("here"), settings.SETTINGS_MODULE)
    return {
        "faults": [str(one) for one in looked.faults],
        "values": {
            name: "(set)"
            if one.secret and looked.places[name] != "default"
            else configuration.text_of(looked.values[name])
            for name, one in declared.DECLARED.items()
        },
        "places": looked.places,
    }


def _versions() -> Any:
    return {
        "at": datetime.now(UTC).isoformat(),
        "erip": settings.ERIP_RELEASE,
        "settings": settings.SETTINGS_MODULE,
        "python": sys.version,
        "platform": platform.platform(),
        "packages": sorted(f"{one.metadata['Name']}=={one.version}" for one in distributions()),
        "postgresql": database.rows("SELECT version()")[0]["version"],
    }


def _postgresql() -> Any:
    shown = [row for row in database.rows(_SETTINGS) if row["name"] not in _NOT_SHOWN]
    return {"settings": shown, "sessions": database.rows(_WAITS), "tables": database.rows(_TABLES)}


_PARTS: Final[dict[str, Callable[[], Any]]] = {
    "settings.json": _settings,
    "versions.json": _versions,
    "health.json": health.document,
    "postgresql.json": _postgresql,
}


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=str, ensure_ascii=False) + "\n"


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, io.SEEK_END)
        size = file.tell()
        file.seek(max(0, size - LOG_BYTES))
        text = file.read(LOG_BYTES).decode(errors="replace")
    # The first line is cut.
    return text if size <= LOG_BYTES else text.partition("\n")[2]
