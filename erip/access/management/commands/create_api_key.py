"""`manage.py create_api_key`: make an API key and print it, once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from erip.access import changing, granting
from erip.access.references import ANY
from erip.access.scopes import Scope
from erip.foundation.errors import EripError


class Command(BaseCommand):
    help = "Make an API key. It is printed once and cannot be read again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="who or what uses the key; unique, up to 100 characters")
        parser.add_argument("--owner", required=True, help="the username of the person who answers for it")
        parser.add_argument("--scope", choices=Scope.values, default="", help="the role that the key has on everything")
        parser.add_argument(
            "--role", action="append", default=[], help="a role to grant it; may be given several times"
        )
        parser.add_argument("--space", default="", help="grant the roles in this space (default: on everything)")
        parser.add_argument("--expires-days", type=int, help="days until it expires (default: never)")
        parser.add_argument(
            "--source",
            action="append",
            metavar="PATTERN",
            help="a source of events that the key may send, or the beginning of one and *; may be given several times "
            "(default: *, any that no other key is bound to)",
        )
        parser.add_argument(
            "--type",
            action="append",
            metavar="PATTERN",
            help="a type of events that the key may send, or the beginning of one and *; may be given several times "
            "(default: *)",
        )
        parser.add_argument(
            "--network",
            action="append",
            default=[],
            help="an address or network from which it opens something; may be given several times (default: anywhere)",
        )
        parser.add_argument("--rate", type=int, help="requests a minute that each web process takes (default: all)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        name, days = options["name"].strip(), options["expires_days"]
        if not options["scope"] and not options["role"]:
            raise CommandError("Give the key a --scope, or a --role.")
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--expires-days must be 1 to 36500.")
        expires_at = timezone.now() + timedelta(days=days) if days is not None else None
        wanted = changing.Wanted(
            name=name,
            owner=options["owner"],
            scope=options["scope"],
            expires_at=expires_at,
            sources=options["source"] or [ANY],
            types=options["type"] or [ANY],
            allowed=options["network"],
            rate=options["rate"],
        )
        try:
            with transaction.atomic():
                made = changing.make(wanted, by="command")
                for role in options["role"]:
                    granting.grant(role, f"key:{name}", space=options["space"], by="command")
        except EripError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            answer = {"name": name, "scope": options["scope"], "key": made.token, "expires_at": expires_at}
            self.stdout.write(orjson.dumps(answer).decode())
        else:
            self.stdout.write(made.token)
            self.stderr.write("Keep it: it cannot be shown again.")
