"""manage.py audit: the audit log's key, its export, and the program that checks it."""

import base64
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from erip.audit import checkpoints, erip_verify, reading


class Command(BaseCommand):
    help = "The audit log: the key that signs it, an export, and the program that checks an export."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="what", required=True, metavar="key|export|verifier")
        actions.add_parser("key", help="print the public key of the checkpoints, in base64")
        actions.add_parser("verifier", help="print erip_verify.py, a program of one file for the auditor")
        export = actions.add_parser("export", help="write the whole log as JSON Lines, which erip_verify.py reads")
        export.add_argument("--output", default="-", help="a file; by default standard output")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        if what == "key":
            self.stdout.write(base64.b64encode(checkpoints.public_key()).decode())
        elif what == "verifier":
            self.stdout.write(Path(erip_verify.__file__).read_text("utf-8"), ending="")
        else:
            self._export(options["output"])

    def _export(self, to: str) -> None:
        with nullcontext(self.stdout) if to == "-" else Path(to).open("w", encoding="utf-8") as file:
            for line in reading.lines():
                file.write(line + "\n")
