"""What can be done with workflows: one function for each operation, called by API, admin, commands and workers alike.

Each function owns its transaction. Hints to the workers are published after its commit.

Note [Operations through a failover]
Each transaction is run again when PostgreSQL fails over (Note [Retry] in `erip.foundation.db.retry`). When a
connection is lost during a commit, nobody knows whether it happened. This is how the next attempt finds out:
- a start: by the run's id, which is made before the first attempt. A run with this id is this start's run, with or
  without an Idempotency-Key. If the lost attempt is committed only later, the primary key refuses the second one.
- a publication: by the content, which is a no-op the second time.
- a cancellation or resolution: by the event that it recorded, which names the person who asked for it.
- a pause or resumption: by the event that it recorded, which has the request's id.
- a retry: by the new run's id, like a start; and the row that makes it the run's only retry is in the same commit.
- a signal: by the event that it recorded, which has the signal's id. It is looked up under the run's lock.

approvals    give an approval step its answer
definitions  check and publish
starting     start one run or many
control      cancel, resolve a step
pausing      pause and resume runs
holds        pause and resume a workflow or a lane
retrying     run again
signals      send a signal to a run
duties       what workers and the leader found
finding      a run by its id
"""

from workflows.engine.approvals import answer_step
from workflows.engine.control import cancel_run, resolve_step
from workflows.engine.definitions import Published, publish, validate, warnings_of
from workflows.engine.duties import Released, release_due, report
from workflows.engine.holds import pause_all, resume_all
from workflows.engine.pausing import Outcome, pause_run, pause_runs, resume_run, resume_runs
from workflows.engine.retrying import retry_run
from workflows.engine.signals import Given, Signalled, give_signals, payloads_of, runs_for, signal_by_key, signal_run
from workflows.engine.starting import StartedRun, StartRequest, accepted_run, new_run, start_runs

__all__ = [
    "Given",
    "Outcome",
    "Published",
    "Released",
    "Signalled",
    "StartRequest",
    "StartedRun",
    "accepted_run",
    "answer_step",
    "cancel_run",
    "give_signals",
    "new_run",
    "pause_all",
    "pause_run",
    "pause_runs",
    "payloads_of",
    "publish",
    "release_due",
    "report",
    "resolve_step",
    "resume_all",
    "resume_run",
    "resume_runs",
    "retry_run",
    "runs_for",
    "signal_by_key",
    "signal_run",
    "start_runs",
    "validate",
    "warnings_of",
]
