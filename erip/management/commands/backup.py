"""manage.py backup: make, list, check and restore backups, and say which keys they need."""

import json
import shutil
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from erip.foundation import keyring
from erip.foundation.errors import EripError
from erip.foundation.moments import moment
from erip.ops.backup import files
from erip.ops.backup.pgbackrest import KINDS, BackupError, PgBackRest, leads
from erip.ops.backup.sealed import SealError, unseal
from monitoring import recovery

#: a full backup is due
FULL_EVERY: Final = timedelta(days=7)


class Command(BaseCommand):
    help = (
        "Backups of PostgreSQL by pgBackRest, and of the files beside it. Run it on a host of PostgreSQL, as its user"
        " or as root; where PostgreSQL is a standby, `now` does nothing."
    )

    def add_arguments(self, parser: Any) -> None:
        actions = parser.add_subparsers(dest="what", required=True)
        now = actions.add_parser("now", help="make a backup, and seal the files")
        now.add_argument(
            "--kind", choices=["auto", *KINDS], default="auto", help="auto: a full one each week, else incr"
        )
        actions.add_parser("list", help="the backups that can be restored")
        actions.add_parser("check", help="have PostgreSQL archive a file now, and say how old the last backup is")
        restore = actions.add_parser("restore", help="put a backup into an empty folder, for PostgreSQL to start on")
        restore.add_argument("--into", required=True, type=Path, help="the folder, for PostgreSQL's data")
        restore.add_argument("--second", help="RFC 3339; by default the newest that was archived")
        actions.add_parser("keys", help="the keys that a backup made now needs, by their fingerprints")
        opened = actions.add_parser("unseal", help="open a sealed archive of files")
        opened.add_argument("archive", type=Path)
        opened.add_argument("--into", required=True, type=Path)
        record = actions.add_parser("record", help="record a backup that something else made")
        record.add_argument("--by", required=True, help="what made it, such as CloudNativePG")
        record.add_argument("--label", default="", help="its name there")
        for one in actions.choices.values():
            _json(one)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            told, text = getattr(self, f"_{options['what']}")(options)
        except (BackupError, SealError) as error:
            raise CommandError(str(error)) from None
        except EripError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")) from None
        self.stdout.write(json.dumps(told) if options["json"] else text)

    def _now(self, options: Any) -> tuple[Any, str]:
        # Before anything is made: a backup without the files is half of one.
        if settings.ERIP_BACKUP_FILES_TO and not settings.ERIP_BACKUP_PASS:
            raise CommandError("ERIP_BACKUP_FILES_TO is set, and ERIP_BACKUP_PASS is not: nothing would be encrypted.")
        node = _primary()
        if node is None:
            return {"made": None}, "PostgreSQL is a standby here: the backup is made on the primary's host."
        node.create()
        made = node.backup(_kind(node, options["kind"]))
        facts: dict[str, Any] = {"by": "pgBackRest", "backup": made.told()}
        text = f"{made.label} ({made.kind}): {made.size / 1e6:.0f} MB, of which {made.stored / 1e6:.0f} MB were stored"
        if settings.ERIP_BACKUP_FILES_TO:
            folder = Path(settings.ERIP_BACKUP_FILES_TO)
            paths = [Path(settings.ERIP_REPORT_DIR), *map(Path, settings.ERIP_BACKUP_FILES)]
            to, sealed = files.make(paths, folder, settings.ERIP_BACKUP_PASS)
            files.prune(folder, before=node.list()[0].began)
            facts["files"] = {"archive": to.name, "files": sealed.files, "bytes": sealed.bytes}
            text += f"\n{sealed.files} files sealed in {to}"
        return recovery.note_backup(ok=not made.faulty, facts=facts), text

    def _list(self, options: Any) -> tuple[Any, str]:
        found = _any().list()
        lines = [
            f"{one.label}  {one.kind:4}  ended {one.ended:%Y-%m-%d %H:%M:%S}  {one.size / 1e6:10.0f} MB"
            f"{'  with damaged pages' if one.faulty else ''}"
            for one in found
        ]
        return [one.told() for one in found], "\n".join(lines) or "There is no backup."

    def _check(self, options: Any) -> tuple[Any, str]:
        node = _primary()
        if node is None:
            return {"archives": None}, "PostgreSQL is a standby here: ask on the primary's host."
        node.check()
        found = node.list()
        if not found:
            raise CommandError("WAL is archived, and there is no backup: `manage.py backup now`.")
        hours = (datetime.now(UTC) - found[-1].ended).total_seconds() / 3600
        if hours > settings.ERIP_BACKUP_MAX_AGE_HOURS:
            raise CommandError(f"WAL is archived; the last backup is {hours:.0f} hours old.")
        return (
            {"archives": True, "last": found[-1].told()},
            f"WAL is archived; the last of {len(found)} backups is {hours:.1f} hours old.",
        )

    def _restore(self, options: Any) -> tuple[Any, str]:
        node, into = _any(), options["into"]
        if not into.is_absolute():
            raise CommandError("--into: name the folder by its absolute path.")
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise CommandError(f"{into} is not empty: nothing is replaced.")
        into.chmod(0o700)
        if user := node.user:
            shutil.chown(into, user.uid, user.gid)
        node.restore(into, second=_second(options["second"]))
        return {"into": str(into)}, f"Restored into {into}. PostgreSQL recovers when it is started there."

    def _keys(self, options: Any) -> tuple[Any, str]:
        found = keyring.fingerprints()
        kept = set(settings.ERIP_BACKUP_KEYS_KEPT)
        return found, "\n".join(
            f"{mark}  {name}{'' if mark in kept else '  (not in ERIP_BACKUP_KEYS_KEPT)'}"
            for name, mark in found.items()
        )

    def _unseal(self, options: Any) -> tuple[Any, str]:
        if not settings.ERIP_BACKUP_PASS:
            raise CommandError("ERIP_BACKUP_PASS is not set.")
        done = unseal(options["archive"], options["into"], settings.ERIP_BACKUP_PASS)
        return {"files": done.files, "bytes": done.bytes}, f"{done.files} files are below {options['into']}."

    def _record(self, options: Any) -> tuple[Any, str]:
        facts = {"by": options["by"][:200], "label": options["label"][:200]}
        return recovery.note_backup(ok=True, facts=facts), "recorded"


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")


def _nodes() -> list[PgBackRest]:
    if not settings.ERIP_BACKUP_CONFIG:
        raise CommandError("ERIP_BACKUP_CONFIG names no pgbackrest.conf: see docs/how-to/backups.md.")
    return [PgBackRest(Path(file), settings.ERIP_BACKUP_STANZA) for file in settings.ERIP_BACKUP_CONFIG]


def _any() -> PgBackRest:
    """All of them know the same repository."""
    return _nodes()[0]


def _primary() -> PgBackRest | None:
    """The node whose PostgreSQL is the primary; None where all that run are standbys."""
    found = [(node, leads(node)) for node in _nodes()]
    if all(leading is None for _, leading in found):
        raise CommandError("No PostgreSQL runs on the data that ERIP_BACKUP_CONFIG names.")
    return next((node for node, leading in found if leading), None)


def _kind(node: PgBackRest, asked: str) -> str:
    if asked != "auto":
        return asked
    full = [one.ended for one in node.list() if one.kind == "full"]
    return "incr" if full and datetime.now(UTC) - full[-1] < FULL_EVERY else "full"


def _second(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return moment(text)
    except ValueError as error:
        raise CommandError(f"--second: {error}") from None
