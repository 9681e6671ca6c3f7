"""`manage.py privacy`: a person's sensitive data, and what workflows handle. Who the person is comes from the standard
input: arguments are seen by others, and stand in the audit log."""

import json
import sys
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from erip.foundation.errors import EripError
from erip.foundation.moments import moment
from erip.foundation.os_errors import in_words
from workflows.engine.register import register
from workflows.errors import InvalidInput
from workflows.privacy import holds, journal, persons, remains, retention

_BY = "command"


class Command(BaseCommand):
    help = "Sensitive data: export or erase a person's, what is kept how long, legal holds, and what workflows handle."
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
            ("hold", "keep data for the law: of the person that the standard input names, or what the options say"),
            ("release", "lift the hold on that person's data, or the one of this number"),
        ):
            one = commands.add_parser(name, help=meaning)
            one.add_argument("--reason", required=True, help="the audit log keeps it")
            if name == "erase":
                one.add_argument("--yes", action="store_true", help="do it")
            if name == "hold":
                what = one.add_mutually_exclusive_group()
                what.add_argument("--workflow", default="", help="all of a workflow, in place of a person")
                what.add_argument("--run", help="one run")
                what.add_argument("--everything", action="store_true", help="all data")
                one.add_argument("--class", dest="classes", action="append", default=[], choices=holds.HOLDABLE,
                                 help="only this class of data; may be given several times")  # fmt: skip
                one.add_argument("--since", help="only data from this moment on, RFC 3339")
                one.add_argument("--until", help="only data from before this moment")
                one.add_argument("--ends", help="when the hold ends by itself")
            if name == "release":
                one.add_argument("--number", type=int, help="as `holds` lists it")
        listed = commands.add_parser("holds", help="the legal holds, as JSON")
        listed.add_argument("--all", action="store_true", help="also those that have ended")
        gone = commands.add_parser("retention", help="what is past its time, as JSON; with --yes it is removed")
        gone.add_argument("--yes", action="store_true", help="remove it; needs --reason")
        gone.add_argument("--reason", default="", help="the audit log keeps it")
        reapplied = commands.add_parser("reapply", help="after a restored backup: do again what the journal says")
        reapplied.add_argument("journal", nargs="?", help="the file; default: ERIP_ERASURE_JOURNAL")
        reapplied.add_argument("--reason", required=True, help="the audit log keeps it")
        reapplied.add_argument("--dry-run", action="store_true", help="only say what would be done")
        commands.add_parser("remains", help="which erasures a copy from before could undo, and with which key, as JSON")
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
        return (
            f"{done.runs} runs would be erased, {done.going_on} of which have not ended, and {done.events} events."
            " Say --yes to do it."
        )

    def _hold(self, options: dict[str, Any]) -> Any:
        other = options["workflow"] or options["run"] or options["everything"]
        wanted = holds.Wanted(
            reason=options["reason"],
            person=None if other else _subject(),
            workflow=options["workflow"],
            run=None if options["run"] is None else _uuid(options["run"]),
            classes=tuple(options["classes"]),
            since=_moment("since", options["since"]),
            until=_moment("until", options["until"]),
            ends_at=_moment("ends", options["ends"]),
        )
        try:
            number = holds.put(wanted, by=_BY).pk
        except InvalidInput as error:
            raise CommandError("; ".join(str(fault) for fault in error.faults)) from error
        return f"hold {number}: nothing that it names is removed until it is released"

    def _release(self, options: dict[str, Any]) -> Any:
        if options["number"] is not None:
            holds.release(options["number"], by=_BY)
        else:
            holds.release_person(_subject(), by=_BY)
        return "released"

    def _holds(self, options: dict[str, Any]) -> Any:
        return holds.listed(all=options["all"])

    def _retention(self, options: dict[str, Any]) -> Any:
        if not options["yes"]:
            return retention.preview(most=sys.maxsize).shown()
        if not options["reason"]:
            raise CommandError("--yes needs a --reason.")
        return retention.remove(by=_BY, reason=options["reason"], most=sys.maxsize).shown()

    def _reapply(self, options: dict[str, Any]) -> Any:
        file = Path(options["journal"]) if options["journal"] else journal.path()
        if file is None:
            raise CommandError("Name the journal, or set ERIP_ERASURE_JOURNAL.")
        try:
            done = journal.reapply(file, by=_BY, reason=options["reason"], dry_run=options["dry_run"])
        except OSError as error:
            raise CommandError(f"The journal cannot be read: {in_words(error)}") from error
        told = {"erased": done.erased, "already": done.before, "held": done.held, "lifted": done.lifted}
        self.stdout.write(json.dumps(told, indent=2))
        if done.wrong:
            some = ", ".join(map(str, done.wrong[:20]))
            message = f"The journal's lines {some} are not the platform's, or not complete. The others were applied."
            raise CommandError(message)
        return ""

    def _remains(self, options: dict[str, Any]) -> Any:
        return remains.told()

    def _repeat(self, options: dict[str, Any]) -> Any:
        try:
            return persons.repeat(options["person"], by=_BY, reason=options["reason"]).certificate
        except ValueError:
            raise CommandError("A fingerprint is 64 hexadecimal digits.") from None


def _moment(name: str, given: str | None) -> datetime | None:
    try:
        return None if given is None else moment(given)
    except ValueError as error:
        raise CommandError(f"--{name}: {error}") from error


def _uuid(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise CommandError("There is no such run.") from None


def _subject() -> str:
    text = sys.stdin.read().rstrip("\r\n")
    if not text:
        raise CommandError("The standard input names no person.")
    return text
