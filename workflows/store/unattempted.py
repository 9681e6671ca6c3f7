"""Failures that no attempt of a step explains: announced by the process that recorded them, once that is committed.

A failed attempt is an event of its run, and is found there. These are not: an expression that cannot be evaluated, a
wait that nobody ended, a deadline that was missed, an output that cannot be made.
"""

from collections.abc import Iterable
from functools import partial

from django.db import transaction

from erip.foundation.hooks import RunFailure, announce_run_failures, run_failed
from workflows.core.machine import Plan
from workflows.core.states import RunState, StepState

#: codes that say no more than that something else failed, which has an error of its own
_FOLLOWS = frozenset({"step_failed", "items_failed"})


def of_plan(run_id: str, workflow: str, version_id: int, plan: Plan) -> list[RunFailure]:
    """What failed by this plan without an attempt. Items of one step that failed so are one, with their number."""
    found: dict[str, RunFailure] = {}
    for change in plan.steps:
        error = change.error
        if error is None or change.attempt or change.state is not StepState.FAILED or error.get("code") in _FOLLOWS:
            continue
        before = found.get(change.step)
        if before is not None:
            before.count += 1
        else:
            found[change.step] = _failure(run_id, workflow, version_id, change.step, error)
    run = plan.run
    failed = run is not None and run.state in (RunState.FAILED, RunState.TIMED_OUT)
    if run is not None and failed and run.error is not None and run.error.get("code") not in _FOLLOWS:
        found[""] = _failure(run_id, workflow, version_id, "", run.error)
    return list(found.values())


def _failure(run_id: str, workflow: str, version_id: int, step: str, error: object) -> RunFailure:
    known = error if isinstance(error, dict) else {}
    return RunFailure(
        run_id, workflow, version_id, step, str(known.get("code") or ""), str(known.get("message") or "")[:2_000]
    )


def announce(failures: Iterable[RunFailure]) -> None:
    """Announce these when the current transaction is committed; at once if there is none."""
    if run_failed.all():
        transaction.on_commit(partial(announce_run_failures, list(failures)), robust=True)
