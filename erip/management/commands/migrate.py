"""Django's migrate, as the database's owner where there is one (DATABASE_OWNER_URL); then what the audit log records,
and the privileges."""

from typing import Any

from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS
from django.db.migrations import Migration

from erip.audit import changes
from erip.foundation.db import migrating
from erip.foundation.db import roles as owners
from erip.management import roles


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        self._using = options["database"]
        looks = options.get("plan") or options.get("check_unapplied")
        ours = self._using == DEFAULT_DB_ALIAS and not looks
        with owners.as_owner(self._using):
            migrating.persist(lambda: self._migrate(*args, **options), self._again)
            ahead = migrating.ahead(self._using) if ours else []
            if ours and not ahead:
                migrating.persist(lambda: self._record(), self._again)
        if ahead:
            # What this release does not know of would lose its triggers and its privileges.
            self.stdout.write(
                f"The database is of a newer release ({ahead[-1]}): what the audit log records, and privileges, are "
                "left as that made them."
            )
        elif ours and roles.is_split():
            changed = roles.apply()
            if options["verbosity"] > 0:
                said = f"{len(changed)} statements were needed" if changed else "as they should be"
                self.stdout.write(f"Privileges: {said}.")

    def _record(self) -> None:
        changes.install()

    def _migrate(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)

    def _again(self, said: str) -> None:
        self.stderr.write(f"Somebody uses what has to be locked, and goes first; it is tried again: {said}")

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        super().migration_progress_callback(action, migration, fake)
        if action in ("apply_start", "unapply_start") and migration is not None:
            migrating.wait_for_locks_of(migration, self._using)
