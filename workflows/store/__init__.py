"""All SQL that changes runs, steps and workers: every lock and every change of state is here.

Note [Lock order]
A transaction that touches a run first locks the run's row, several runs in the order of their ids, and only then its
steps. The row lock makes decisions about one run take turns (a join fires once), and the order rules out deadlocks.
`FOR NO KEY UPDATE`, because a plain `FOR UPDATE` would also block the foreign-key checks of new steps.

Note [What a worker knows]
A worker that goes on with a run knows its steps: it claimed them and applied their outcomes. Every change of the run or
its steps raises `seq` in the run's row, so what a worker knows is right exactly as long as `seq` is unchanged. `apply`
then decides without reading anything, and writes under the condition that `seq` is unchanged: one round trip, and no
lock held while deciding. A run for which the condition fails is taken again the slow way: lock, load, decide, write.

The functions here run in the caller's transaction; each says whether it needs one. In autocommit, a statement that
needs none is its own transaction; several in one string are one round trip and one transaction.

One idea per module: `values` (in and out), `keys`, `starts`, `claims`, `checkpoints` (on `rows` and `fan_outs`),
`signals`, `pauses`, `workers`, `lacking`, `searches`, `filters` and `batches` (what is done to many runs at once).
"""

from workflows.store.approvals import claim_task, climb, note
from workflows.store.archive import archive_runs, count_archivable, drop_archive
from workflows.store.batches import (
    KEEP_DAYS,
    Batch,
    EndedRun,
    Outcome,
    Selection,
    add_retries,
    clock,
    count_selected,
    end_batch,
    forget_batches,
    insert_batch,
    lock_portion,
    open_batches,
    put_batch_off,
    retries_of,
    runs_to_retry,
    write_outcomes,
)
from workflows.store.beats import Word, cursor_of, record_words
from workflows.store.checkpoints import apply
from workflows.store.claims import claim, lane_loads, rehint_stale_ready, stale_ready_runs
from workflows.store.fan_outs import PORTION
from workflows.store.filters import RunFilter, ids_by_part_of_key
from workflows.store.holds import (
    Held,
    add_hold,
    end_hold,
    hand_over_to,
    holds_in_force,
    holds_of,
    lift_hold,
    lifted_holds,
    list_holds,
    parked_by,
    runs_to_park,
)
from workflows.store.keys import StartKey, answer_of_key, forget_idempotency_keys, keep_answer, run_of_key, take_key
from workflows.store.leaders import LEADER_LOCK, Living, anybody_silent, leader_ends, leader_lives, living, living_below
from workflows.store.pauses import lock_runs, pause, requested, resume, standing_clocks
from workflows.store.searches import lock_due, overdue_runs, put_off
from workflows.store.signals import announce_end, done_with, keep_signal, lock_run, signals_kept, under_way
from workflows.store.starts import insert_runs, start_run, still_ready
from workflows.store.values import (
    RUN_ENDED_CHANNEL,
    WORKER_CHANNEL,
    Applied,
    Claim,
    Decided,
    Known,
    NewRun,
    Report,
    from_json,
    to_array,
    to_json,
)
from workflows.store.workers import (
    bury_silent_workers,
    heartbeat,
    next_worker_id,
    orphaned_steps,
    register_worker,
    retire_worker,
    say_what_is_lacked,
    steps_of_worker,
    stop_worker,
)

__all__ = [
    "KEEP_DAYS",
    "LEADER_LOCK",
    "PORTION",
    "RUN_ENDED_CHANNEL",
    "WORKER_CHANNEL",
    "Applied",
    "Batch",
    "Claim",
    "Decided",
    "EndedRun",
    "Held",
    "Known",
    "Living",
    "NewRun",
    "Outcome",
    "Report",
    "RunFilter",
    "Selection",
    "StartKey",
    "Word",
    "add_hold",
    "add_retries",
    "announce_end",
    "answer_of_key",
    "anybody_silent",
    "apply",
    "archive_runs",
    "bury_silent_workers",
    "claim",
    "claim_task",
    "climb",
    "clock",
    "count_archivable",
    "count_selected",
    "cursor_of",
    "done_with",
    "drop_archive",
    "end_batch",
    "end_hold",
    "forget_batches",
    "forget_idempotency_keys",
    "from_json",
    "hand_over_to",
    "heartbeat",
    "holds_in_force",
    "holds_of",
    "ids_by_part_of_key",
    "insert_batch",
    "insert_runs",
    "keep_answer",
    "keep_signal",
    "lane_loads",
    "leader_ends",
    "leader_lives",
    "lift_hold",
    "lifted_holds",
    "list_holds",
    "living",
    "living_below",
    "lock_due",
    "lock_portion",
    "lock_run",
    "lock_runs",
    "next_worker_id",
    "note",
    "open_batches",
    "orphaned_steps",
    "overdue_runs",
    "parked_by",
    "pause",
    "put_batch_off",
    "put_off",
    "record_words",
    "register_worker",
    "rehint_stale_ready",
    "requested",
    "resume",
    "retire_worker",
    "retries_of",
    "run_of_key",
    "runs_to_park",
    "runs_to_retry",
    "say_what_is_lacked",
    "signals_kept",
    "stale_ready_runs",
    "standing_clocks",
    "start_run",
    "steps_of_worker",
    "still_ready",
    "stop_worker",
    "take_key",
    "to_array",
    "to_json",
    "under_way",
    "write_outcomes",
]
