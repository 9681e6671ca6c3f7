"""`manage.py sign_ins`: where people are signed in; end their sessions, and remove second factors that were lost."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from erip.access.sign_in import factors, sessions


class Command(BaseCommand):
    help = "Where people are signed in: list it, end it, or remove a second factor that was lost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        listed = commands.add_parser("list", help="open sessions")
        ended = commands.add_parser("end", help="end all sessions of a person")
        reset = commands.add_parser("reset", help="remove a person's second factor with its recovery codes")
        listed.add_argument("username", nargs="?", default="", help="of this person alone")
        for each in (ended, reset):
            each.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = self._user(options["username"]) if options["username"] else None
        if options["what"] == "list":
            for one in sessions.open_ones(**({} if user is None else {"user": user})).select_related("user"):
                factor = "second factor" if one.second_factor else "password"
                self.stdout.write(f"{one.user}  {one.at:%Y-%m-%d %H:%M} UTC  {one.address}  {factor}  {one.browser}")
        elif options["what"] == "end":
            self.stdout.write(f"Sessions that were ended: {sessions.end_all(user)}.")
        elif factors.remove(user):
            self.stdout.write(f"{user} has no second factor any more.")
        else:
            self.stdout.write(f"{user} had no second factor.")

    def _user(self, username: str) -> Any:
        users = get_user_model()
        user = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
        if user is None:
            raise CommandError(f'There is nobody named "{username}".')
        return user
