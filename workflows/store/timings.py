"""How long runs and steps take: counted by the process where it happens, and read by its metrics.

Note [What is timed]
A run is counted by the process that recorded its end, once that is committed. Where the answer to a commit was lost in
an outage, it may be counted twice, or not at all: the counts are for trends, the rows are the truth. Its time is by the
clock of that process, from the moment at which the database accepted it.

A step's wait is that of a step that was taken from its lane. One that the same worker goes on with at once did not wait
in a lane, and is not counted there. A step's time is that of one attempt of its body.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

from django.db import transaction
from prometheus_client import CollectorRegistry

from erip.foundation.process import spans
from erip.foundation.process.timings import Timings

RUNS = Timings(
    "erip_run_seconds",
    "By `workflow` and `outcome`: time from the acceptance of a run to its end.",
    ["workflow", "outcome"],
    (0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0),
)
WAITS = Timings(
    "erip_step_wait_seconds",
    "By `lane`: how long steps that were taken from it had waited.",
    ["lane"],
    (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0),
)
STEPS = Timings(
    "erip_step_seconds",
    "By `uses` and `outcome` (`succeeded`, `failed`): time of one attempt of a step's body.",
    ["uses", "outcome"],
    (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0),
)
REGISTRY = CollectorRegistry()
for _each in (RUNS, WAITS, STEPS):
    REGISTRY.register(_each)

#: (run id, workflow, outcome, when the run was accepted)
Ended = tuple[str, str, str, datetime]


def runs_ended(ended: Iterable[Ended]) -> None:
    """Count these runs when the current transaction is committed; at once if there is none."""
    transaction.on_commit(partial(_count, list(ended)), robust=True)


def _count(ended: Iterable[Ended]) -> None:
    now = datetime.now(UTC)
    tracer = spans.tracer()
    for run_id, workflow, outcome, accepted in ended:
        RUNS.observe((workflow, outcome), (now - accepted).total_seconds())
        if tracer is not None:
            tracer.run(run_id, workflow, outcome, accepted, now)
