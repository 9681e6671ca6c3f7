"""What is in the way of the migrations that contract: Note [Contracting] in `erip.foundation.db.phases`.

Unknown is not no. A process that reports nothing of itself, and is only seen by its work, may be of any release. A web
process that reports nothing is not seen at all; all of them report, unless the database is away or ERIP_PULSE is off.
One that was killed counts for a minute.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from django.conf import settings
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor

from erip.foundation.db import backfills
from monitoring.core.components import REPORT_EVERY
from monitoring.store.components import lives
from workflows import store

#: seconds without a sign of life after which a process is none
LEASE = 60.0
#: seconds after which everybody who lives has reported once more
AGAIN_AFTER = REPORT_EVERY + 1


def targets(
    executor: MigrationExecutor, plan: Iterable[tuple[Migration, bool]], held: Sequence[str]
) -> list[tuple[str, str]]:
    """(app, migration): how far each app goes within a plan without these."""
    graph, left = executor.loader.graph, set(held)
    free = [key for one, _ in plan if ".".join(key := (one.app_label, one.name)) not in left]
    followed = {parent.key for key in free for parent in graph.node_map[key].parents if parent.key[0] == key[0]}
    return sorted(key for key in free if key not in followed)


def in_the_way(names: Sequence[str], pause: Callable[[float], object] = time.sleep) -> list[str]:
    """What keeps these migrations from being applied, a sentence each. Asks twice: reports do not survive a failover,
    and are there again after the next ones.

    pause: waits so many seconds.
    """
    tables = set(connection.introspection.table_names())
    found = [*_processes(set(names), tables), *_backfills()]
    if found or "monitoring_component" not in tables:
        return found
    pause(AGAIN_AFTER)
    return [*_processes(set(names), tables), *_backfills()]


def _processes(names: set[str], tables: set[str]) -> list[str]:
    seen: set[tuple[str, int]] = set()
    said = []
    if not settings.ERIP_PULSE:
        said.append(
            "ERIP_PULSE is off, so no process says of which release it is, and web processes are not seen (look "
            "yourself whether any of an earlier release is left, and if not, call migrate --force-contract)"
        )
    if "monitoring_component" in tables:
        for life in lives(LEASE):
            seen.add((life.host, life.pid))
            if lacking := sorted(names - set(life.knows)):
                said.append(
                    f"{life.kind} {life.pid} on {life.host} is of a release that does not know {', '.join(lacking)}"
                )
    if "workflows_leader" in tables:
        for one in store.living(lease=LEASE):
            if (one.host, one.pid) not in seen:
                said.append(
                    f"{one.said} does not say of which release it is (an earlier one, or ERIP_PULSE is off there)"
                )
    return said


def _backfills() -> list[str]:
    return [f"the backfill {name} is not done: {one}" for name, one in backfills.progress().items() if not one.finished]
