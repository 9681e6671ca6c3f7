"""Pending starts as people see them: list, read, start now, discard. API and admin call these functions."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from erip.audit.operation import describe
from erip.foundation.db.retry import retry_transaction
from workflows.core.gathering import spell
from workflows.core.rules import compile_rule
from workflows.engine.spaces import of_workflows
from workflows.events import gathering as starting
from workflows.events.errors import PendingStartStuck, UnknownPendingStart
from workflows.events.models import PendingStart
from workflows.events.store import pending as store

#: in one answer
MAX_LISTED: Final = 100


def listed(workflow: str | None = None, *, spaces: Collection[str] | None = None) -> tuple[list[dict[str, Any]], int]:
    """The pending starts that are due first, and how many there are in all (of one workflow). spaces: only those of
    workflows in these."""
    rows = PendingStart.objects.filter(of_workflows(spaces))
    if workflow is not None:
        rows = rows.filter(workflow=workflow)
    return [_told(row) for row in rows[:MAX_LISTED]], rows.count()


def detail(id_: str) -> dict[str, Any]:
    """One with the places of its events in the log. Raises UnknownPendingStart."""
    row = PendingStart.objects.filter(pk=UUID(id_)).first()
    if row is None:
        raise UnknownPendingStart
    kept = store.events_of([id_])[id_]
    places = [f"{one.gathered.partition}-{one.gathered.position}" for one in kept]
    return {**_told(row), "rule": row.rule, "events": places}


@retry_transaction
def start(id_: str) -> str:
    """Start its run before its time. Returns the run's id. Raises UnknownPendingStart, PendingStartStuck."""
    with transaction.atomic():
        due = store.lock_one(id_)
        if due is None:
            raise UnknownPendingStart
        run_id = starting.start_now(due)
        describe(before={"events": due.count}, after={"run": run_id})
    if run_id is None:
        raise PendingStartStuck
    return run_id


@retry_transaction
def discard(id_: str, *, by: str) -> int:
    """Give it up: its events become dead letters that `by` has discarded. Returns how many. Raises
    UnknownPendingStart."""
    with transaction.atomic():
        due = store.lock_one(id_)
        if due is None:
            raise UnknownPendingStart
        return starting.discard(due, by=by)


def sentence(row: PendingStart, now: datetime | None = None) -> str:
    """What it waits for."""
    rule, _ = compile_rule(row.rule, row.workflow, None, at="rule", label=row.trigger)
    if rule is None or rule.gathering is None:
        return f"{row.count:,} events; this release cannot read its rule."
    return spell(row.count, row.since, row.due_at, now or datetime.now(UTC), rule.gathering, row.problem)


def _told(row: PendingStart) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "workflow": row.workflow,
        "trigger": row.trigger,
        "business_key": row.business_key,
        "count": row.count,
        "bytes": row.size,
        "since": row.since,
        "due_at": row.due_at,
        "open": row.case_key is not None,
        "problem": row.problem or None,
        "explain": sentence(row),
    }
