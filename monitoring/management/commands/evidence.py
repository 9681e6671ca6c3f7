"""`manage.py evidence`: a signed pack for an auditor, to be read offline."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring.controls import evidence
from monitoring.controls.catalog import frameworks
from monitoring.controls.periods import BadPeriod, period
from monitoring.store import work


class Command(BaseCommand):
    help = "Writes the evidence of a framework over a period as a signed zip; `erip_verify.py --pack` checks it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--framework", required=True, choices=sorted(frameworks()))
        parser.add_argument("--period", required=True, help="2026, 2026Q4, 2026-10, or 2026-10-01..2026-12-31 (UTC)")
        parser.add_argument("--out", required=True, type=Path, help="the file to write")

    def handle(self, *args: Any, framework: str, period: str, out: Path, **options: Any) -> None:
        span = _period(period)
        now = work.clock()
        if span.since > now:
            raise CommandError(f"{span.name} has not begun: there is no evidence of it")
        try:
            made = evidence.write(out, framework, span, now=now)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}") from error
        self.stdout.write(f"{out}: {made.files} files, {made.entries} entries of the audit log")
        self.stdout.write(f"SHA-256 {made.sha256}")
        if not made.complete:
            self.stdout.write(f"{span.name} has not ended: the pack has what there is until now")


def _period(text: str) -> Any:
    try:
        return period(text)
    except BadPeriod as error:
        raise CommandError(f"--period: {error}") from error
