"""Checks definitions in files, for CI."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workflows.management.validation.checked import check
from workflows.management.validation.formats import FORMATS


class Command(BaseCommand):
    help = (
        "Checks the definitions in files as their publication would, against the steps that are installed here. Needs "
        "no database. Exit code: 0 all are valid, 1 something is wrong, 2 a file could not be read."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="YAML, or JSON if it ends in .json; - is stdin")
        parser.add_argument("--format", choices=list(FORMATS), default="human", help="human, sarif (2.1.0) or github")

    def handle(self, *, files: list[str], format: str, **_: Any) -> None:
        checked = [check(file) for file in dict.fromkeys(files)]
        self.stdout.write(FORMATS[format](checked), ending="")
        if any(one.unreadable is not None for one in checked):
            raise SystemExit(2)
        if any(one.faults for one in checked):
            raise SystemExit(1)
