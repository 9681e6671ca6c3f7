"""The migrations between a database and this code: the phase of each, what it locks, and who may go on beside it.

Note [Phases of an upgrade]
*Expand*: tables, columns and indexes are added; the release before knows nothing of them and goes on. *Background*:
rows are filled in batches, beside both releases. *Contract*: what only the release before used is taken away, or what
it leaves out is demanded; no process of it may be left, and there is no way back to it but a backup. What a migration
does is read from its operations (`migration_lint`) and from the SQL that Django makes of them (`locks`). What both
cannot judge is said to be not known, and whoever upgrades decides. `migrate` goes by what a migration says of itself:
Note [Contracting] in `erip.foundation.db.phases`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from erip.foundation.db import backfills, migrating, phases
from erip.foundation.db.backfills import Backfill, Finished, Progress
from erip.management import migration_lint
from erip.management.migration_lint import Old
from erip.management.upgrade import contracting
from erip.management.upgrade.locks import Lock, Mode, locks, seconds


class Phase(StrEnum):
    EXPAND = "expand"
    BACKGROUND = "background"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock of a migration. seconds: for how long about, once it is had; None: not known. rows: of the table, as
    PostgreSQL last counted them; None: not known."""

    lock: Lock
    seconds: float | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One migration that is not applied. unseen: what of it nothing here can judge, one sentence each. breaks: what the
    release before cannot live with. after: the backfills that must be done first. reversible: whether Django can undo
    it; what was written into what it added is lost then."""

    name: str
    phase: Phase
    locks: tuple[Held, ...]
    breaks: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    backfills: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    #: what it says that an earlier release still uses; "": it does not contract
    contracts: str = ""
    reversible: bool = True
    atomic: bool = True

    @property
    def stops_all(self) -> bool:
        """Whether somebody else waits for longer than a moment."""
        return any(one.lock.mode > Mode.LETS_OTHERS and (one.seconds is None or one.seconds > 0) for one in self.locks)


@dataclass(frozen=True, slots=True)
class Plan:
    """steps: in the order in which they are applied. ahead: migrations of a newer release that the database has.
    backfills: declared, and not done, or done. without: backfills in the database that this code does not have."""

    steps: tuple[Step, ...]
    ahead: tuple[str, ...] = ()
    backfills: tuple[Progress, ...] = ()
    living: tuple[str, ...] = ()
    #: since the release before, and applied: locks are of no interest any more
    applied: tuple[Step, ...] = ()
    #: what keeps the steps from being applied that say that they contract
    in_the_way: tuple[str, ...] = ()
    #: whether it is known what the release before has
    before_known: bool = False

    @property
    def beside(self) -> Old:
        """Whether processes of the release before go on through the steps that are left."""
        return judge(self.steps)

    @property
    def back(self) -> Old:
        """Whether they can be started again as things are now: BREAKS is no."""
        return judge(self.applied) if self.before_known else Old.UNKNOWN


def judge(steps: Iterable[Step]) -> Old:
    """What becomes of the release before through all of them."""
    steps = list(steps)
    if any(step.phase is Phase.CONTRACT for step in steps):
        return Old.BREAKS
    return Old.UNKNOWN if any(step.unseen for step in steps) else Old.GOES_ON


def plan(alias: str = DEFAULT_DB_ALIAS, *, living: Sequence[str] = (), before: Sequence[tuple[str, str]] = ()) -> Plan:
    """Ask the database and the code; changes nothing.

    living: the processes at work, in words. before: the last migrations of the release before, (app, name) each; none:
    not known. Raises LookupError for one that this code does not have, OperationalError.
    """
    connection = connections[alias]
    executor = MigrationExecutor(connection)
    loader = executor.loader
    ahead = executor.migration_plan(loader.graph.leaf_nodes())
    left, held = [migration for migration, _ in ahead], phases.held(executor, ahead)
    found = [_step(migration, loader, connection) for migration in left]
    declared = backfills.declared(list((loader.disk_migrations or {}).values()))
    known = backfills.progress(alias)
    at = [backfills.with_rows(known[name], one, alias) for name, one in declared.items() if name in known]
    old: set[tuple[str, str]] = set()
    for leaf in before:
        old.update(loader.graph.forwards_plan(leaf))
    since = [key for key in loader.graph.nodes if key not in old and key in (loader.applied_migrations or {})]
    return Plan(
        tuple(found),
        tuple(migrating.ahead(alias)),
        tuple(at),
        tuple(living),
        tuple(_judged(loader.graph.nodes[key], loader) for key in sorted(since)) if before else (),
        tuple(contracting.in_the_way(held)) if held else (),
        bool(before),
    )


def _judged(migration: migrations.Migration, loader: MigrationLoader) -> Step:
    """A migration without its locks."""
    parents = [one.key for one in loader.graph.node_map[(migration.app_label, migration.name)].parents]
    before = loader.project_state(parents) if parents else ProjectState()
    unsafe = list(migration_lint.unsafe(migration, before))
    breaks = tuple(one.what for one in unsafe if one.old is Old.BREAKS)
    unseen = [one.what for one in unsafe if one.old is Old.UNKNOWN]
    made = tuple(one.name for one in migration.operations if isinstance(one, Backfill))
    after = tuple(one.name for one in migration.operations if isinstance(one, Finished))
    return Step(
        name=f"{migration.app_label}.{migration.name}",
        phase=_phase(contracts=bool(breaks or after or phases.reason(migration)), fills=bool(made)),
        locks=(),
        breaks=breaks,
        unseen=tuple(dict.fromkeys(unseen)),
        backfills=made,
        after=after,
        contracts=phases.reason(migration),
        reversible=all(operation.reversible for operation in migration.operations),
        atomic=migration.atomic,
    )


def _phase(*, contracts: bool, fills: bool) -> Phase:
    if contracts:
        return Phase.CONTRACT
    return Phase.BACKGROUND if fills else Phase.EXPAND


def _step(migration: migrations.Migration, loader: MigrationLoader, connection: Any) -> Step:
    step = _judged(migration, loader)
    try:
        said = list(_locks(migration, loader))
    except (ValueError, LookupError, DatabaseError) as error:
        # Django asks the database for names of constraints, of tables that an earlier migration here only makes.
        why = f"its SQL cannot be made before those before it are applied ({str(error)[:150]})"
        return replace(step, unseen=(*step.unseen, why))
    held = [_held(lock, said[place:] if migration.atomic else [lock], connection) for place, lock in enumerate(said)]
    return replace(step, locks=_strongest(held))


def _locks(migration: migrations.Migration, loader: MigrationLoader) -> list[Lock]:
    text = "\n".join(loader.collect_sql([(migration, False)]))
    return list(locks(text))


def _held(lock: Lock, rest: Sequence[Lock], connection: Any) -> Held:
    """rest: this statement, and those after it in its transaction: the lock is held through all of them."""
    rows, size = _size(lock.table, connection)
    spans = [seconds(each.work, _size(each.table, connection)[1]) for each in rest]
    if lock.table and size is None:
        # Not there yet: an earlier migration here makes it, and it is empty.
        spans = [0.0 if each.table == lock.table else span for each, span in zip(rest, spans, strict=True)]
    known = [span for span in spans if span is not None]
    return Held(lock, sum(known) if len(known) == len(spans) else None, rows)


def _size(table: str, connection: Any) -> tuple[int | None, int | None]:
    """(rows, bytes); of a partitioned table those of all its partitions."""
    if not table:
        return None, None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(greatest(c.reltuples, 0))::bigint, sum(pg_relation_size(c.oid))::bigint FROM pg_partition_tree("
            "to_regclass(%s)) t JOIN pg_class c ON c.oid = t.relid",
            [table],
        )
        rows, size = cursor.fetchone() or (None, None)
    if size is None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT CASE WHEN reltuples >= 0 THEN reltuples END::bigint, pg_relation_size(oid) FROM pg_class"
                " WHERE oid = to_regclass(%s)",
                [table],
            )
            rows, size = cursor.fetchone() or (None, None)
    return rows, size


def _strongest(held: Sequence[Held]) -> tuple[Held, ...]:
    """For each table the strongest lock, and the longest of those; statements that are not known stay as they are."""
    found: dict[str, Held] = {}
    for one in held:
        key = one.lock.table or one.lock.said
        if key not in found or _weight(one) > _weight(found[key]):
            found[key] = one
    return tuple(found.values())


def _weight(one: Held) -> tuple[int, float]:
    return one.lock.mode, float("inf") if one.seconds is None else one.seconds
