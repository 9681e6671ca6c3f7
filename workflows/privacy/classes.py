"""The classes of data that are kept for a time: each says how its items are read, and how some of them are removed.

An app that keeps data of its own adds its class here (Note [Retention] in `core/retention`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from erip.audit import salts
from workflows.core.retention import Item
from workflows.models import ApprovalTask, ArchivedRun, WorkflowRun
from workflows.privacy.models import DataKey, RunKey
from workflows.store import forgetting

#: items that one look reads
AT_A_TIME: Final = 200


@dataclass(frozen=True, slots=True)
class Looked:
    """Items, in the order of their keys. next: the key to go on after; None: there are no more."""

    items: Sequence[Item]
    next: str | None


@dataclass(frozen=True, slots=True)
class Class:
    """A class of data.

    look: from (the key after which it begins, "" is the first; the moment before which an item's time must have begun;
    how many) to items. remove: in the caller's transaction; returns how many there were. least: days for which the
    database keeps every item, whatever is said; None: for ever.
    """

    name: str
    what: str
    look: Callable[[str, datetime, int], Looked]
    remove: Callable[[Sequence[Item]], int]
    least: Callable[[], int | None] = lambda: 0


_classes: dict[str, Class] = {}


def register(one: Class) -> Class:
    _classes[one.name] = one
    return one


def all_classes() -> Sequence[Class]:
    return list(_classes.values())


# --- runs, and what is sealed of them

#: In this order: a run that is moved meanwhile is found by the second, or the next time.
_TABLES: Final = ("workflows_workflowrun", "workflows_archivedrun")


def _look_at_runs(after: str, before: datetime, limit: int) -> Looked:
    index, _, last = (after or "0:").partition(":")
    table, last_id = int(index), UUID(last) if last else UUID(int=0)
    rows = forgetting.ended_runs(_TABLES[table], after=last_id, until=first_id(before), limit=limit)
    next_ = f"{table + 1}:" if table + 1 < len(_TABLES) else None
    if len(rows) == limit:
        next_ = f"{table}:{rows[-1][0]}"
    persons = persons_of([row[0] for row in rows])
    items = [
        Item(str(id_), ended, created, workflow, id_, persons.get(id_))
        for id_, workflow, created, ended in rows
        if workflow and ended < before
    ]
    return Looked(items, next_)


def persons_of(runs: Sequence[UUID]) -> dict[UUID, bytes]:
    """The person whom each of these runs is about, where it names one."""
    rows = RunKey.objects.filter(pk__in=runs, key__subject__isnull=False).values_list("pk", "key__subject")
    return {run: bytes(subject) for run, subject in rows if subject is not None}


def first_id(moment: datetime) -> UUID:
    """The smallest UUIDv7 of this millisecond: a run that ended before the moment has a smaller id."""
    return UUID(int=max(0, round(moment.timestamp() * 1000)) << 80)


def _remove_runs(items: Sequence[Item]) -> int:
    ids = [UUID(item.key) for item in items]
    gone = forgetting.forget_runs(ids)
    forget_in_audit(runs=ids)
    # A run that began to change again stays, and so does its key.
    RunKey.objects.filter(pk__in=set(ids) - forgetting.still_there(ids)).delete()
    return gone


def forget_keys(since: datetime, until: datetime) -> int:
    """Remove the keys of runs that began in this span and are nowhere any more, in the caller's transaction: what was
    sealed of them is left in approvals, clocks and logs. Returns how many there were."""
    began = RunKey.objects.filter(run_id__gte=first_id(since), run_id__lt=first_id(until))
    gone = [~Exists(table.objects.filter(pk=OuterRef("pk"))) for table in (WorkflowRun, ArchivedRun)]
    return int(began.filter(*gone).delete()[0])


def _look_at_sealed(after: str, before: datetime, limit: int) -> Looked:
    found = _look_at_runs(after, before, limit)
    salted = set(
        RunKey.objects.filter(pk__in=[item.run for item in found.items], salt__isnull=False).values_list(
            "pk", flat=True
        )
    )
    return Looked([item for item in found.items if item.run in salted], found.next)


def _end_sealed(items: Sequence[Item]) -> int:
    runs = [item.run for item in items if item.run is not None]
    forget_in_audit(runs=runs)
    living = RunKey.objects.filter(pk__in=runs, salt__isnull=False)
    return living.update(salt=None, ended_at=Now())


register(Class("runs", "runs, with their steps and events", _look_at_runs, _remove_runs, forgetting.least_days))
register(Class("sensitive", "what is sealed of runs", _look_at_sealed, _end_sealed))


def _look_at_salts(after: str, before: datetime, limit: int) -> Looked:
    # A salt is used until its month has ended: then its time begins to count.
    rows = salts.months_after(int(after or 0), before=before.astimezone(UTC).date().replace(day=1), limit=limit)
    items = [Item(str(id_), _start(_following(month)), _start(month)) for id_, _, month in rows]
    return Looked(items, items[-1].key if len(rows) == limit else None)


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _following(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def month_after(year: int, month: int) -> datetime:
    """When the month after this one begins."""
    return _start(_following(date(year, month, 1)))


def _destroy_salts(items: Sequence[Item]) -> int:
    return salts.destroy([int(item.key) for item in items])


register(Class("audit", "what opens hashes of personal data in the audit log", _look_at_salts, _destroy_salts))


def forget_in_audit(*, runs: Sequence[UUID], keys: Sequence[int] = ()) -> int:
    """Nobody can try any more what the audit log's hashes say of these runs, or of a person's keys. Returns how many
    salts there were."""
    tasks = ApprovalTask.objects.filter(run_id__in=runs).values_list("pk", flat=True)
    objects = [f"{ApprovalTask._meta.db_table}/{task}" for task in tasks]
    return salts.destroy_of([*objects, *(f"{DataKey._meta.db_table}/{key}" for key in keys)])


def older_than(seconds: float, now: datetime) -> datetime:
    """The moment so long ago; the first there is if that is before all time."""
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
