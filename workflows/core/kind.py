"""What a kind of step is. Everything special about one kind is in one class: see `workflows.core.kinds`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from erip.foundation.faults import Fault
from workflows.core.sensitive import NOTHING, Parts

if TYPE_CHECKING:
    from workflows.core.graph import StepInfo, StepNode, Work
    from workflows.core.machine import Deciding, StepHappening, StepView
    from workflows.core.reading import StepReading
    from workflows.core.templates import Template


class Kind(ABC):
    """One kind of step. A subclass is a frozen dataclass: an instance is the configuration of one step of a definition.

    The machine calls these methods and knows nothing else about the kind. A kind decides by calling `deciding.set`, and
    must be as pure as the machine: `deciding.now` is its only clock.
    """

    #: as users read it: one word
    name: ClassVar[str]
    #: the key that makes a step one of this kind
    marker: ClassVar[str]
    #: its part of the format: a JSON Schema for each key that goes with `marker`, besides those that every step has
    keys: ClassVar[Mapping[str, Any]]
    #: which of `keys` such a step must have
    required: ClassVar[tuple[str, ...]]
    #: the format level that came with this kind (Note [Format levels] in `kinds`)
    level: ClassVar[int] = 1
    #: whether a worker that ran the step before may go on with this one at once (Note [Strides] in `executor`): it
    #: begins READY, and its work is done once
    strides: ClassVar[bool] = False
    #: whether losing a checkpoint of such a step could cost more than a repetition; if it has work, its work decides
    durable: ClassVar[bool] = True

    #: what workers run for the step, or for each of its items; None if they run nothing
    work: "Work | None" = None
    #: the approval step without which it does not run (`kinds/guard`); None: it needs none
    guarded_by: str | None = None
    #: whether its work's template is its input, and nothing else has a say in it (Note [Chains] in `core/chain`)
    plain: bool = False
    #: the names of the signals that it waits for, each once
    signals: tuple[str, ...] = ()
    #: whether the end of a pause of its run does not move the moment at which it goes on: it is one of the calendar, or
    #: `resumed` decides
    fixed: bool = False
    #: whether it is told when a pause of its run has ended: see `resumed`
    told_of_pauses: bool = False
    #: whether what happens to other steps may end it, while it is WAITING: see `look_again`
    watches: bool = False
    #: whether it is people whom it waits for, while it is WAITING
    asks_people: bool = False
    #: how many of its items may be READY or RUNNING at once; counts only for a step that has items
    places: int = 0
    #: what renders to the list over which its `with` reads `item`, or None
    items: "Template | None" = None

    @classmethod
    @abstractmethod
    def check(cls, reading: "StepReading") -> Self | None:
        """The configuration that a step of a definition describes; None after `reading.fault` reported what is
        wrong."""

    @abstractmethod
    def begin(self, deciding: "Deciding", node: "StepNode") -> None:
        """The steps that it needs have ended well, and its `if` holds. Gives the step a row, by `deciding.set` or
        `deciding.begin_items`. Raises ExpressionError, which fails the step."""

    @abstractmethod
    def happened(self, deciding: "Deciding", node: "StepNode", happening: "StepHappening") -> None:
        """Something happened to the step or to one of its items. A happening that does not count is appended to
        `deciding.discarded`."""

    @abstractmethod
    def stop(self, deciding: "Deciding", node: "StepNode", view: "StepView") -> None:
        """The run has ended (it was cancelled, failed, or missed its deadline) before this step, which has a row."""

    @property
    def reads(self) -> int:
        """The format level that a process must know to read this step: its kind's, or that of what it uses of it."""
        work = self.work
        if work is None:
            return self.level
        return max(
            self.level,
            3 if work.heartbeat is not None else 1,
            7 if self.guarded_by else 1,
            8 if work.secrets else 1,
        )

    def wants(self, view: "StepView", signal: str) -> bool:
        """Whether this step, which is WAITING, still waits for this signal, which is one of `signals`."""
        return True

    def resumed(self, deciding: "Deciding", node: "StepNode", view: "StepView", moved: float) -> None:
        """A pause of the run has ended, in which times stood still for `moved` seconds. The step is WAITING."""
        return

    def look_again(self, deciding: "Deciding", node: "StepNode", view: "StepView") -> bool:
        """Something has happened to the run. The step is WAITING. Returns whether it has ended by that."""
        return False

    def signal_faults(self, signal: str, payload: Any) -> list[Fault]:
        """What is wrong with `payload` for one of `signals`; paths like `payload.by`."""
        return []

    def sealed_payload(self, signal: str) -> Parts:
        """Which parts of the payload of one of `signals` are sealed (Note [Sensitive data] in `sensitive`)."""
        return NOTHING

    def sealed_output(self) -> Parts:
        """Which parts of the output are, of a step that runs no body."""
        return NOTHING

    def output(self, registered: "Mapping[str, StepInfo]") -> Any:
        """What is known of the step's output when a definition is published: a JSON Schema; {}: nothing."""
        return {}

    @abstractmethod
    def explain(self, view: "StepView", due_at: datetime | None) -> str:
        """What the step waits for, in one sentence without a full stop. The step has a row and has not ended.

        due_at: when it goes on by itself, UTC.
        """
