"""Archives finished runs now, without waiting for the leader."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows import store
from workflows.conf import conf
from workflows.core.durations import NotADuration, parse_duration
from workflows.leader.archive import RUNS_AT_A_TIME


class Command(BaseCommand):
    help = "Moves runs that ended long ago into the archive. They are read as before; only the hot tables get smaller."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than", help="a duration, for example 30d or 12h; default: ERIP_ARCHIVE_AFTER_DAYS", metavar="AGE"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many would be moved")

    def handle(self, *, older_than: str | None, dry_run: bool, **_: Any) -> None:
        try:
            age = conf().archive_after if older_than is None else parse_duration(older_than)
        except NotADuration as error:
            raise CommandError(f"--older-than: {error}") from error
        if dry_run:
            self.stdout.write(f"{store.count_archivable(older_than=age):,} runs would be archived")
            return
        total = 0
        while moved := store.archive_runs(older_than=age, limit=RUNS_AT_A_TIME):
            total += moved
        self.stdout.write(f"{total:,} runs archived")
