"""What the machine reads (a snapshot of a run), and what it decides (a plan of what to write)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workflows.core.machine.happenings import NO_ITEM, Happening
from workflows.core.machine.items import FanView
from workflows.core.states import RunState, StepState

#: (step id, item)
StepKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the machine sees it."""

    id: str
    workflow: str
    business_key: str | None
    lane: str
    state: RunState
    input: Any
    created_at: datetime

    def in_state(self, state: RunState) -> "RunView":
        """The run in another state. Three times as fast as `dataclasses.replace`; this is made for every run."""
        return RunView(self.id, self.workflow, self.business_key, self.lane, state, self.input, self.created_at)


@dataclass(frozen=True, slots=True)
class StepView:
    """A step that has a row. A step without one is PENDING."""

    state: StepState
    #: claims so far; the fencing token of the running one
    attempt: int = 0
    #: attempts that ended in a failure
    failures: int = 0
    #: attempts whose worker was lost
    lost: int = 0
    output: Any = None
    #: for a running step that has items: the state of these items
    fan: FanView | None = None

    # `dataclasses.replace` takes three times as long, and these two are made for every step.

    def taken(self) -> "StepView":
        """The step, RUNNING, in its next attempt."""
        return StepView(StepState.RUNNING, self.attempt + 1, self.failures, self.lost, self.output, self.fan)

    def succeeded(self, output: Any) -> "StepView":
        """The step, SUCCEEDED, with its output."""
        return StepView(StepState.SUCCEEDED, self.attempt, self.failures, self.lost, output, self.fan)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run and its steps; from the items, at least those that the happenings are about."""

    run: RunView
    steps: Mapping[StepKey, StepView]


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step's row after the plan is written. `input` counts only if `new`; the rest is the row's whole state."""

    step: str
    item: int
    new: bool
    state: StepState
    attempt: int
    failures: int
    lost: int
    input: Any = None
    output: Any = None
    error: Mapping[str, Any] | None = None
    due_at: datetime | None = None
    #: for the row of a step that has items: how many; counts only if `new`
    items: int | None = None


@dataclass(frozen=True, slots=True)
class RunChange:
    state: RunState
    output: Any = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What the rows do not show by themselves; the ordinary life of steps is read from their rows."""

    type: str
    step: str | None = None
    item: int = NO_ITEM
    attempt: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """An approval task that begins with this plan; the rest of it is the row of its step."""

    step: str
    title: str
    #: SHA-256 (hex) of what is to be approved: the step's input
    content: str
    #: how many people must approve
    seats: int
    #: the groups whose members may vote
    roles: tuple[str, ...]
    #: seconds until somebody is told of it; None: never
    first: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[StepChange, ...] = ()
    run: RunChange | None = None
    #: steps that became READY, in the order of the graph
    ready: tuple[StepKey, ...] = ()
    events: tuple[Event, ...] = ()
    #: happenings that no longer count (a former owner's result, a run that has ended)
    discarded: tuple[Happening, ...] = ()
    #: for steps whose items go on: the state of the items once `releases` are done
    fans: Mapping[str, FanView] = field(default_factory=dict)
    #: (step, how many): pending items to be made READY, the first ones of those that `steps` does not name
    releases: tuple[tuple[str, int], ...] = ()
    #: steps whose items have all ended: the store reads the results and hands them in as ItemsEnded
    joins: tuple[str, ...] = ()
    #: steps that ended with the run before their items did: the items that have not begun, or can be repeated, are to
    #: be cancelled
    cancels: tuple[str, ...] = ()
    #: (step, signal) of steps that wait for a signal from now on: the store hands in the first signal kept for each as
    #: StepSignalled
    asks: tuple[tuple[str, str], ...] = ()
    #: approval tasks that begin, and (step, outcome) of those that end
    opened: tuple[Opened, ...] = ()
    closed: tuple[tuple[str, str], ...] = ()
    #: whether it holds only under the run's lock and with the database's clock: a decision made elsewhere is made again
    #: there
    locked: bool = False
