"""Django's migrate, as the database's owner where there is one (DATABASE_OWNER_URL); then what the audit log records,
and the privileges: also where a migration failed, of those that were applied before it.

Migrations that contract are left for later while something is in their way: Note [Contracting] in
`erip.foundation.db.phases`.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations import Migration
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.executor import MigrationExecutor

from erip.audit import changes
from erip.foundation.db import compression, migrating, phases
from erip.foundation.db import roles as owners
from erip.foundation.db.backfills import BackfillError
from erip.management import roles
from erip.management.upgrade import contracting

_LATER = "When that is over, call it again; --force-contract goes on all the same, and what is in the way fails then."


def _must_wait(names: Sequence[str], found: Sequence[str]) -> str:
    return f"{', '.join(names)} must wait: {'; '.join(found)}."


class Command(migrate.Command):
    def add_arguments(self, parser: Any) -> None:
        super().add_arguments(parser)
        phases = parser.add_mutually_exclusive_group()
        phases.add_argument(
            "--expand", action="store_true", help="leave migrations that contract for later: the way back stays open"
        )
        phases.add_argument(
            "--contract", action="store_true", help="fail where one of those cannot be applied, instead of leaving it"
        )
        phases.add_argument(
            "--force-contract",
            action="store_true",
            help="apply them whatever is in the way: processes of an earlier release fail then (ERIP_REASON says why)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._using = options["database"]
        self._applied: list[str] = []
        self._told = ""
        if options.get("plan") or options.get("check_unapplied"):
            with owners.as_owner(self._using):
                super().handle(*args, **options)
            return
        # The turn is for the privileges too.
        with ExitStack() as turn:
            with owners.as_owner(self._using):
                try:
                    turn.enter_context(migrating.turn(self._using, self._waits))
                except migrating.Busy as error:
                    raise CommandError(f"{error} Nothing was changed.") from None
            try:
                self._migrate(*args, **options)
            except Exception as error:
                if self._applied or not isinstance(error, CommandError):
                    self._bring_up_to_date_after(options["verbosity"])
                if isinstance(error, BackfillError):
                    raise CommandError(f"It stops here: {error} {self._so_far()}") from None
                raise
            self._bring_up_to_date(options["verbosity"])

    def _migrate(self, *args: Any, **options: Any) -> None:
        with owners.as_owner(self._using):
            migrating.persist(lambda: self._once(*args, **options), self._again)

    def _once(self, *args: Any, **options: Any) -> None:
        executor = MigrationExecutor(connections[self._using])
        app, name = options.get("app_label"), options.get("migration_name")
        plan = [] if self._goes_on(executor, options) else self._plan(executor, app, name)
        contracts = phases.held(executor, plan)
        if not contracts:
            super().handle(*args, **options)
            return
        # Whoever asks for them by name, or for all, hears of it before anything is done.
        strict = options.get("contract") or name or (app and not options.get("expand"))
        if strict and (found := contracting.in_the_way(contracts)):
            raise CommandError(f"{_must_wait(contracts, found)} Nothing was changed. {_LATER}")
        # Each app as far as the plan goes without them: that may declare what they have to wait for.
        for one, target in contracting.targets(executor, plan, contracts):
            if app in (None, one):
                super().handle(*args, **{**options, "app_label": one, "migration_name": target})
        found = ["--expand was asked for"] if options.get("expand") else contracting.in_the_way(contracts)
        if not found:
            super().handle(*args, **options)
        elif strict:
            raise CommandError(f"{_must_wait(contracts, found)} {self._so_far()} {_LATER}")
        elif (said := _must_wait(contracts, found)) != self._told:
            self.stdout.write(f"{phases.LEFT} {said} Call migrate again when that is over.")
            self._told = said

    def _goes_on(self, executor: MigrationExecutor, options: dict[str, Any]) -> bool:
        """Whether nothing is looked at: nothing is done, somebody has looked, or nobody can use what is not there."""
        passed = options.get("fake") or options.get("force_contract") or self._using != DEFAULT_DB_ALIAS
        return bool(passed) or not executor.loader.applied_migrations

    def _plan(self, executor: MigrationExecutor, app: str | None, name: str | None) -> list[tuple[Migration, bool]]:
        targets = self._targets(executor, app, name)
        return executor.migration_plan(targets) if targets else []

    def _targets(self, executor: MigrationExecutor, app: str | None, name: str | None) -> list[Any]:
        """As Django's command has them; none for what it refuses."""
        graph = executor.loader.graph
        if not app:
            return list(graph.leaf_nodes())
        if name == "zero" or app not in executor.loader.migrated_apps:
            return []
        if not name:
            return [key for key in graph.leaf_nodes() if key[0] == app]
        try:
            return [(app, executor.loader.get_migration_by_prefix(app, name).name)]
        except (AmbiguityError, KeyError):
            return []

    def _bring_up_to_date_after(self, verbosity: int) -> None:
        """After a failure, which is what whoever called has to hear of: what was applied before it is in use."""
        try:
            self._bring_up_to_date(verbosity)
        except Exception as error:
            said = f"{type(error).__name__}: {str(error).strip()[:300]}"
            self.stderr.write(
                "What the audit log records, and privileges, could not be brought up to date either; the next migrate "
                f"does it ({said})."
            )

    def _bring_up_to_date(self, verbosity: int) -> None:
        if self._using != DEFAULT_DB_ALIAS:
            return
        with owners.as_owner(self._using):
            ahead = migrating.ahead(self._using)
            if not ahead:
                migrating.persist(lambda: self._record(), self._again)
        if ahead:
            # What this release does not know of would lose its triggers and its privileges.
            self.stdout.write(
                f"The database is of a newer release ({ahead[-1]}): what the audit log records, and privileges, are "
                "left as that made them."
            )
        elif roles.is_split():
            changed = roles.apply()
            if verbosity > 0:
                said = f"{len(changed)} statements were needed" if changed else "as they should be"
                self.stdout.write(f"Privileges: {said}.")

    def _record(self) -> None:
        changes.install()
        phases.note(connections[self._using])
        compression.prefer_lz4(self._using)

    def _so_far(self) -> str:
        if not self._applied:
            return "No migration was applied."
        return f"Applied before it: {', '.join(self._applied)}."

    def _waits(self) -> None:
        self.stderr.write("Another process is migrating this database: it is waited for.")

    def _again(self, said: str) -> None:
        self.stderr.write(f"Somebody uses what has to be locked, and goes first; it is tried again: {said}")

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        super().migration_progress_callback(action, migration, fake)
        if migration is None:
            return
        if action in ("apply_start", "unapply_start"):
            if not fake:
                changes.loosen(changes.altered(migration), self._using)
            migrating.wait_for_locks_of(migration, self._using)
        if action == "apply_start" and not fake and phases.reason(migration):
            phases.note(connections[self._using], f"{migration.app_label}.{migration.name}")
        if action == "apply_start" and not fake:
            for name in migrating.drop_half_built(migration, self._using):
                self.stderr.write(f"The index {name} was left half built by an attempt that was cut off: dropped.")
        if action == "apply_success":
            self._applied.append(f"{migration.app_label}.{migration.name}")
