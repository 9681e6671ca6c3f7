"""Pausing a whole workflow or lane, and resuming it.

Note [Holds]
A paused workflow or lane is a row, a *hold*. While it is in force, the runs of the workflow (or the runs that were
started in the lane) are parked exactly as Note [Pause] in `pausing` says, and what is parked counts in no backlog:
- runs under way are paused by the leader, 1,000 in a transaction, in the order of their ids;
- new runs are accepted and born parked. A single start learns of a hold from the statement that inserts its run, which
  then inserts nothing (Note [Known versions] in `versions`); other processes know of it within a second;
- what was started in between, or by a release that knows no holds, is found by the leader, which looks again twice a
  second. So without holds nothing costs a statement more than before.
A run remembers which hold parked it. When a hold is lifted, the leader lets the runs that it parked go on, unless
another hold is in force for them, which then takes them over. A run that a person had paused before stays paused, and
no run can be resumed on its own while its workflow or lane is paused.
"""

import time
from functools import partial
from uuid import uuid4

import structlog
from django.db import transaction

from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from erip.foundation.hooks import periodic_duty
from workflows import store
from workflows.conf import conf
from workflows.core.states import Lane
from workflows.engine.pausing import CLOCKS, LEVEL, pause_now, resume_now
from workflows.errors import AlreadyHeld, InvalidInput, NotHeld, NotYetPossible, UnknownLane, UnknownWorkflow
from workflows.models import WorkflowDefinition
from workflows.starts import holds
from workflows.store import Held

log = structlog.get_logger(__name__)

#: seconds between two looks, and seconds of one
EVERY, SECONDS = 0.5, 0.75
#: runs of one transaction
PORTION = 1_000


def pause_all(kind: str, name: str, *, principal: str, reason: str = "", clock: str = "stop") -> None:
    """Pause a workflow or a lane (kind), as such (Note [Holds]).

    Raises UnknownWorkflow, UnknownLane, InvalidInput, NotYetPossible, AlreadyHeld.
    """
    _check(kind, name)
    if clock not in CLOCKS:
        raise InvalidInput(faults=[Fault("clock", f'must be {" or ".join(CLOCKS)}, not "{str(clock)[:100]}"')])
    if behind := retry.run(lambda _: store.living_below(LEVEL, lease=conf().lease)):
        raise NotYetPossible(behind)

    def pause(attempt: Attempt) -> None:
        # A lost attempt of the same request may have done it.
        if not store.add_hold(kind, name, clock=clock, by=principal, reason=reason) and not attempt.unknown:
            raise AlreadyHeld(kind, name)

    retry.run(pause)
    holds.forget()


def resume_all(kind: str, name: str, *, principal: str) -> None:
    """Resume a workflow or a lane. Raises UnknownWorkflow, UnknownLane, NotHeld."""
    _check(kind, name)

    def resume(attempt: Attempt) -> None:
        if not store.lift_hold(kind, name, by=principal) and not attempt.unknown:
            raise NotHeld(kind, name)

    retry.run(resume)
    holds.forget()


def _check(kind: str, name: str) -> None:
    if kind == "lane":
        if name not in set(Lane):
            lanes = ", ".join(Lane)
            raise UnknownLane(faults=[Fault("lane", f'there is no lane "{name[:100]}"; choose one of {lanes}')])
    elif not WorkflowDefinition.objects.filter(name=name).exists():
        raise UnknownWorkflow(f'There is no workflow "{name[:100]}".')


@periodic_duty(EVERY)
def work_off_holds() -> bool:
    """Park runs of what is paused, and let go on those of what is not any more. Returns whether there may be more."""
    until = time.monotonic() + SECONDS
    more = False
    for hold in store.holds_in_force():
        more |= _park(hold, until)
    for hold, by in store.lifted_holds():
        more |= _let_go(hold, by, until)
    return more


def _park(hold: Held, until: float) -> bool:
    while time.monotonic() < until:
        if retry.run(lambda _: _park_some(hold)):
            return False
    return True


def _park_some(hold: Held) -> bool:
    """Returns whether all runs were looked at."""
    with transaction.atomic():
        found, ended = store.runs_to_park(hold, limit=PORTION)
        if found:
            pause_now(
                found, principal=hold.by, reason=hold.reason, clock=hold.clock, request=str(uuid4()), hold=hold.id
            )
            log.info("runs_parked", kind=hold.kind, name=hold.name, runs=len(found))
        return ended


def _let_go(hold: Held, by: str, until: float) -> bool:
    after: str | None = None
    while time.monotonic() < until:
        found = retry.run(partial(_let_go_some, hold, by, after))
        if not found:
            if after is None:
                store.end_hold(hold.id)
            return False
        after = found[-1]
    return True


def _let_go_some(hold: Held, by: str, after: str | None, attempt: Attempt) -> list[str]:
    """Returns the runs that were looked at."""
    with transaction.atomic():
        found = store.parked_by(hold.id, after=after, limit=PORTION)
        if not found:
            return []
        others = store.holds_of(found)
        if others:
            store.hand_over_to({run_id: other.id for run_id, other in others.items()})
        free = [run_id for run_id in found if run_id not in others]
        outcomes = resume_now(free, principal=by, request=str(uuid4())) if free else []
        # A run that has ended meanwhile keeps its pause; one that this release cannot read is tried again.
        over = {
            one.run_id: None for one in outcomes if one.error is not None and not isinstance(one.error, NotYetPossible)
        }
        if over:
            store.hand_over_to(over)
        return found
