"""`manage.py rotate_api_key`: exchange a key's secret and print the new key, once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from erip.access import changing
from erip.foundation.errors import EripError


class Command(BaseCommand):
    help = "Exchange an API key's secret. The new key is printed once and cannot be read again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="the key's name")
        parser.add_argument(
            "--overlap-hours",
            type=float,
            default=changing.OVERLAP.total_seconds() / 3600,
            help="hours for which the old secret opens something, too; 0: it ends now (default: 24)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        hours = options["overlap_hours"]
        if not 0 <= hours <= changing.LONGEST_OVERLAP.total_seconds() / 3600 - 1:
            raise CommandError(f"--overlap-hours must be 0 to {changing.LONGEST_OVERLAP.days * 24 - 1}.")
        until = timezone.now() + timedelta(hours=hours)
        try:
            made = changing.rotate(changing.named(options["name"]).pk, by="command", old_until=until)
        except EripError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            answer = {"name": made.row.name, "key": made.token, "old_until": until}
            self.stdout.write(orjson.dumps(answer).decode())
        else:
            self.stdout.write(made.token)
            self.stderr.write(
                f"Keep it: it cannot be shown again. The old one works until {until:%Y-%m-%d %H:%M:%S} UTC."
            )
