"""manage.py support_bundle FILE: what support needs to see, without secrets and without data of users."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.management.doctor import bundle, examination


class Command(BaseCommand):
    help = (
        "Writes a .tar.gz with settings (no secrets), versions, what the doctor found, health, and statistics of "
        "PostgreSQL. Look into it before you send it: it names hosts, tables and workflows."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("file", type=Path, help="a file that is not there yet, as support.tar.gz")
        parser.add_argument(
            "--log", type=Path, action="append", default=[], help="a log whose end is added; may be given several times"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        names = [log.name for log in options["log"]]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise CommandError(f"Two logs are called {', '.join(twice)}: add them one at a time.")
        if file.exists():
            raise CommandError(f"{file} is there already.")
        try:
            left_out = bundle.write(file, examination.whole(), options["log"])
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        for one in left_out:
            self.stdout.write(f"left out: {one}")
        self.stdout.write(f"{file} ({file.stat().st_size / 1024:.0f} KiB)")
