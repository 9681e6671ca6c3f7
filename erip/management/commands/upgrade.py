"""manage.py upgrade --plan: what lies between this database and this code, and what it asks for."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from erip.foundation.db import roles
from erip.foundation.os_errors import in_words
from erip.management import migration_lint
from erip.management.upgrade import planning, words
from workflows import store

#: above every format level: all living processes are below it
_ALL = 1_000_000
#: seconds without a sign of life after which a leader is none
_LEASE = 60.0


class Command(BaseCommand):
    help = (
        "Says what an upgrade of this database to this code does: each migration with its phase (expand, background, "
        "contract), what it locks and for how long, who may go on beside it, and whether there is a way back. Changes "
        "nothing: migrate and backfill do. Exit status: 0 the release before goes on beside it, 1 it breaks, or that "
        "is not known."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--plan", action="store_true", required=True, help="say what would be done")
        parser.add_argument(
            "--before",
            type=Path,
            metavar="FILE",
            help="the last migrations of the release before, app.name a line; default: as this release records them",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            before = migration_lint.released(options["before"] or migration_lint.RELEASED)
        except (OSError, ValueError) as error:
            raise CommandError(f"--before: {in_words(error)}") from None
        try:
            # The owner sees all of the catalogue; the application's role may not.
            with roles.as_owner():
                plan = planning.plan(living=_living(), before=before)
        except LookupError as error:
            raise CommandError(f"--before: this code has no such migration ({str(error)[:200]})") from None
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {' '.join(str(error).split())[:300]}") from None
        self.stdout.write(json.dumps(words.document(plan), indent=2) if options["json"] else words.text(plan))
        if plan.beside is not migration_lint.Old.GOES_ON:
            raise SystemExit(1)


def _living() -> list[str]:
    """The processes at work; none in a database without tables."""
    from django.db import connection

    if "workflows_leader" not in connection.introspection.table_names():
        return []
    return store.living_below(_ALL, lease=_LEASE)
