"""Lost steps: those of workers that are gone run again."""

import time
from collections.abc import Sequence

import structlog

from erip.foundation.db.failures import ERRORS, is_passing
from workflows import engine, registry, store
from workflows.core.definition import DefinitionInvalid
from workflows.core.machine import StepLost
from workflows.graphs import graph_of
from workflows.store import Report, lacking

log = structlog.get_logger(__name__)

#: rows of one round
LIMIT = 1_000
#: seconds between two lines about steps that are left to another process
SAY_LEFT_EVERY = 60.0


class LostSteps:
    def __init__(self) -> None:
        self._say_left_at = 0.0

    def see_to(self, max_lost: int) -> None:
        """max_lost: attempts of one step that may be lost before it fails."""
        # What may be repeated only a process knows that has the step: a leader of a later release sees to the others.
        lost = [
            Report(run_id, StepLost(step, attempt, max_lost, item))
            for version_id, run_id, step, item, attempt in store.orphaned_steps(limit=LIMIT, leave=list(_absent()))
            if _knows(version_id, step)
        ]
        if lost:
            log.warning("steps_recovered", steps=len(lost) - report(lost))
        self._say_what_is_left()

    def _say_what_is_left(self) -> None:
        """Lost steps that this process does not have stay RUNNING until a leader has them: nobody else says so."""
        absent = _absent()
        if not absent or time.monotonic() < self._say_left_at:
            return
        self._say_left_at = time.monotonic() + SAY_LEFT_EVERY
        orphans = (lacking.pair(version, step) for version, _, step, _, _ in store.orphaned_steps(limit=LIMIT))
        if left := sorted({absent[one] for one in orphans if one in absent}):
            log.warning("lost_steps_left", steps=left)


def _absent() -> dict[str, str]:
    """The steps that this process does not have at all, each a `lacking.pair`, with its registered name. One of which
    it lacks an input only is not among them: whether it may be repeated is known (Note [Lacking] in `store.lacking`).
    """
    if not lacking.pairs():
        return {}
    here = registry.all()
    return {pair: name for pair, name in lacking.named().items() if name not in here}


def _knows(version_id: int, step: str) -> bool:
    """Whether this process knows if the step may be repeated."""
    try:
        graph_of(version_id)
    except DefinitionInvalid:
        # Whoever decides says what is wrong with it.
        return True
    return lacking.pair(version_id, step) not in _absent()


def report(reports: Sequence[Report]) -> int:
    """Returns how many no longer counted. A run that cannot be decided on is logged, and does not hold up the
    others."""
    try:
        return len(engine.report(reports).discarded)
    except Exception as error:
        if isinstance(error, ERRORS) and is_passing(error):
            raise
        if len(reports) == 1:
            log.exception("run_not_decided", run_id=reports[0].run_id)
            return 1
    return sum(report([one]) for one in reports)
