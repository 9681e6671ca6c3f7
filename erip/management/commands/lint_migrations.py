"""manage.py lint_migrations: migrations that are not safe while the release before goes on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.migrations.loader import MigrationLoader

from erip.management import migration_lint


class Command(BaseCommand):
    help = (
        "Names migrations since the last release that lock, rewrite or take away what the release before uses, and "
        "what to do instead. It asks no database. Exit status 1: there are some."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--all", action="store_true", help="those of earlier releases too")
        parser.add_argument("--release", action="store_true", help="write down what this release has")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["release"]:
            self._release()
            return
        leaves = [] if options["all"] else migration_lint.released()
        found = migration_lint.since(leaves)
        for one in found:
            self.stdout.write(str(one))
        if found and (leaves or options["all"]):
            raise CommandError(f"{len(found)} of them.")
        if not leaves:
            self.stdout.write("There is no release yet that they could hurt.")

    def _release(self) -> None:
        text = migration_lint.RELEASED.read_text("utf-8")
        head = [line for line in text.splitlines() if line.startswith("#")][:2]
        leaves = [f"{app}.{name}" for app, name in sorted(MigrationLoader(None).graph.leaf_nodes())]
        migration_lint.RELEASED.write_text("\n".join([*head, *leaves, ""]), "utf-8")
