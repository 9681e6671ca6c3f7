"""`manage.py forget_logins`: let people try their passwords again at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from erip.access import logins


class Command(BaseCommand):
    help = "Forget failed attempts to sign in: of one account, or of all accounts and addresses."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", help="the account (default: all, and all addresses)")

    def handle(self, *args: Any, **options: Any) -> None:
        count = logins.forget(options["username"])
        self.stdout.write(f"{count} {'counter was' if count == 1 else 'counters were'} forgotten.")
