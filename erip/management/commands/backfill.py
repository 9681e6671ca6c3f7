"""manage.py backfill: data migrations in the background. Note [Backfills] in `erip.foundation.db.backfills`."""

from contextlib import closing
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.loader import MigrationLoader

from erip.foundation.db import backfills, roles
from erip.foundation.db.backfills import Backfill, BackfillError, Pace


class Command(BaseCommand):
    help = (
        "Fills what migrations have declared, in batches beside the platform that serves. It may be ended at any time, "
        "and goes on where it was. Without `run` it lists how far each is."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        actions = parser.add_subparsers(dest="what")
        actions.add_parser("list", help="how far each is")
        run = actions.add_parser("run", help="do what is left, one after the other")
        usual = Pace()
        run.add_argument("name", nargs="*", help="only these")
        run.add_argument(
            "--seconds", type=positive, default=usual.seconds, help="that a batch should take, and block a row"
        )
        run.add_argument("--rest", type=natural, default=usual.rest, help="seconds of pause for each second of work")
        run.add_argument("--lag", type=positive, default=usual.lag_seconds, help="seconds that a standby may be behind")
        run.add_argument(
            "--lag-bytes", type=int, default=usual.lag_bytes, help="bytes of log that a standby may be behind"
        )
        run.add_argument("--blind", action="store_true", help="also where the standbys' lag cannot be seen")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            declared = backfills.declared(list((MigrationLoader(None).disk_migrations or {}).values()))
            # Made before: of the application's role, which sees the standbys where the owner does not.
            self._watcher = connections.create_connection(DEFAULT_DB_ALIAS)
            with closing(self._watcher), roles.as_owner():
                if options["what"] == "run":
                    self._run(_chosen(declared, options["name"]), options)
                self._list(declared)
        except BackfillError as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            raise CommandError(
                f"{' '.join(str(error).split())[:300]}. Call it again: it goes on where it was."
            ) from None

    def _run(self, chosen: dict[str, Backfill], options: dict[str, Any]) -> None:
        pace = Pace(
            seconds=options["seconds"],
            rest=options["rest"],
            lag_seconds=options["lag"],
            lag_bytes=options["lag_bytes"],
            blind=options["blind"],
        )
        at = backfills.progress(DEFAULT_DB_ALIAS)
        for name, one in chosen.items():
            if name not in at:
                raise BackfillError(f"{name} is not declared in this database: run manage.py migrate first.")
            if not at[name].finished:
                backfills.run(one, pace, tell=partial(self._tell, name), standbys=partial(backfills.lag, self._watcher))

    def _tell(self, name: str, said: str) -> None:
        self.stdout.write(f"{name}: {said}")
        self.stdout.flush()

    def _list(self, declared: dict[str, Backfill]) -> None:
        at = backfills.progress()
        if not at:
            self.stdout.write("No migration here has declared any.")
        for name, one in at.items():
            known = declared.get(name)
            told = backfills.with_rows(one, known) if known else one
            self.stdout.write(f"{name}: {told}{'' if known else ' (of another release)'}")


def _chosen(declared: dict[str, Backfill], names: list[str]) -> dict[str, Backfill]:
    if unknown := sorted(set(names) - declared.keys()):
        raise BackfillError(f"{', '.join(unknown)}: no migration of this code declares that.")
    return {name: one for name, one in declared.items() if not names or name in names}


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError
    return value


def natural(text: str) -> float:
    return 0.0 if float(text) == 0 else positive(text)
