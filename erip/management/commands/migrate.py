"""Django's migrate, as the database's owner where there is one (DATABASE_OWNER_URL); then what the audit log records,
and the privileges."""

from typing import Any

from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS

from erip.audit import changes
from erip.foundation.db import roles as owners
from erip.management import roles


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        split = roles.is_split() and options["database"] == DEFAULT_DB_ALIAS
        looks = options.get("plan") or options.get("check_unapplied")
        with owners.as_owner(options["database"]):
            super().handle(*args, **options)
            if options["database"] == DEFAULT_DB_ALIAS and not looks:
                changes.install()
        if split and not looks:
            changed = roles.apply()
            if options["verbosity"] > 0:
                said = f"{len(changed)} statements were needed" if changed else "as they should be"
                self.stdout.write(f"Privileges: {said}.")
