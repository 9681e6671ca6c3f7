"""What an operation on many runs is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from erip.foundation.faults import Fault
from workflows.core.states import RunState
from workflows.errors import InvalidInput
from workflows.store import Batch, Outcome, RunFilter, Selection

#: of a run for which the operation itself failed, whichever operation it is
FAILED = "failed"
#: of a run that has no outcome yet
PENDING = "pending"


class PutOff(Exception):
    """The batch cannot go on for now: nothing was done."""

    def __init__(self, seconds: float, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds
        self.why = why


@dataclass(frozen=True, slots=True)
class Operation:
    """
    name: in addresses and in the database.
    states: of the runs that it can be done to.
    usual: those that it is done to if the filter does not name a status.
    takes: a further condition on the table of runs `r`, as SQL.
    archived: whether it can be done to archived runs.
    outcomes: what can become of a run, and what that means.
    portion: does it to these runs, in the caller's transaction, and returns one outcome for each; a run without one
    stays for a later portion. Raises PutOff.
    """

    name: str
    states: frozenset[RunState]
    usual: frozenset[RunState]
    takes: str
    archived: bool
    outcomes: Mapping[str, str]
    portion: Callable[[Batch, Sequence[str]], Sequence[Outcome]]

    def states_in_order(self) -> list[RunState]:
        return [state for state in RunState if state in self.states]

    def select(self, wanted: RunFilter) -> Selection:
        """The runs that it would be done to. Raises InvalidInput."""
        if wanted.status is not None and wanted.status not in self.states:
            message = f"must be one of {', '.join(self.states_in_order())}"
            raise InvalidInput("The filter does not fit the operation.", faults=[Fault("filter.status", message)])
        where, parameters = wanted.where()
        return self.narrow(Selection(where, parameters, self.archived), anything=wanted.status is not None)

    def narrow(self, selection: Selection, *, anything: bool = False) -> Selection:
        """Those of these runs that it can be done to. anything: in any state that it takes, not only in the usual
        ones."""
        states = sorted(self.states if anything else self.usual)
        where = f"({selection.where}) AND r.state = ANY(%s) AND {self.takes}"
        return replace(selection, where=where, parameters=[*selection.parameters, states])
