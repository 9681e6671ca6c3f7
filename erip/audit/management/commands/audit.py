"""manage.py audit: the audit log's key, exports, the program that checks one, retention and legal holds."""

import base64
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, transaction

from erip.audit import checkpoints, erip_verify, exports, ocsf, reading, retention, salts
from erip.audit.operation import describe
from erip.foundation.db import roles
from erip.foundation.moments import moment

#: formats of single entries
_FORMATS = {"csv": exports.csv_lines, "cef": exports.cef_lines, "ocsf": ocsf.ocsf_lines}


class Command(BaseCommand):
    help = "The audit log: its key, exports, the program that checks an export, retention and legal holds."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True)
        actions.add_parser("key", help="print the public key of the checkpoints, in base64")
        actions.add_parser("verifier", help="print erip_verify.py, a program of one file for the auditor")
        actions.add_parser("reader", help="print erip_bucket.py, which reads a bucket for the auditor")
        export = actions.add_parser("export", help="write the log; as JSON Lines it is what erip_verify.py reads")
        export.add_argument("--output", default="-", help="a file; by default standard output")
        export.add_argument("--format", choices=["jsonl", *_FORMATS], default="jsonl")
        for name in ("principal", "object", "action"):
            export.add_argument(f"--{name}", help="not of jsonl")
        self._span(export, "not of jsonl")
        hold = actions.add_parser("hold", help="keep the entries of a span of time, whatever the retention says")
        self._span(hold, "RFC 3339", required=True)
        release = actions.add_parser("release", help="lift a legal hold")
        actions.add_parser("holds", help="list the legal holds in force")
        retire = actions.add_parser("retire", help="remove old entries; the log still verifies")
        retire.add_argument("--before", required=True, help="RFC 3339")
        retire.add_argument("--dry-run", action="store_true", help="only say how many there are")
        salt = actions.add_parser("salt", help="print what opens the hashes of a row's personal data")
        forget = actions.add_parser("forget", help="destroy it: nobody can try any more what the values were")
        for action in (salt, forget):
            action.add_argument("object", help="as entries name the row, auth_user/5")
        for action in (hold, release):
            action.add_argument("name")
        for action in (hold, release, retire, forget):
            action.add_argument("--reason", required=True)

    @staticmethod
    def _span(parser: ArgumentParser, help: str, *, required: bool = False) -> None:
        parser.add_argument("--since", required=required, help=help)
        parser.add_argument("--until", required=required, help=help)

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        for name in ("since", "until", "before"):
            if options.get(name) is not None:
                try:
                    options[name] = moment(options[name])
                except ValueError as error:
                    raise CommandError(f"--{name}: {error}") from error
        getattr(self, f"_{what}")(**options)

    def _key(self, **_: Any) -> None:
        self.stdout.write(base64.b64encode(checkpoints.public_key()).decode())

    def _verifier(self, **_: Any) -> None:
        self.stdout.write(Path(erip_verify.__file__).read_text("utf-8"), ending="")

    def _reader(self, **_: Any) -> None:
        # Not by its import: it loads the library.
        self.stdout.write(Path(erip_verify.__file__).with_name("erip_bucket.py").read_text("utf-8"), ending="")

    def _export(self, *, output: str, format: str, **options: Any) -> None:
        asked = {name: options[name] for name in ("principal", "object", "action", "since", "until")}
        if format == "jsonl":
            if any(value is not None for value in asked.values()):
                raise CommandError("JSON Lines hold the whole log, so that it can be checked; use csv, cef or ocsf")
            lines: Iterable[str] = (f"{line}\n" for line in reading.lines())
        else:
            found = reading.walk(reading.Filter(**asked))
            lines = _FORMATS[format](found)
        if output == "-":
            self._write(lines, self.stdout)
            return
        with Path(output).open("w", encoding="utf-8", newline="") as file:
            self._write(lines, file)

    @staticmethod
    def _write(lines: Iterable[str], to: Any) -> None:
        for line in lines:
            to.write(line)

    def _hold(self, *, name: str, since: Any, until: Any, reason: str, **_: Any) -> None:
        if since >= until:
            raise CommandError("--since must be before --until")
        retention.hold(name, since=since, until=until, reason=reason)

    def _release(self, *, name: str, reason: str, **_: Any) -> None:
        try:
            retention.release(name, reason=reason)
        except retention.NoSuchHold as error:
            raise CommandError(str(error)) from error

    def _holds(self, **_: Any) -> None:
        for each in retention.holds():
            self.stdout.write(f"{each.name}: {each.since.isoformat()} to {each.until.isoformat()}, {each.reason}")

    def _retire(self, *, before: Any, reason: str, dry_run: bool, **_: Any) -> None:
        with roles.as_owner(DEFAULT_DB_ALIAS):
            count = retention.retire(before, reason=reason, dry_run=dry_run)
        self.stdout.write(f"{count} entries {'would be' if dry_run else 'were'} removed")

    def _salt(self, *, object: str, **_: Any) -> None:
        for month, salt in salts.salts_of(object):
            self.stdout.write(f"{month:%Y-%m} {salt.hex()}")

    def _forget(self, *, object: str, reason: str, **_: Any) -> None:
        describe(object=object, reason=reason)
        with transaction.atomic():
            retention.turn()
            held = salts.keeping(object, retention.in_force())
            if held is not None:
                raise CommandError(f"The legal hold {held.name} keeps them: whom an entry is about is not known.")
            destroyed = salts.destroy_of([object])
        self.stdout.write(f"{destroyed} salts were destroyed")
