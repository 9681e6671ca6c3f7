"""What people do to a clock: stop, resume, amend, file, dismiss. Each is written down with who did it and why.

Note [One at a time]
Filing one clock starts others of its case; the cases that a definition's `clocks` made for one run are one case in this
(Note [Clocks are steps] in `workflows.core.declared`). Whoever changes clocks locks their cases first, in the order of
their ids, so two who file two clocks at once come one after the other, and never wait for each other.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from erip.foundation.faults import Fault, join
from workflows.clocks.errors import ClockChangeInvalid, ClockInState, UnknownClock
from workflows.clocks.models import OPEN, LegalCase, LegalClock, State
from workflows.clocks.reckoning import at_of, counts_from, refresh, text_of
from workflows.core.clocks.clock import TRIGGERS, OutOfRange
from workflows.library.compass.obligations import UPDATE

#: changes of one clock
MOST = 200


def stop(
    run_id: UUID, clock: int, *, by: str, reason: str, article: str = "", at: datetime | None = None
) -> LegalClock:
    """The period does not run until it is resumed. Raises ClockChangeInvalid without an article that allows it."""
    with _changing(run_id, clock, by, "stopped", reason) as (row, now):
        if row.state not in (State.RUNNING, State.WAITING):
            raise ClockInState(f"The clock {State(row.state).label}.")
        article = article or row.duty["stops"]
        if not article:
            raise _invalid("article", "the law of this duty knows no stop that ERIP knows of: name the article")
        since = at or now
        _not_ahead("at", since, now)
        if row.stops and since < at_of(row.stops[-1]["until"]):
            raise _invalid("at", "it lies before the end of the stop before")
        row.stops = [
            *row.stops, {"since": text_of(since), "until": None, "reason": reason, "by": by, "article": article}
        ]  # fmt: skip
    return row


def resume(run_id: UUID, clock: int, *, by: str, reason: str = "", at: datetime | None = None) -> LegalClock:
    with _changing(run_id, clock, by, "resumed", reason) as (row, now):
        if row.state != State.STOPPED:
            raise ClockInState(f"The clock is not stopped: it {State(row.state).label}.")
        until = at or now
        _not_ahead("at", until, now)
        if until <= at_of(row.stops[-1]["since"]):
            raise _invalid("at", "it does not lie after the beginning of the stop")
        row.stops = [*row.stops[:-1], {**row.stops[-1], "until": text_of(until)}]
    return row


def amend(
    run_id: UUID,
    clock: int,
    *,
    by: str,
    reason: str,
    moments: Mapping[str, datetime] | None = None,
    extended_until: datetime | None = None,
) -> LegalClock:
    """Correct what it counts from, or note that the authority granted more time."""
    with _changing(run_id, clock, by, "amended", reason) as (row, now):
        if row.state not in OPEN:
            raise ClockInState(f"The clock {State(row.state).label}.")
        moments = moments or {}
        faults = [
            Fault(join("moments", name), f"is none of {', '.join(TRIGGERS)}")
            for name in moments
            if name not in TRIGGERS
        ]
        faults += [Fault(join("moments", name), "it lies ahead") for name, at in moments.items() if at > now]
        if not moments and extended_until is None:
            faults.append(Fault("", "nothing is amended: give moments or extended_until"))
        if extended_until is not None and row.since is None:
            faults.append(Fault("extended_until", "the clock has no deadline yet that could be extended"))
        elif extended_until is not None and row.due_at is not None and extended_until <= row.due_at:
            faults.append(Fault("extended_until", "it does not lie after the deadline"))
        if faults:
            raise ClockChangeInvalid(faults=faults)
        if moments:
            amended = {**row.facts["amended"], **{name: text_of(at) for name, at in moments.items()}}
            assumed = [name for name in row.facts["assumed"] if name not in moments]
            row.facts = {**row.facts, "amended": amended, "assumed": assumed}
        if extended_until is not None:
            row.extended = {"until": text_of(extended_until), "reason": reason, "by": by}
    return row


def file(
    run_id: UUID,
    clock: int,
    *,
    by: str,
    reference: str,
    document: str = "",
    at: datetime | None = None,
    again: bool = False,
) -> LegalClock:
    """The duty was met. What counts from that, in the same case, starts now. again: it was filed before, and has been
    filed again with news: what counts from its latest update is computed again."""
    with _changing(run_id, clock, by, "updated" if again else "filed", reference) as (row, now):
        if row.state == State.DISMISSED or (row.state == State.FILED) is not again:
            raise ClockInState(f"The clock {State(row.state).label}.")
        filed_at = at or now
        _not_ahead("at", filed_at, now)
        proof = {"reference": reference, "document": document, "by": by}
        if again:
            if filed_at < at_of(row.filed["updated_at"] or row.filed["at"]):
                raise _invalid("at", "it lies before what was filed last")
            updates = row.filed.get("updates", [])
            if len(updates) >= MOST:
                raise ClockInState(f"The clock was filed again {MOST} times.")
            latest = text_of(filed_at)
            # The first proof is what shows that the duty was met in time: it stays.
            row.filed = {**row.filed, "updated_at": latest, "updates": [*updates, {"at": latest, **proof}]}
            _follow(row, f"{row.obligation}{UPDATE}", filed_at, now, by)
        else:
            row.filed = {"at": text_of(filed_at), **proof, "updated_at": None, "updates": []}
            row.state = State.FILED
            _follow(row, row.obligation, filed_at, now, by)
    return row


def dismiss(run_id: UUID, clock: int, *, by: str, reason: str) -> LegalClock:
    """The duty does not apply, says a person. It wakes nobody any more, and stays with its reason."""
    with _changing(run_id, clock, by, "dismissed", reason) as (row, _now):
        if row.state not in OPEN:
            raise ClockInState(f"The clock {State(row.state).label}.")
        row.state = State.DISMISSED
    return row


def _follow(filed: LegalClock, code: str, at: datetime, now: datetime, by: str) -> None:
    stages = {f"after:{filed.obligation}", f"updated:{filed.obligation}"}
    others = LegalClock.objects.select_for_update(of=("self",)).filter(_together(filed), state__in=OPEN)
    for row in others.exclude(pk=filed.pk).order_by("pk"):
        if stages & counts_from(row.duty):
            before = row.due_at
            assumed = [name for name in row.facts["assumed"] if name not in stages]
            submitted = {**row.facts["submitted"], code: text_of(at)}
            row.facts = {**row.facts, "assumed": assumed, "submitted": submitted}
            _refresh(row, now)
            note(row, now, by, "started" if before is None else "followed", f"{filed.obligation} was filed", before)
            row.save()


def _together(row: LegalClock) -> Q:
    """The clocks of its case, and of all cases of declared clocks if its own is one."""
    if row.case.facts is None:
        return Q(run_id=row.run_id, case__facts__isnull=True)
    return Q(case=row.case_id)


def note(row: LegalClock, now: datetime, by: str, what: str, reason: str, before: datetime | None) -> None:
    """Write down what was done to a clock. before: its deadline until then."""
    entry: dict[str, Any] = {"at": text_of(now), "by": by, "what": what, "reason": reason}
    if before != row.due_at:
        entry["due_before"] = None if before is None else text_of(before)
    # What came first and what came last explain a clock; what repeats in between does not.
    kept = row.history if len(row.history) < MOST else [row.history[0], *row.history[-(MOST - 2) :]]
    row.history = [*kept, entry]


@contextmanager
def _changing(run_id: UUID, clock: int, by: str, what: str, reason: str) -> Iterator[tuple[LegalClock, datetime]]:
    """The row, locked, and the database's clock; afterwards it is reckoned again and saved."""
    with transaction.atomic():
        case = LegalClock.objects.filter(run_id=run_id, pk=clock).values_list("case_id", flat=True).first()
        if case is None:
            raise UnknownClock(f"The run {run_id} has no legal clock {clock}.")
        cases = LegalCase.objects.filter(Q(pk=case) | Q(run_id=run_id, facts__isnull=True))
        locked = {one.pk: one for one in cases.select_for_update().order_by("pk")}
        row = LegalClock.objects.select_for_update().get(pk=clock)
        row.case = locked[case]
        now = database_clock()
        before = row.due_at
        yield row, now
        _refresh(row, now)
        note(row, now, by, what, reason, before)
        if len(row.stops) > MOST:
            raise ClockInState(f"The clock was stopped {MOST} times.")
        row.save()


def _refresh(row: LegalClock, now: datetime) -> None:
    try:
        refresh(row, now)
    except OutOfRange as error:
        raise _invalid("", str(error)) from error


def database_clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def _not_ahead(path: str, at: datetime, now: datetime) -> None:
    if at > now:
        raise _invalid(path, "it lies ahead")


def _invalid(path: str, message: str) -> ClockChangeInvalid:
    return ClockChangeInvalid(message, faults=[Fault(path, message)])
