"""Schedules as they are stored: how to change them and how to read them. Each change is a version, which is kept."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.fields.json import KeyTextTransform

from erip.foundation.faults import Fault
from erip.foundation.versioned import add_version, latest_of, take_turn
from schedules.core.occurrences import Occurrence, occurrences
from schedules.core.spec import Spec, read
from schedules.errors import AlreadyPaused, NotPaused, ScheduleInvalid, UnknownSchedule
from schedules.models import Schedule, ScheduleVersion
from workflows.core.definition import DefinitionInvalid
from workflows.core.structure import did_you_mean
from workflows.engine.spaces import workflows_in
from workflows.graphs import graph_of
from workflows.models import WorkflowDefinition, WorkflowVersion

VERSIONS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Stored:
    name: str
    number: int
    #: whether the name had no schedule before
    created: bool
    #: False where the latest version says the same
    changed: bool


def clock() -> datetime:
    """The database's time, by which schedules go."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def spec_of(version: ScheduleVersion) -> Spec:
    """What the version says. Raises ScheduleInvalid if this release cannot read it (any more)."""
    spec, faults = read(version.document, stored_at=version.created_at)
    if spec is None:
        raise ScheduleInvalid(faults=faults)
    return spec


def check(document: Any) -> Spec:
    """A document that could be stored. Raises ScheduleInvalid with every fault."""
    spec, faults = read(document, stored_at=clock())
    faults = faults + _workflow_faults(document)
    if faults or spec is None:
        raise ScheduleInvalid(faults=sorted(faults, key=lambda fault: fault.path))
    if spec.at is None and next(occurrences(spec, clock()), None) is None:
        raise ScheduleInvalid(faults=[Fault("cron", "never comes: there is no such moment")])
    return spec


def _workflow_faults(document: Any) -> list[Fault]:
    """What the workflow's latest version has against it: a later one may ask for another input."""
    name = document.get("workflow") if isinstance(document, dict) else None
    if not isinstance(name, str):
        return []
    latest = WorkflowVersion.objects.filter(definition__name=name, number=F("definition__latest")).first()
    if latest is None:
        names = WorkflowDefinition.objects.values_list("name", flat=True)[:1000]
        return [Fault("workflow", f'there is no workflow "{name}"{did_you_mean(name, names)}')]
    try:
        schema = graph_of(latest.pk).input_check
    except DefinitionInvalid as error:
        return [Fault("workflow", f"this release cannot read its latest version: {error}"[:400])]
    given = document.get("input", {})
    return schema.faults(given, at="input") if schema is not None and isinstance(given, dict) else []


def put(name: str, *, document: dict[str, Any], description: str = "", author: str) -> Stored:
    """Store a schedule as the next version of that name; the same again is a no-op. Raises ScheduleInvalid.

    If its moments change, they count from now on; else nothing that is due gets lost.
    """
    with transaction.atomic():
        schedule, latest = take_turn(Schedule, name)
        here = latest is not None and not latest.deleted
        if here and (latest.document, latest.description) == (document, description):
            return Stored(name, latest.number, False, False)
        check(document)
        version = add_version(schedule, document=document, description=description, author=author)
        spec = spec_of(version)
        schedule.counted_from = clock()
        schedule.save(update_fields=["counted_from"])
        if not here or _when(latest) != spec.when:
            set_next(schedule, spec, clock())
        return Stored(name, version.number, not here, True)


def _when(version: ScheduleVersion) -> Any:
    try:
        return spec_of(version).when
    except ScheduleInvalid:
        return None


def set_next(schedule: Schedule, spec: Spec, after: datetime) -> None:
    """The schedule goes on with its first moment after this one."""
    one = next(occurrences(spec, after), None)
    schedule.next_at = one.at if one else None
    schedule.next_start_at = one.starts(schedule.name, spec.jitter) if one else None
    schedule.save(update_fields=["next_at", "next_start_at"])


def delete(name: str, *, author: str) -> None:
    """Delete the schedule; its versions are kept, and so is what it started. Raises UnknownSchedule."""
    with transaction.atomic():
        schedule, latest = locked(name)
        add_version(schedule, document=latest.document, description=latest.description, deleted=True, author=author)
        schedule.next_at = schedule.next_start_at = None
        schedule.paused_at, schedule.paused_by, schedule.paused_reason = None, "", ""
        schedule.save()
        schedule.starts.filter(outcome="WAITING").update(outcome="SKIPPED", reason="the schedule was deleted")


def locked(name: str) -> tuple[Schedule, ScheduleVersion]:
    """The schedule and its latest version, locked until the transaction ends. Raises UnknownSchedule."""
    schedule = Schedule.objects.select_for_update().filter(name=name).first()
    latest = latest_of(schedule) if schedule else None
    if schedule is None or latest is None or latest.deleted:
        raise UnknownSchedule
    return schedule, latest


def page(
    *, after: str | None = None, limit: int, spaces: Collection[str] | None = None
) -> tuple[list[ScheduleVersion], str | None]:
    """The latest version of each schedule, by name, behind the name `after`; and the name to go on behind, if there are
    more than `limit`. spaces: only those that start workflows in these."""
    latest = ScheduleVersion.objects.filter(number=F("schedule__latest"), deleted=False).select_related("schedule")
    if spaces is not None:
        latest = _starting(latest, spaces)
    if after is not None:
        latest = latest.filter(schedule__name__gt=after)
    found = list(latest.order_by("schedule__name")[: limit + 1])
    return found[:limit], found[limit - 1].schedule.name if len(found) > limit else None


def _starting(versions: QuerySet[ScheduleVersion], spaces: Collection[str]) -> QuerySet[ScheduleVersion]:
    """Those that start workflows in these spaces."""
    named = KeyTextTransform("workflow", "document")
    return versions.annotate(starts_runs_of=named).filter(starts_runs_of__in=workflows_in(spaces))


def latest(name: str) -> ScheduleVersion:
    """What a schedule says now: without its former versions, each of which may be as large as a request's body. Raises
    UnknownSchedule."""
    version = (
        ScheduleVersion.objects.filter(schedule__name=name, number=F("schedule__latest"), deleted=False)
        .select_related("schedule")
        .first()
    )
    if version is None:
        raise UnknownSchedule
    return version


def history(name: str, spaces: Collection[str] | None = None) -> list[ScheduleVersion]:
    """All versions of a schedule, newest first. spaces: only those that started workflows in these. Raises
    UnknownSchedule."""
    versions = ScheduleVersion.objects.filter(schedule__name=name).select_related("schedule").order_by("-number")
    if spaces is not None:
        versions = _starting(versions, spaces)
    found = list(versions[:VERSIONS_SHOWN])
    if not found or found[0].deleted:
        raise UnknownSchedule
    return found


def pause(name: str, *, by: str, reason: str) -> None:
    """Plan nothing until it is resumed. Raises UnknownSchedule, AlreadyPaused."""
    with transaction.atomic():
        schedule, _ = locked(name)
        if schedule.paused_at is not None:
            raise AlreadyPaused
        schedule.paused_at, schedule.paused_by, schedule.paused_reason = clock(), by, reason[:1000]
        schedule.save(update_fields=["paused_at", "paused_by", "paused_reason"])


def resume(name: str) -> None:
    """Go on; what was missed meanwhile is treated as `catch_up` says. Raises UnknownSchedule, NotPaused."""
    with transaction.atomic():
        schedule, _ = locked(name)
        if schedule.paused_at is None:
            raise NotPaused
        schedule.paused_at, schedule.paused_by, schedule.paused_reason = None, "", ""
        schedule.counted_from = clock()
        schedule.save(update_fields=["paused_at", "paused_by", "paused_reason", "counted_from"])


def preview(
    spec: Spec, *, after: datetime | None = None, before: datetime | None = None, count: int
) -> list[Occurrence]:
    """The next moments after now, or after `after`, and before `before`; at most `count`."""
    return list(islice(_until(occurrences(spec, after or clock()), before), count))


def _until(found: Iterator[Occurrence], before: datetime | None) -> Iterator[Occurrence]:
    for one in found:
        if before is not None and one.at >= before:
            return
        yield one


def utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
