"""`manage.py sign_ins`: where people are signed in. End it, remove lost second factors, link accounts elsewhere."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from erip.access.models import Identity
from erip.access.sign_in import factors, sessions
from erip.access.sign_in.providers import accounts
from erip.access.sign_in.providers.configured import configured
from erip.access.sign_in.providers.shown import Refused


class Command(BaseCommand):
    help = "Where people are signed in: list it, end it, remove a second factor that was lost, link an account."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        listed = commands.add_parser("list", help="open sessions")
        ended = commands.add_parser("end", help="end all sessions of a person")
        reset = commands.add_parser("reset", help="remove a person's second factor with its recovery codes")
        listed.add_argument("username", nargs="?", default="", help="of this person alone")
        linked = commands.add_parser("link", help="link an account with somebody at an identity provider")
        unlinked = commands.add_parser("unlink", help="take an account's links with an identity provider away")
        for each in (ended, reset, linked, unlinked):
            each.add_argument("username")
        for each in (linked, unlinked):
            each.add_argument("provider", help="by its name in ERIP_SIGN_IN_PROVIDERS")
        linked.add_argument("subject", help="who it is there: sub of OIDC, NameID of SAML")

    def handle(self, *args: Any, **options: Any) -> None:
        user = self._user(options["username"]) if options["username"] else None
        if options["what"] == "list":
            for one in sessions.open_ones(**({} if user is None else {"user": user})).select_related("user"):
                factor = "second factor" if one.second_factor else "password"
                self.stdout.write(f"{one.user}  {one.at:%Y-%m-%d %H:%M} UTC  {one.address}  {factor}  {one.browser}")
        elif options["what"] == "end":
            self.stdout.write(f"Sessions that were ended: {sessions.end_all(user)}.")
        elif options["what"] == "link":
            self._link(user, **options)
        elif options["what"] == "unlink":
            found = Identity.objects.filter(user=user, provider=options["provider"])
            count = sum(accounts.unlink(user, one.pk) for one in found)
            self.stdout.write(f"Links that were taken away: {count}.")
        elif factors.remove(user):
            self.stdout.write(f"{user} has no second factor any more.")
        else:
            self.stdout.write(f"{user} had no second factor.")

    def _link(self, user: Any, provider: str, subject: str, **_: Any) -> None:
        found = configured().get(provider)
        if found is None:
            raise CommandError(f'There is no provider "{provider}" in ERIP_SIGN_IN_PROVIDERS.')
        if not subject or len(subject) > 255 or not subject.isprintable():
            raise CommandError("The subject has 1 to 255 printable characters.")
        try:
            accounts.link(provider, found.issuer, subject, user)
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{user} is linked with {subject} at {provider}.")

    def _user(self, username: str) -> Any:
        users = get_user_model()
        user = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
        if user is None:
            raise CommandError(f'There is nobody named "{username}".')
        return user
