"""What people ask of a schedule beside its own moments: a start now, or the moments of a time that has passed."""

from dataclasses import dataclass
from datetime import datetime

from erip.foundation.faults import Fault
from erip.foundation.moments import later
from schedules import firing, stored
from schedules.core.occurrences import Occurrence
from schedules.errors import ScheduleInvalid
from schedules.models import Cause, Outcome, ScheduledStart

#: moments of one backfill
MOST = 1_000


def trigger(name: str, *, by: str) -> ScheduledStart:
    """Start a run now, also of a paused schedule, whatever `overlap` says. Raises UnknownSchedule.

    The row says what became of it; STARTING: the lane is full, and the leader tries again.
    """
    latest = stored.latest(name)
    row = ScheduledStart.objects.create(
        schedule=latest.schedule,
        at=stored.clock(),
        version=latest.number,
        cause=Cause.MANUAL,
        outcome=Outcome.STARTING,
        by=by,
    )
    firing.start(row)
    row.refresh_from_db()
    return row


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a backfill. known: what became of it before, if it was decided on; then it is not started again."""

    one: Occurrence
    known: str | None


def backfill(name: str, *, begin: datetime, end: datetime, by: str, dry_run: bool) -> list[Moment]:
    """Start the runs of all moments from `begin` to before `end` that have none yet, in spite of `overlap`; the leader
    starts them one after the other. A moment that was left out is started now. dry_run: only say which they are.

    Raises UnknownSchedule, ScheduleInvalid (the time is the wrong way round, has not passed, or is too long).
    """
    latest = stored.latest(name)
    spec = stored.spec_of(latest)
    now = stored.clock()
    faults = []
    if end <= begin:
        faults.append(Fault("to", "is not after `from`"))
    if end > now:
        faults.append(Fault("to", "has not passed yet"))
    if faults:
        raise ScheduleInvalid(faults=faults)
    just_before = later(begin, -_INSTANT)
    moments = stored.preview(spec, after=just_before, before=end, count=MOST + 1)
    if len(moments) > MOST:
        raise ScheduleInvalid(faults=[Fault("to", f"there are more than {MOST:,} moments in between; take a part")])
    rows = latest.schedule.starts.filter(at__gte=begin, at__lt=end)
    known = dict(rows.values_list("at", "outcome"))
    found = [Moment(one, _known(known.get(one.at))) for one in moments]
    if not dry_run:
        wanted = [moment.one.at for moment in found if moment.known is None]
        rows.filter(at__in=wanted, outcome=Outcome.SKIPPED, until__isnull=True).update(
            outcome=Outcome.STARTING, cause=Cause.BACKFILL, by=by, reason="", version=latest.number
        )
        rows.filter(at__in=wanted, outcome=Outcome.SKIPPED, until__isnull=False).update(
            outcome=Outcome.STARTING, cause=Cause.BACKFILL, by=by, reason="", version=latest.number, until=None
        )
        ScheduledStart.objects.bulk_create(
            [
                ScheduledStart(
                    schedule=latest.schedule,
                    at=at,
                    version=latest.number,
                    cause=Cause.BACKFILL,
                    outcome=Outcome.STARTING,
                    by=by,
                )
                for at in wanted
                if at not in known
            ],
            ignore_conflicts=True,
        )
    return found


def _known(outcome: str | None) -> str | None:
    return None if outcome in (None, Outcome.SKIPPED) else outcome


_INSTANT = datetime.resolution
