"""`manage.py stack …`: the local stack's command line, as `python -m erip.ops.stack …`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from erip.ops.stack.cli import main


class Command(BaseCommand):
    help = "Start, stop and ask the local stack; see `manage.py stack help`."

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand the arguments over as they are."""
        arguments = argv[2:]
        sys.exit(main(["--help"] if arguments == ["help"] else arguments))

    def handle(self, *args: Any, **options: Any) -> None:
        main([str(argument) for argument in args])
