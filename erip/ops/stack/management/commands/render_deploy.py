"""`manage.py render_deploy …`: the configuration files of a site, as `python -m erip.ops.deploy …`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from erip.ops.deploy.__main__ import main


class Command(BaseCommand):
    help = "Write the configuration files of Redis, Sentinel, etcd, Patroni and HAProxy for a production site."

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand the arguments over as they are."""
        sys.exit(main(argv[2:]))

    def handle(self, *args: Any, **options: Any) -> None:
        main([str(argument) for argument in args])
