"""manage.py await_primary: returns when the database takes writes. For processes of a region that follows."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.foundation.db.primary import Primary

#: seconds between two questions, and for which each may take
EVERY, PATIENCE = 0.5, 2.0


class Command(BaseCommand):
    help = "Waits until the PostgreSQL of DATABASE_URL takes writes: put it before processes of a region that follows."
    # It waits for the database that they would look at.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--seconds", type=float, default=0.0, help="give up after so many; 0: never")

    def handle(self, *args: Any, **options: Any) -> None:
        began, said, primary = time.monotonic(), "", Primary()
        while True:
            why = primary.why_not(PATIENCE)
            if why is None:
                return
            if why != said:
                self.stdout.write(f"waiting: {why}")
                said = why
            if options["seconds"] and time.monotonic() - began > options["seconds"]:
                raise CommandError(f"not within {options['seconds']:.0f} s: {why}")
            time.sleep(EVERY)
