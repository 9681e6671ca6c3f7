"""The leader's part: decide on the moments that have come, and start their runs.

Note [Starting once]
A moment is decided on in one transaction that locks the schedule, writes a row for the moment (unique) and moves the
schedule on. So no two leaders decide on the same moment, and none is lost with a process that is killed. The run is
started afterwards, under an idempotency key made of the row's id: a leader that is killed between the start and the
note of it, or is frozen there and thawed later, starts the same run and no second one.
"""

import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Subquery

from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.hooks import periodic_duty
from schedules import stored
from schedules.core.planning import Decision, plan
from schedules.core.spec import Spec
from schedules.errors import ScheduleInvalid
from schedules.models import Cause, Outcome, Schedule, ScheduledStart
from workflows import engine
from workflows.core.states import RUN_ENDS, RunState
from workflows.errors import LaneFull, RequestUnderWay, WorkflowsError
from workflows.models import ArchivedRun, WorkflowRun

log = structlog.get_logger(__name__)

#: seconds between two looks
EVERY = 0.5
#: schedules, and starts, of one look
LIMIT = 100
#: seconds for starts in one look: the leader's other duties wait meanwhile
SECONDS = 0.75
#: seconds until the next look at a schedule that this release cannot read
UNREADABLE_AGAIN_AFTER = 60.0
#: days for which is kept what became of a moment, and moments of each schedule that are kept for longer
KEEP_DAYS, KEEP_LAST = 90, 100
#: seconds between two looks for what may be forgotten, and rows of one statement
FORGET_EVERY, FORGET_LIMIT = 3_600.0, 5_000
_BAD_ENDS = frozenset({RunState.FAILED, RunState.TIMED_OUT})


@periodic_duty(EVERY)
def work_off() -> bool:
    """Decide and start. Returns whether there may be more."""
    more = decide_due()
    return start_open() or more


@periodic_duty(FORGET_EVERY)
def forget() -> bool:
    """Delete what became of moments long ago. Returns whether there may be more.

    The last moments of each schedule stay, and those whose runs go on: `overlap` and `pause_on_failure` ask for them.
    """
    others = ScheduledStart.objects.filter(schedule=OuterRef("schedule")).order_by("-at").values("at")
    goes_on = WorkflowRun.objects.filter(pk=OuterRef("run_id"), finished_at__isnull=True)
    old = (
        ScheduledStart.objects.filter(decided_at__lt=stored.clock() - timedelta(days=KEEP_DAYS))
        .exclude(outcome__in=(Outcome.STARTING, Outcome.WAITING))
        .filter(at__lt=Subquery(others[KEEP_LAST - 1 : KEEP_LAST]))
        .exclude(Exists(goes_on))
    )
    found = list(old.order_by("id").values_list("pk", flat=True)[:FORGET_LIMIT])
    ScheduledStart.objects.filter(pk__in=found).delete()
    return len(found) == FORGET_LIMIT


#: schedules that this release cannot read, by name, and until when they are passed over (on the monotonic clock)
_unreadable: dict[str, float] = {}


def decide_due() -> bool:
    """Decide on the moments that are due. Returns whether there may be more."""
    now = stored.clock()
    due = Schedule.objects.filter(paused_at__isnull=True, next_start_at__lte=now).order_by("next_start_at")
    if _unreadable:
        for name in [name for name, until in _unreadable.items() if time.monotonic() >= until]:
            del _unreadable[name]
        # However many they are, the others do not stand behind them.
        due = due.exclude(name__in=list(_unreadable))
    names = list(due.values_list("name", flat=True)[:LIMIT])
    for name in names:
        try:
            decide(name)
        except Exception as error:
            if isinstance(error, ERRORS) and is_passing(error):
                raise
            # Whatever it is: the other schedules do not wait for this one.
            log.exception("schedule_not_decided", schedule=name)
    return len(names) == LIMIT


def decide(name: str) -> None:
    """Decide on what is due of one schedule, which is left alone if another process is at it."""
    with transaction.atomic():
        schedule = (
            Schedule.objects.select_for_update(skip_locked=True).filter(name=name, paused_at__isnull=True).first()
        )
        if schedule is None:
            return
        now = stored.clock()
        if schedule.next_start_at is None or schedule.next_start_at > now:
            return
        version = schedule.versions.get(number=schedule.latest)
        try:
            spec = stored.spec_of(version)
        except ScheduleInvalid as error:
            # A newer release stored it, as a rule: a leader of that release decides, and this one leaves it as it is.
            # `problem` of the schedule says so for as long as no process can read it.
            _unreadable[name] = time.monotonic() + UNREADABLE_AGAIN_AFTER
            log.error("schedule_not_readable", schedule=name, version=version.number, reason=str(error)[:400])
            return
        if why := _too_many_failures(schedule, spec):
            _pause(schedule, now, why)
            return
        waiting = schedule.starts.filter(outcome=Outcome.WAITING).first()
        planned = plan(name, spec, next_at=schedule.next_at, now=now, busy=_busy(schedule), waits=waiting is not None)
        if planned.overtaken and waiting is not None:
            # Unless another leader has just started it.
            schedule.starts.filter(pk=waiting.pk, outcome=Outcome.WAITING).update(
                outcome=Outcome.SKIPPED, reason="a later start took its place"
            )
        ScheduledStart.objects.bulk_create(
            [_row(schedule, version.number, one) for one in planned.decisions], ignore_conflicts=True
        )
        schedule.next_at, schedule.next_start_at = planned.next_at, planned.next_start
        schedule.save(update_fields=["next_at", "next_start_at"])


def _row(schedule: Schedule, version: int, one: Decision) -> ScheduledStart:
    cause = Cause.CAUGHT_UP if one.caught_up else Cause.PLANNED
    return ScheduledStart(
        schedule=schedule,
        at=one.at,
        until=one.until,
        version=version,
        cause=cause,
        outcome=one.outcome,
        reason=one.reason,
    )


def _pause(schedule: Schedule, now: datetime, why: str) -> None:
    schedule.paused_at, schedule.paused_by, schedule.paused_reason = now, "schedule", why[:1000]
    schedule.save(update_fields=["paused_at", "paused_by", "paused_reason"])
    log.error("schedule_paused", schedule=schedule.name, reason=why)


def _busy(schedule: Schedule) -> bool:
    """Whether the run before goes on, or is about to start."""
    own = schedule.starts.exclude(cause__in=(Cause.MANUAL, Cause.BACKFILL))
    if own.filter(outcome=Outcome.STARTING).exists():
        return True
    last = own.filter(outcome=Outcome.STARTED).order_by("-at").values_list("run_id", flat=True).first()
    return last is not None and not _ended(last)


def _ended(run_id: UUID) -> bool:
    state = WorkflowRun.objects.filter(pk=run_id).values_list("state", flat=True).first()
    # A run that is not there any more is in the archive, or was forgotten after its end.
    return state is None or state in RUN_ENDS


def _too_many_failures(schedule: Schedule, spec: Spec) -> str:
    """Why the schedule is to be paused; empty: it is not. Failures before its last resumption or change do not count:
    it would be paused again before it has started anything."""
    most = spec.pause_on_failure
    if most is None:
        return ""
    counted = Q(outcome=Outcome.STARTED) | Q(outcome=Outcome.FAILED)
    if schedule.counted_from is not None:
        counted &= Q(decided_at__gt=schedule.counted_from)
    last = list(schedule.starts.filter(counted).order_by("-at").values_list("outcome", "run_id")[:most])
    if len(last) < most:
        return ""
    states = _states([run_id for _, run_id in last if run_id is not None])
    bad = [outcome == Outcome.FAILED or states.get(run_id) in _BAD_ENDS for outcome, run_id in last]
    return f"its last {most} runs failed (pause_on_failure)" if all(bad) else ""


def _states(run_ids: list[UUID]) -> dict[Any, str]:
    found = dict(ArchivedRun.objects.filter(pk__in=run_ids).values_list("pk", "state"))
    return found | dict(WorkflowRun.objects.filter(pk__in=run_ids).values_list("pk", "state"))


def start_open() -> bool:
    """Start the runs that were decided on. Returns whether there may be more.

    A schedule whose start has to wait, because its lane is full or its workflow cannot be read, is passed over until
    the next look: what stands behind it, such as the rest of a long backfill, does not hold up the others.
    """
    _release_waiting()
    until = time.monotonic() + SECONDS
    held_up: set[int] = set()
    while True:
        found = ScheduledStart.objects.filter(outcome=Outcome.STARTING).exclude(schedule__in=held_up)
        rows = list(found.select_related("schedule").order_by("id")[:LIMIT])
        for row in rows:
            if row.schedule_id in held_up:
                continue
            if time.monotonic() >= until:
                return True
            if not start(row):
                held_up.add(row.schedule_id)
        if len(rows) < LIMIT:
            return False


def _release_waiting() -> None:
    """Start what waited for the run before, where that has ended. One statement, however many wait."""
    own = ScheduledStart.objects.filter(schedule=OuterRef("schedule")).exclude(cause__in=(Cause.MANUAL, Cause.BACKFILL))
    last = own.filter(outcome=Outcome.STARTED).order_by("-at").values("run_id")[:1]
    goes_on = WorkflowRun.objects.filter(pk=OuterRef("last")).exclude(state__in=RUN_ENDS)
    free = (
        ScheduledStart.objects.filter(outcome=Outcome.WAITING, schedule__paused_at__isnull=True)
        .annotate(last=Subquery(last))
        .exclude(Exists(own.filter(outcome=Outcome.STARTING)))
        .exclude(Exists(goes_on))
    )
    found = list(free.order_by("id").values_list("pk", flat=True)[:LIMIT])
    if found:
        ScheduledStart.objects.filter(pk__in=found, outcome=Outcome.WAITING).update(outcome=Outcome.STARTING, reason="")


def start(row: ScheduledStart) -> bool:
    """Start the run of this row. False: it cannot be now (its lane is full, another process is at it, or this release
    cannot read its workflow); it is tried again."""
    try:
        version = row.schedule.versions.get(number=row.version)
        spec = stored.spec_of(version)
        request = engine.StartRequest(spec.input, business_key=spec.business_key, lane=spec.lane)
        (run,) = engine.start_runs(
            spec.workflow,
            [request],
            principal=f"schedule:{row.schedule.name}",
            idempotency_key=f"schedule-{row.pk}",
            request_hash="schedule",
        )
    except (LaneFull, RequestUnderWay) as error:
        log.info("scheduled_start_waits", schedule=row.schedule.name, at=row.at, error=error)
        return False
    except WorkflowsError as error:
        log.error("scheduled_start_failed", schedule=row.schedule.name, at=row.at, error=error)
        _note(row, outcome=Outcome.FAILED, reason=str(error)[:400])
        return True
    except Exception as error:
        if isinstance(error, ERRORS) and is_passing(error):
            raise
        # Such as a version that a newer release published: it may be possible elsewhere or later, so it has not failed.
        log.exception("scheduled_start_waits", schedule=row.schedule.name, at=row.at)
        return False
    _note(row, outcome=Outcome.STARTED, run_id=run.id, reason="")
    return True


def _note(row: ScheduledStart, **what: Any) -> None:
    ScheduledStart.objects.filter(pk=row.pk, outcome=Outcome.STARTING).update(**what)
