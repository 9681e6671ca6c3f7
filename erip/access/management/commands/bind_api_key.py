"""`manage.py bind_api_key`: say who answers for a key, from where it opens something, how often, and which events it
may send."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.access import changing
from erip.foundation.errors import EripError


class Command(BaseCommand):
    help = "Bind an API key to an owner, networks, a rate, and sources and types of events. What is not given stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="the key's name")
        parser.add_argument("--owner", help="the username of the person who answers for it")
        parser.add_argument(
            "--network", action="append", metavar="NETWORK", help="may be given several times; * is any"
        )
        parser.add_argument("--rate", type=int, help="requests a minute that each web process takes; 0: all")
        parser.add_argument("--source", action="append", metavar="PATTERN", help="may be given several times; * is any")
        parser.add_argument("--type", action="append", metavar="PATTERN", help="may be given several times; * is any")

    def handle(self, *args: Any, **options: Any) -> None:
        given = {"owner": options["owner"], "sources": options["source"], "types": options["type"]}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if options["network"] is not None:
            changes["networks"] = [one for one in options["network"] if one != "*"]
        if options["rate"] is not None:
            changes["rate"] = options["rate"] or None
        try:
            row = changing.change(changing.named(options["name"]).pk, changes)
        except EripError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{row.name}: owner {'unknown' if row.owner is None else row.owner.get_username()}; "
            f"networks {', '.join(row.networks) or 'any'}; rate {row.rate or 'any'}; "
            f"sources {', '.join(row.sources)}; types {', '.join(row.types)}"
        )
