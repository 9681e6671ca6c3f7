"""What the machine decides on (a snapshot of a run), and what it decides (a plan of what is to be written)."""

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
    #: of a running step that has items: how these stand
    fan: FanView | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run and its steps; of the items of steps at least those that the happenings are about."""

    run: RunView
    steps: Mapping[StepKey, StepView]


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step's row as it is to be. `input` counts only where `new`; the rest is the row's whole state."""

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
    #: of the row of a step that has items: how many; counts only where `new`
    items: int | None = None


@dataclass(frozen=True, slots=True)
class RunChange:
    state: RunState
    output: Any = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What the rows cannot tell by themselves; the ordinary life of steps is read from their rows."""

    type: str
    step: str | None = None
    item: int = NO_ITEM
    attempt: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[StepChange, ...] = ()
    run: RunChange | None = None
    #: steps that became READY, in the order of the graph
    ready: tuple[StepKey, ...] = ()
    events: tuple[Event, ...] = ()
    #: happenings that no longer count (a former owner's result, a run that has ended)
    discarded: tuple[Happening, ...] = ()
    #: of steps whose items go on: how these stand once `releases` are done
    fans: Mapping[str, FanView] = field(default_factory=dict)
    #: (step, how many): pending items to be made READY, the first ones of those that `steps` does not name
    releases: tuple[tuple[str, int], ...] = ()
    #: steps whose items have all ended: the results are to be read and handed in as ItemsEnded
    joins: tuple[str, ...] = ()
    #: steps that ended with the run before their items did: what of these has not begun, or can be repeated, is to be
    #: cancelled
    cancels: tuple[str, ...] = ()
    #: (step, signal) of steps that wait for a signal from now on: the first one that was kept for each is to be handed
    #: in as StepSignalled
    asks: tuple[tuple[str, str], ...] = ()
    #: whether it holds only under the run's lock and with the database's clock: what was decided elsewhere is decided
    #: again there
    locked: bool = False
