"""Decides what happens next in a run: (graph, snapshot, what happened, now) → Plan. Pure.

The store calls it under the run's lock, and then writes many plans, of many runs, in sets. It knows no clock and no
randomness: `now` and each failure's `jitter` are handed in, so that a stored history decides the same plan again.

happenings  what can happen to a run and its steps
plan        the input of a decision, and its result
deciding    one decision: the run, the order of its steps, and what all kinds of steps have in common
attempts    the life of a step, or an item, that workers run
items       how the items of a step stand

The machine names no kind of step. The kind (`workflows.core.kind`) decides what a step does when it begins, when
something happens to it, and when the run ends without it.
"""

from workflows.core.machine.attempts import repeatable, rest
from workflows.core.machine.deciding import Deciding, decide
from workflows.core.machine.happenings import (
    NO_ITEM,
    Happening,
    ItemsEnded,
    RunCancelled,
    RunResumed,
    RunSignalled,
    RunStarted,
    RunTimedOut,
    Signal,
    StepAnswered,
    StepDue,
    StepFailed,
    StepHappening,
    StepLost,
    StepResolved,
    StepReturned,
    StepSignalled,
    StepSucceeded,
    StepTaken,
)
from workflows.core.machine.plan import (
    Event,
    Opened,
    Plan,
    RunChange,
    RunView,
    Snapshot,
    StepChange,
    StepKey,
    StepView,
)

__all__ = [
    "NO_ITEM",
    "Deciding",
    "Event",
    "Happening",
    "ItemsEnded",
    "Opened",
    "Plan",
    "RunCancelled",
    "RunChange",
    "RunResumed",
    "RunSignalled",
    "RunStarted",
    "RunTimedOut",
    "RunView",
    "Signal",
    "Snapshot",
    "StepAnswered",
    "StepChange",
    "StepDue",
    "StepFailed",
    "StepHappening",
    "StepKey",
    "StepLost",
    "StepResolved",
    "StepReturned",
    "StepSignalled",
    "StepSucceeded",
    "StepTaken",
    "StepView",
    "decide",
    "repeatable",
    "rest",
]
