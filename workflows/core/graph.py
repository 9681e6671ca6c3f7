"""A workflow as the engine runs it: the validated, compiled, immutable form of a definition."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from erip.foundation.faults import Fault
from workflows.core.chain import Chain, chain_of
from workflows.core.expressions import Expression
from workflows.core.kind import Kind
from workflows.core.rules import Rule
from workflows.core.schema import Schema
from workflows.core.secrets import Filling
from workflows.core.sensitive import NOTHING, Opening, Parts
from workflows.core.templates import Template


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is tried and how long it rests between attempts.

    The rest before attempt n+1 is `backoff * factor ** (n - 1)` seconds, at most `max_delay` seconds.
    """

    max_attempts: int = 3
    backoff: float = 1.0
    factor: float = 2.0
    max_delay: float = 60.0


class StepInfo(Protocol):
    """What a definition must know of a registered step; `registry.StepSpec` satisfies it."""

    @property
    def name(self) -> str: ...
    @property
    def input_schema(self) -> dict[str, Any]: ...
    @property
    def output_schema(self) -> dict[str, Any]: ...
    @property
    def idempotent(self) -> bool: ...
    @property
    def transactional(self) -> bool: ...
    @property
    def timeout(self) -> float: ...
    @property
    def retry(self) -> Retry | None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker runs for a step or for each of its items; its settings include those of the registered step."""

    #: name of the registered step
    uses: str
    #: the template of its input; None means {}
    with_: Template | None
    #: seconds that one attempt may take
    timeout: float
    retry: Retry
    idempotent: bool
    transactional: bool
    #: seconds within which an attempt must be heard of again; None: it need not (Note [Heartbeats] in `worker/beats`)
    heartbeat: float | None = None
    #: the texts of its input that get secrets right before the body is called
    secrets: tuple[Filling, ...] = ()
    #: the places of its input that may hold something sealed, which is opened for the body
    opens: tuple[Opening, ...] = ()

    @property
    def repeatable(self) -> bool:
        """Whether an attempt with an unknown outcome may be run again. A transactional step may, whatever it does: if
        its outcome is not recorded, its writes were rolled back."""
        return self.idempotent or self.transactional


@dataclass(frozen=True)
class StepNode:
    """One step of a workflow: what all steps have, and its kind's configuration."""

    id: str
    #: ids of the steps that must end before this one starts, in the order written
    needs: tuple[str, ...]
    #: the `if`: whether to run or skip; None always runs
    condition: Expression | None
    #: False: runs after the run's outcome is known and cannot change it
    essential: bool
    #: its kind, with the kind's configuration
    how: Kind

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.how.name

    @property
    def work(self) -> Work | None:
        """What workers run for it; None if they run nothing."""
        return self.how.work

    @property
    def durable(self) -> bool:
        """Whether losing a checkpoint of it could lose more than a repetition."""
        work = self.how.work
        return self.how.durable if work is None else not work.idempotent or work.transactional


@dataclass(frozen=True, slots=True)
class NamedDeadline:
    """A time by which a step must have ended: it is compared with the longest way, and changes no run."""

    name: str
    #: the step's id
    by: str
    #: seconds from the start; None: what the obligation of this name leaves
    within: float | None


@dataclass(frozen=True)
class Graph:
    """A workflow that is ready to run. Only `definition.validate` makes it, and checks what is promised here."""

    name: str
    lane: str
    #: seconds that a run may take from its creation to its end; None is no limit
    timeout: float | None
    input_schema: dict[str, Any] | None
    #: by id, in topological order: next is always the definition's first step whose needs all came before
    steps: Mapping[str, StepNode]
    #: the template of the run's output; None: the run has no output
    output: Template | None
    #: step id -> ids of the steps that need it, in the order of `steps`; every step has an entry
    dependents: Mapping[str, tuple[str, ...]]
    description: str
    #: `input_schema`, compiled
    input_check: Schema | None = None
    #: the rules of `on`, in their order
    rules: tuple[Rule, ...] = ()
    #: what `deadlines` names, in its order
    deadlines: tuple[NamedDeadline, ...] = ()

    #: the duties that `clocks` names, in its order
    clocks: tuple[str, ...] = ()
    #: the steps that may end by what happens to others, in their order
    watching: tuple[str, ...] = ()
    #: which parts of the input are sealed
    sensitive: Parts = NOTHING
    #: whether parts of the input or of a step's output are
    seals: bool = False
    #: whether business keys of its runs are stored as keyed hashes
    hides_key: bool = False
    #: seconds for which what its runs leave is kept, by class (Note [Retention] in `retention`)
    retention: Mapping[str, float] = field(default_factory=dict)

    def input_faults(self, data: Any) -> list[Fault]:
        """Everything that is wrong with `data` as this workflow's input; paths like `input.cves[0]`."""
        return self.input_check.faults(data, at="input", sealed=self.sensitive) if self.input_check else []

    @cached_property
    def chain(self) -> Chain | None:
        """The same, if it is one chain of plain steps (Note [Chains] in `chain`)."""
        return chain_of(self)

    @property
    def level(self) -> int:
        """The format level that a process must know to run it (Note [Format levels] in `kinds`)."""
        return max(
            1,
            *(node.how.reads for node in self.steps.values()),
            *(rule.level for rule in self.rules),
            4 if self.deadlines else 1,
            7 if self.clocks else 1,
            8 if self.seals else 1,
            8 if self.retention or self.hides_key else 1,
        )

    def waiting_for(self, signal: str) -> dict[str, StepNode]:
        """The steps that can wait for a signal of this name, in their order."""
        return {id: node for id, node in self.steps.items() if signal in node.how.signals}
