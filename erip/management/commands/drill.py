"""manage.py drill: restore the newest backup beside the living platform, and prove what came of it."""

import json
from pathlib import Path
from typing import Any

import psycopg2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from erip.foundation.moments import moment
from erip.foundation.os_errors import in_words
from erip.management.drill.rehearsal import Drill
from erip.ops.backup.pgbackrest import BackupError, PgBackRest
from erip.ops.stack.errors import StackError
from monitoring import recovery


class Command(BaseCommand):
    help = (
        "Restores the newest backup into a PostgreSQL of its own beside the living platform, proves that all is there "
        "and that work goes on, measures how long that takes, and keeps a signed record. Nothing of the living "
        "platform is changed, and what the restored runs do reaches nobody. Exit status: 0 all was proven, 1 not."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--second", help="RFC 3339: as it was then; by default as far as the archive goes")
        parser.add_argument("--into", type=Path, help="a folder on a disk with room; by default the temporary one")
        parser.add_argument("--patience", type=float, default=3600.0, help="seconds that recovery may take")
        parser.add_argument(
            "--margin", type=float, default=None, help="seconds before the second in which commits are uncertain"
        )
        parser.add_argument("--superuser", default="postgres", help="PostgreSQL's superuser in the backup")
        parser.add_argument("--json", action="store_true", help="print the record alone")
        parser.add_argument("--report", type=Path, help="write the record to this file, too")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.ERIP_BACKUP_CONFIG:
            raise CommandError("ERIP_BACKUP_CONFIG names no pgbackrest.conf: see docs/how-to/backups.md.")
        margin = options["margin"]
        drill = Drill(
            PgBackRest(Path(settings.ERIP_BACKUP_CONFIG[0]), settings.ERIP_BACKUP_STANZA),
            _second(options["second"]),
            margin=settings.ERIP_DB_STATEMENT_TIMEOUT + 1.0 if margin is None else margin,
            patience=options["patience"],
            into=options["into"],
            superuser=options["superuser"],
            report=(lambda text: None) if options["json"] else self.stdout.write,
        )
        try:
            facts = drill.run()
        except (BackupError, StackError, OSError, psycopg2.Error) as error:
            said = " ".join(in_words(error).split())[:500]
            recovery.note("drill", ok=False, facts={"error": said, "times": drill.times})
            raise CommandError(f"Nothing could be proven: {said}") from None
        told = recovery.note("drill", ok=drill.passed, facts=facts)
        text = json.dumps(told, indent=2, default=str)
        if options["report"]:
            options["report"].write_text(f"{text}\n", "utf-8")
        if options["json"]:
            self.stdout.write(text)
        else:
            self.stdout.write(f"RTO {facts['rto_seconds']} s, RPO {facts['rpo_seconds']} s; recorded and signed")
        if not drill.passed:
            raise CommandError("Not all was proven.")


def _second(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return moment(text)
    except ValueError as error:
        raise CommandError(f"--second: {error}") from None
