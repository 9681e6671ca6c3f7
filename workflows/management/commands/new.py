"""`manage.py new my-steps`: a package of own steps, to begin with."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workflows.management import scaffold


class Command(BaseCommand):
    help = "Makes a package of own steps that runs: a step, a definition, a trigger and a test."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("name", help="like my-steps; the Python package is called my_steps")
        parser.add_argument("--quiet", action="store_true", help="do not list the files, nor say how to go on")
        parser.add_argument(
            "--fields",
            nargs="*",
            default=[],
            metavar="NAME:TYPE",
            help="of the step's input, as order:str",
        )
        parser.add_argument("--dir", default=".", help="where its folder is made; default: here")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["dir"]).expanduser().resolve()
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder")
        try:
            files = scaffold.make(options["name"], folder, options["fields"])
        except scaffold.Refused as refused:
            raise CommandError(str(refused)) from None
        if options["quiet"]:
            return
        for file in files:
            self.stdout.write(str(file))
        root = folder / options["name"]
        self.stdout.write(f"\nTest it:  .venv/bin/python -m pytest {root}\nRun it:   make dev APP={root}")
