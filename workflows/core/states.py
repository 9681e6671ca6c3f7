"""The state machines of runs and steps: the first place to look. The diagram is in `workflows/README.md`."""

from enum import StrEnum


class RunState(StrEnum):
    PENDING = "PENDING"  # accepted and durable; no step has started   → RUNNING, CANCELLED, TIMED_OUT, FAILED
    RUNNING = "RUNNING"  # a step has started                          → WAITING, SUCCEEDED, FAILED, …
    WAITING = "WAITING"  # nothing can go on before a time, a probe or a person → RUNNING, CANCELLED, TIMED_OUT
    PAUSED = "PAUSED"  # held by a person; running steps still end      → PENDING, RUNNING, WAITING, or any end
    COMPENSATING = "COMPENSATING"  # undoing what was done             → FAILED, CANCELLED
    SUCCEEDED = "SUCCEEDED"  # every essential step ended well         (end)
    FAILED = "FAILED"  # an essential step failed for good             (end)
    CANCELLED = "CANCELLED"  # stopped by a person                     (end)
    TIMED_OUT = "TIMED_OUT"  # not finished by its deadline            (end)

    #: whether it is an end; set below, because a property would be asked many times in each decision
    ended: bool


class StepState(StrEnum):
    PENDING = "PENDING"  # waits for its needs; has no row             → READY, SKIPPED, FAILED (expression), CANCELLED
    #                      of a fan-out's item: waits for a place, has a row → READY, RUNNING, CANCELLED
    #                      a fan-out itself goes from here to RUNNING, and from there to SUCCEEDED, FAILED, CANCELLED
    READY = "READY"  # may be claimed by a worker                      → RUNNING, CANCELLED
    RUNNING = "RUNNING"  # claimed; `attempt` is the claim's fencing token → any but PENDING
    WAITING = "WAITING"  # rests until `due_at` before its next attempt → READY, CANCELLED (an item: PENDING)
    #                      of a step with `wait`: for its moment or its signal → SUCCEEDED, FAILED, CANCELLED
    PAUSED = "PAUSED"  # its run is paused: READY or WAITING, parked     → READY, WAITING, CANCELLED
    UNKNOWN = "UNKNOWN"  # not idempotent, and its outcome was lost    → READY, SUCCEEDED, FAILED (an item: PENDING)
    SUCCEEDED = "SUCCEEDED"  # its output is recorded                  (end)
    FAILED = "FAILED"  # its last attempt failed, or may not be repeated (end)
    SKIPPED = "SKIPPED"  # its `if` was false, or what it needs was skipped (end)
    CANCELLED = "CANCELLED"  # the run ended without it                (end)

    #: whether it is an end; set below, because a property would be asked many times in each decision
    ended: bool


class Lane(StrEnum):
    """Urgency, most urgent first. One Celery queue each."""

    CRITICAL = "critical"
    HIGH = "high"
    STANDARD = "standard"
    BULK = "bulk"


RUN_ENDS = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT})
STEP_ENDS = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED})

for run_state in RunState:
    run_state.ended = run_state in RUN_ENDS
for step_state in StepState:
    step_state.ended = step_state in STEP_ENDS
