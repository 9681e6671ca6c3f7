"""`manage.py privacy`: a person's sensitive data, and what workflows handle. Who the person is comes from the standard
input: arguments are seen by others, and stand in the audit log."""

import json
import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from erip.foundation.errors import EripError
from workflows.engine.register import register
from workflows.privacy import persons

_BY = "command"


class Command(BaseCommand):
    help = "Sensitive data: export or erase a person's, hold it for the law, and list what workflows handle."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        commands.add_parser("register", help="the sensitive data that workflows handle, as JSON")
        opened = commands.add_parser("open", help="a run with its sensitive data, as JSON")
        opened.add_argument("run")
        opened.add_argument("--reason", required=True, help="the audit log keeps it")
        for name, meaning in (
            ("export", "what runs say about the person that the standard input names, as JSON"),
            ("erase", "erase the data of the person that the standard input names; without --yes: only say what"),
            ("hold", "keep the data of the person that the standard input names for the law"),
            ("release", "lift that hold"),
        ):
            one = commands.add_parser(name, help=meaning)
            one.add_argument("--reason", required=True, help="the audit log keeps it")
            if name == "erase":
                one.add_argument("--yes", action="store_true", help="do it")
        again = commands.add_parser("repeat", help="after a restored backup: erase again what a certificate names")
        again.add_argument("person", help="the fingerprint in the certificate")
        again.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            told = getattr(self, f"_{options['what']}")(options)
        except EripError as error:
            raise CommandError(error.message) from error
        self.stdout.write(told if isinstance(told, str) else json.dumps(told, indent=2, default=str))

    def _register(self, options: dict[str, Any]) -> Any:
        return register()

    def _open(self, options: dict[str, Any]) -> Any:
        try:
            found = persons.open_run(UUID(options["run"]))
        except ValueError:
            found = None
        if found is None:
            raise CommandError("There is no such run.")
        return found

    def _export(self, options: dict[str, Any]) -> Any:
        return persons.export(_subject())

    def _erase(self, options: dict[str, Any]) -> Any:
        done = persons.erase(_subject(), by=_BY, reason=options["reason"], dry_run=not options["yes"])
        if done.certificate is not None:
            return done.certificate
        return f"{done.runs} runs would be erased, {done.going_on} of which have not ended. Say --yes to do it."

    def _hold(self, options: dict[str, Any]) -> Any:
        persons.hold(_subject(), by=_BY, reason=options["reason"])
        return "held: nothing of this person is erased until it is released"

    def _release(self, options: dict[str, Any]) -> Any:
        persons.release(_subject(), by=_BY)
        return "released"

    def _repeat(self, options: dict[str, Any]) -> Any:
        try:
            return persons.repeat(options["person"], by=_BY, reason=options["reason"]).certificate
        except ValueError:
            raise CommandError("A fingerprint is 64 hexadecimal digits.") from None


def _subject() -> str:
    text = sys.stdin.read().rstrip("\r\n")
    if not text:
        raise CommandError("The standard input names no person.")
    return text
