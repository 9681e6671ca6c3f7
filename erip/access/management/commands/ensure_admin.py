"""`manage.py ensure_admin`: the administrator exists, with this password. Safe to repeat."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction


class Command(BaseCommand):
    help = "Create the administrator, or set its password and rights if it exists."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True)
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            required=True,
            help="read the password from standard input",
        )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        password = sys.stdin.readline().rstrip("\r\n")
        if len(password) < 12:
            raise CommandError("The password must have 12 characters or more.")
        users = get_user_model().objects
        user, created = users.select_for_update().get_or_create(username=options["username"])
        # Sessions end when a password's hash changes, so the same password is not hashed anew.
        if not user.check_password(password):
            user.set_password(password)
        user.is_active = user.is_staff = user.is_superuser = True
        user.save()
        self.stdout.write(f"{options['username']}: {'created' if created else 'up to date'}")
