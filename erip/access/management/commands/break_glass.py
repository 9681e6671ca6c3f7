"""`manage.py break_glass`: rights in an emergency while the web is down. Two people type their own passwords."""

from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.contrib.auth import authenticate
from django.core.management.base import BaseCommand, CommandError

from erip.access import break_glass
from erip.access.policy import decide
from erip.access.principals import of_staff
from erip.access.sign_in import factors
from erip.foundation.errors import EripError

#: what each of them needs, as at the API
_NEEDS = {
    "ask": "access.add_breakglass",
    "grant": "access.grant_breakglass",
    "end": "access.view_breakglass",
    "review": "access.review_breakglass",
}


class Command(BaseCommand):
    help = "Emergency access: ask, grant (somebody else), end, review, list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        commands.add_parser("list", help="what was asked for and granted lately")
        ask = commands.add_parser("ask", help="ask for permissions")
        ask.add_argument("permissions", nargs="+", help="as docs/reference/access.md names them")
        ask.add_argument("--reason", required=True)
        ask.add_argument("--minutes", type=int, default=30, help="1 to 60 (default: 30)")
        grant = commands.add_parser("grant", help="grant what somebody else asked for")
        end = commands.add_parser("end", help="end it now")
        review = commands.add_parser("review", help="say afterwards whether it was right")
        review.add_argument("--text", required=True)
        for each in (grant, end, review):
            each.add_argument("number", type=int)
        for each in (ask, grant, end, review):
            each.add_argument("--as", dest="person", required=True, help="your username; your password is asked for")

    def handle(self, *args: Any, **options: Any) -> None:
        what = options["what"]
        try:
            if what == "list":
                for row in break_glass.listed()[:20]:
                    self._say(row)
                return
            caller = _signed_in(options["person"])
            if not decide(caller, (_NEEDS[what],)).allowed:
                raise CommandError(f"{caller.name} may not do this: it needs {_NEEDS[what]}.")
            if what == "ask":
                self._say(break_glass.ask(caller.name, options["permissions"], options["reason"], options["minutes"]))
            elif what == "grant":
                self._say(break_glass.grant(options["number"], caller.name))
            elif what == "end":
                self._say(break_glass.end(options["number"], caller.name, caller))
            else:
                self._say(break_glass.review(options["number"], caller.name, options["text"]))
        except EripError as error:
            raise CommandError(
                "; ".join([error.message, *(f"{one.path} {one.message}" for one in error.faults)])
            ) from error

    def _say(self, row: Any) -> None:
        ends = f", until {row.ends_at:%H:%M} UTC" if row.ends_at else ""
        granted = f", granted by {row.granted_by}" if row.granted_by else ""
        self.stdout.write(f"{row.pk}: {row}, {break_glass.state_of(row)}{granted}{ends}: {row.reason}")


def _signed_in(username: str) -> Any:
    """Who types this, by password and, if they have one, second factor."""
    user = authenticate(username=username, password=getpass(f"Password of {username}: "))
    caller = of_staff(user) if user is not None else None
    if user is None or caller is None:
        raise CommandError("This opens nothing.")
    if factors.has(user) and not factors.fits(user, getpass(f"Code of {username}'s second factor: ")):
        raise CommandError("This opens nothing.")
    return caller
