"""manage.py roles sql|apply|check: PostgreSQL's roles, and what the application's may do."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from erip.access import tables
from erip.foundation.db import roles as database
from erip.foundation.db import walls
from erip.foundation.db.privileges import Roles, creation
from erip.management import roles


class Command(BaseCommand):
    help = "PostgreSQL's roles: what a superuser says once (sql), the privileges (apply), what is too much (check)."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("what", choices=["sql", "apply", "check"])
        parser.add_argument("--owner", default="erip_owner", help="sql: the name of the owner's role")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['what']}")(options)

    def _sql(self, options: Any) -> None:
        named = settings.DATABASES[DEFAULT_DB_ALIAS]
        app = named["USER"]
        ours = Roles(options["owner"], app, f"{app}_read", f"{app}_monitor", walls.limited_role(app))
        for statement in creation(ours, named["NAME"]):
            self.stdout.write(f"{statement};")

    def _apply(self, options: Any) -> None:
        changed = roles.apply()
        for statement in changed:
            self.stdout.write(f"{statement};")
        self.stdout.write(f"{len(changed)} statements were needed." if changed else "All is as it should be.")

    def _check(self, options: Any) -> None:
        ours, rules = roles.of_settings(), tables.rules()
        found, open_ = database.faults(ours, rules), walls.faults(ours, rules.walled)
        for fault in [*found, *open_]:
            self.stdout.write(fault)
        if found:
            raise CommandError("The application's role may do more than it should: `manage.py roles apply`.")
        if open_:
            raise CommandError("Say what `manage.py roles sql` prints as a superuser, then `manage.py roles apply`.")
        self.stdout.write("The application's role may do what it should, and nothing else.")
