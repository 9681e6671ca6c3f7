"""`manage.py bind_api_key`: say from which sources, and of which types, a key may send events."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.access import keys
from erip.access.models import ApiKey


class Command(BaseCommand):
    help = "Bind an API key to sources and types of events. What is not given stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="the key's name")
        parser.add_argument("--source", action="append", metavar="PATTERN", help="may be given several times; * is any")
        parser.add_argument("--type", action="append", metavar="PATTERN", help="may be given several times; * is any")

    def handle(self, *args: Any, **options: Any) -> None:
        key = ApiKey.objects.filter(name=options["name"]).first()
        if key is None:
            raise CommandError(f'There is no API key named "{options["name"]}".')
        sources, types = options["source"] or key.sources, options["type"] or key.types
        try:
            keys.bind(key.prefix, sources=sources, types=types)
        except keys.NotBindable as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{key.name}: sources {', '.join(sources)}; types {', '.join(types)}")
