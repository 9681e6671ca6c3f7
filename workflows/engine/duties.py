"""What workers and the leader found: lost workers, missed deadlines, and steps that are due."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction

from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.db.retry import retry_transaction
from workflows import store
from workflows.core.machine import StepDue
from workflows.graphs import graph_of
from workflows.starts import dispatch
from workflows.store import Report

log = structlog.get_logger(__name__)

#: seconds until the next look at a due step of a run that cannot be decided on, such as one whose definition this
#: release cannot read
UNREADABLE_AGAIN_AFTER = 60.0


@retry_transaction
def report(reports: Sequence[Report]) -> store.Applied:
    """Apply happenings that a search found (lost workers, missed deadlines)."""
    with transaction.atomic():
        applied = store.apply(reports, graph_of=graph_of, pass_over_unreadable=True)
        dispatch.hint_after_commit(applied.hints)
    _log_unreadable(applied)
    return applied


@dataclass(frozen=True, slots=True)
class Released:
    #: how many steps were found to be due
    steps: int = 0
    #: (lane, run id) that some worker should look at
    hints: tuple[tuple[str, str], ...] = ()


def release_due(lanes: Sequence[str], *, limit: int) -> Released:
    """Let due steps of up to `limit` runs go on, lane by lane in the order given. Any number of processes may call this
    at the same time; each takes different runs. The caller publishes the hints, or takes the runs itself."""
    try:
        return _release_due(lanes, limit=limit, at_once=True)
    except Exception as error:
        if isinstance(error, ERRORS) and is_passing(error):
            raise
        # One run that cannot be decided on must not hold up all times of the platform.
        log.warning("due_steps_released_one_by_one", error=error)
        return _release_due(lanes, limit=limit, at_once=False)


@retry_transaction
def _release_due(lanes: Sequence[str], *, limit: int, at_once: bool) -> Released:
    with transaction.atomic():
        due = store.lock_due(lanes, limit=limit)
        if not due:
            return Released()
        if at_once:
            return Released(len(due), _go_on(due))
        by_run: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for found in due:
            by_run[found[0]].append(found)
        hints: list[tuple[str, str]] = []
        for run_id, own in by_run.items():
            try:
                with transaction.atomic():
                    hints += _go_on(own)
            except Exception as error:
                if isinstance(error, ERRORS) and is_passing(error):
                    raise
                log.exception("run_not_decided", run_id=run_id)
                store.put_off(own, seconds=UNREADABLE_AGAIN_AFTER)
        return Released(len(due), tuple(hints))


def _go_on(due: Sequence[tuple[str, str, int]]) -> tuple[tuple[str, str], ...]:
    """Needs the transaction that locked these runs. Returns hints."""
    reports = [Report(run_id, StepDue(step, item)) for run_id, step, item in due]
    applied = store.apply(reports, graph_of=graph_of, pass_over_unreadable=True)
    if applied.unreadable:
        # Otherwise each look would find them first, and in the end it would find nothing else.
        unreadable = {report.run_id for report in applied.unreadable}
        store.put_off([found for found in due if found[0] in unreadable], seconds=UNREADABLE_AGAIN_AFTER)
        _log_unreadable(applied)
    return applied.hints


def _log_unreadable(applied: store.Applied) -> None:
    """A newer release published this version: a process of that release goes on with its runs."""
    if applied.unreadable:
        runs = sorted({report.run_id for report in applied.unreadable})
        log.error("definitions_not_readable", runs=len(runs), first=runs[:3])
