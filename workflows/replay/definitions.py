"""What another definition would have made of a stored run.

Note [Another definition]
The run is decided again by the other definition (Note [What is decided again] in the package). What its steps gave is
taken from the run, by the names of the steps. So everything that follows from what is stored is exact: which steps
would have begun, been skipped or asked otherwise, and how the run would have ended. What does not follow is named as
unknown: a step that the run did not have, or that would have been asked something else or by another body, might have
given anything; what comes after it is compared as if it had given the same, or it has not begun. What is different
already when the run's own definition is decided again comes from the release, and is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM
from workflows.core.states import StepState
from workflows.replay.again import differences_of, input_differences, is_undecided, live_again
from workflows.replay.compare import Difference, same
from workflows.replay.history import StoredRun


@dataclass(frozen=True, slots=True)
class Outcome:
    """differences: what would be otherwise. unknown: what is not known, and why; the first that comes is what the rest
    depends on. ends: the state in which the run would have ended, or would be; None: not known."""

    differences: list[Difference]
    unknown: list[str]
    ends: str | None

    @property
    def is_same(self) -> bool:
        return not self.differences and not self.unknown


def by_definition(
    run: StoredRun, before: Graph, other: Graph, *, max_lost: int, between: Callable[[], None] = lambda: None
) -> Outcome:
    """before: of the run's own version. other: by which it is decided again. between: as in `live_again`."""
    if is_undecided(run):
        return Outcome(input_differences(run, other), [], None)
    usual = set(differences_of(run, live_again(run, before, max_lost=max_lost, between=between), before))
    again = live_again(run, other, max_lost=max_lost, between=between)
    found = [one for one in differences_of(run, again, other) if one not in usual]
    unknown = []
    for id, node in other.steps.items():
        view, row = again.view((id, NO_ITEM)), run.rows.get((id, NO_ITEM))
        if node.work is None or view is None or view.state in (StepState.SKIPPED, StepState.CANCELLED):
            continue
        if row is None or row.state in (StepState.SKIPPED, StepState.CANCELLED):
            unknown.append(f"steps.{id}: it would have begun, and what it would have given is not known")
            continue
        former = before.steps.get(id)
        if former is not None and former.work is not None and former.work.uses != node.work.uses:
            unknown.append(f"steps.{id}: {node.work.uses} might have given something else than {former.work.uses}")
        elif row.input is not None and not same(row.input, again.inputs.get((id, NO_ITEM))) and row.state.ended:
            unknown.append(f"steps.{id}: asked something else, it might have given something else")
    known = not unknown or again.run.state == run.view.state
    return Outcome(found, unknown, str(again.run.state) if known else None)
