"""`manage.py secrets`: the secrets that steps may be given, and the keys that encrypt them."""

import base64
import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.foundation import keyring
from erip.foundation.errors import EripError
from workflows.privacy import keys
from workflows.secrets import stored
from workflows.secrets.models import Provider, Secret

#: put before what is left when a space is to be "none"
_NO_SPACE = "none"


class Command(BaseCommand):
    help = "Secrets for steps: list, store and delete them, check that this process can read them, rotate their keys."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        commands.add_parser("list", help="their names, who has them, who may use them")
        put = commands.add_parser("put", help="store one; a value is read from the standard input, or asked for")
        put.add_argument("name")
        put.add_argument("--provider", choices=Provider.values, default=Provider.DATABASE.value)
        put.add_argument("--reference", default="", help="where the provider has it (default: under its name)")
        put.add_argument(
            "--space", action="append", default=[], help=f"workflows of it may use it; {_NO_SPACE}: those without one"
        )
        put.add_argument("--everywhere", action="store_true", help="every workflow may use it")
        put.add_argument("--description", default="")
        commands.add_parser("delete", help="steps that name it fail from now on").add_argument("name")
        commands.add_parser("check", help="read all of them, and say which cannot be read; prints no value")
        commands.add_parser("rotate", help="wrap all data keys with the key-encryption key that is in force")
        commands.add_parser("new-key", help="print a new line for the key-encryption keys").add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what'].replace('-', '_')}")(options)
        except EripError as error:
            raise CommandError(str(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        for secret in Secret.objects.defer("value", "data_key"):
            where = ", ".join(one or "without a space" for one in secret.spaces) or "nobody"
            may = "every workflow" if secret.everywhere else where
            self.stdout.write(f"{secret.name:<32} {secret.provider:<12} {may}")

    def _put(self, options: dict[str, Any]) -> None:
        value = None
        if options["provider"] == Provider.DATABASE:
            # Never an argument: other users of the machine see those.
            value = getpass.getpass("Value: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
        spaces = ["" if one == _NO_SPACE else one for one in options["space"]]
        wanted = stored.Wanted(
            options["provider"], options["reference"], value, spaces, options["everywhere"], options["description"]
        )
        secret, new = stored.put(options["name"], wanted, by="command")
        self.stdout.write(f"{secret.name}: {'stored' if new else f'stored, for the {secret.version}th time'}")

    def _delete(self, options: dict[str, Any]) -> None:
        stored.delete(options["name"])
        self.stdout.write(f"{options['name']}: deleted")

    def _check(self, options: dict[str, Any]) -> None:
        wrong = 0
        for secret in Secret.objects.all():
            fault = stored.unreadable(secret)
            wrong += fault is not None
            self.stdout.write(f"{secret.name:<32} {fault or 'can be read'}")
        if wrong:
            raise CommandError(f"{wrong} cannot be read by this process")

    def _rotate(self, options: dict[str, Any]) -> None:
        done = stored.wrap_anew() + keys.wrap_anew()
        self.stdout.write(
            f"{done} data keys are now wrapped with {keyring.in_force()}; no other key is needed any more"
        )

    def _new_key(self, options: dict[str, Any]) -> None:
        self.stdout.write(f"{options['name']}:{base64.b64encode(keyring.new_key()).decode()}")
