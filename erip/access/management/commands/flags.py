"""`manage.py flags`: feature flags and kill switches, while the web is down too."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from erip.access.flags import stored
from erip.access.flags.asking import explain, features
from erip.foundation.errors import EripError


class Command(BaseCommand):
    help = "Feature flags and kill switches: list, set, reset, ask."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        listed = commands.add_parser("list", help="what each does, what the release says, what an operator says")
        listed.add_argument("--json", action="store_true")
        put = commands.add_parser("set", help="turn one on or off, for all or for some; nothing said before stays")
        put.add_argument("name")
        everyone = put.add_mutually_exclusive_group()
        everyone.add_argument("--on", dest="everyone", action="store_const", const=True, help="for everyone")
        everyone.add_argument("--off", dest="everyone", action="store_const", const=False, help="for everyone")
        put.add_argument("--off-for", action="append", default=[], metavar="WHO", help="as user:ada or space:breach")
        put.add_argument("--on-for", action="append", default=[], metavar="WHO")
        put.add_argument("--percent", type=_number, help="0 to 100, with at most one digit behind the point")
        put.add_argument("--note", default="", help="why")
        commands.add_parser("reset", help="as the release has it").add_argument("name")
        ask = commands.add_parser("ask", help="whether it is on, and why")
        ask.add_argument("name")
        ask.add_argument("--about", action="append", default=[], metavar="WHO", help="a percentage counts the first")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what']}")(options)
        except EripError as error:
            raise CommandError(str(error)) from error

    def _list(self, options: dict[str, Any]) -> None:
        said, known = stored.said(), features()
        rows = []
        for name in sorted(known.keys() | said.keys()):
            flag = known.get(name)
            rows.append(
                {
                    "name": name,
                    "known": flag is not None,
                    "meaning": flag.meaning if flag else "",
                    "on": bool(flag and flag.on),
                    "unknown": bool(flag and flag.unknown),
                    "about": list(flag.about) if flag else [],
                    "share_of": flag.share_of if flag else "",
                    "said": stored.shown(said[name]) if name in said else None,
                }
            )
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            of_release = ("on" if row["on"] else "off") if row["known"] else "not in this release"
            self.stdout.write(f"{row['name']:<24} release: {of_release}; operator: {_short(row['said'])}")
            if row["meaning"]:
                self.stdout.write(f"    off: {row['meaning']}")

    def _set(self, options: dict[str, Any]) -> None:
        names = ("everyone", "percent", "on_for", "off_for", "note")
        stored.put(options["name"], stored.Wanted(**{name: options[name] for name in names}), by="command")
        self.stdout.write(f"{options['name']}: set, in every process within a second")

    def _reset(self, options: dict[str, Any]) -> None:
        stored.reset(options["name"])
        self.stdout.write(f"{options['name']}: as the release has it")

    def _ask(self, options: dict[str, Any]) -> None:
        if options["name"] not in features():
            raise stored.UnknownFlag
        on, why = explain(options["name"], *options["about"])
        self.stdout.write(f"{options['name']}: {'on' if on else 'off'}, {why}")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f'"{text[:50]}" is not a number') from None


def _short(said: Any) -> str:
    if said is None:
        return "says nothing"
    parts = [f"{name} {value}" for name, value in said.items() if value not in (None, "", [])]
    return ", ".join(parts)
