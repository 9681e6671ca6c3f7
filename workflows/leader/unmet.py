"""Which steps no living worker has (Note [Lacking] in `store.lacking`): looked up now and then, and said in the log."""

import time
from collections.abc import Mapping, Sequence

import structlog

from workflows.core.definition import DefinitionInvalid
from workflows.graphs import graph_of
from workflows.models import WorkflowVersion
from workflows.store import lacking

log = structlog.get_logger(__name__)

#: seconds between two looks
EVERY = 1.0
#: seconds after which what lasts is said again
SAY_AGAIN_AFTER = 60.0


class Unmet:
    """Looks at most every EVERY seconds."""

    def __init__(self) -> None:
        self._found: Mapping[str, Sequence[str]] = {}
        self._look_at = 0.0
        self._say_at = 0.0

    def look(self) -> Mapping[str, Sequence[str]]:
        """By lane: the steps that none of its living workers has."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + EVERY
            found = lacking.nobody_has()
            if found and (found != self._found or now >= self._say_at):
                self._say_at = now + SAY_AGAIN_AFTER
                for lane, pairs in found.items():
                    log.warning(
                        "no_worker_has_steps", lane=lane, steps=sorted({_name(*one) for one in lacking.split(pairs)})
                    )
            elif self._found and not found:
                log.info("workers_have_all_steps")
            self._found = found
        return self._found


def _name(version_id: int, step: str) -> str:
    """The registered name of the step; where the version cannot be read, the step's own."""
    try:
        work = graph_of(version_id).steps[step].work
    except (KeyError, WorkflowVersion.DoesNotExist, DefinitionInvalid):
        return step
    return work.uses if work else step
