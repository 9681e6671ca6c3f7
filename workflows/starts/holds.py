"""New runs of a workflow or a lane that is paused are accepted and parked. See Note [Holds] in `engine/holds`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import uuid4

from erip.foundation.tokens import Tokened
from workflows import store
from workflows.store import Held, NewRun

_known: Tokened[tuple[Held, ...]] = Tokened(lambda: store.holds_in_force(), lambda: store.holds_in_force())


def current() -> tuple[Held, ...]:
    """The holds in force, as of a second ago at the most."""
    return _known.current()


def forget() -> None:
    """Read again at the next use: for tests, and for a process that just changed something."""
    _known.forget()


def hold_of(workflow: str, lane: str, holds: Iterable[Held]) -> Held | None:
    """The hold, if any, that parks runs of this workflow and lane."""
    for hold in holds:
        if hold.name == (workflow if hold.kind == "workflow" else lane):
            return hold
    return None


def insert_runs(runs: Sequence[NewRun], holds: Iterable[Held] | None = None) -> list[tuple[str, str]]:
    """Insert runs, and park those whose workflow or lane is paused, in the caller's transaction. Returns the hints to
    publish after commit. holds: in force; None: those that this process knows of."""
    hints = store.insert_runs(runs)
    parked = park(runs, current() if holds is None else holds)
    return [hint for hint in hints if hint[1] not in parked] if parked else hints


def park(runs: Sequence[NewRun], holds: Iterable[Held]) -> set[str]:
    """Park those of these runs, just inserted by the same transaction, whose workflow or lane is paused."""
    by_hold: dict[Held, list[str]] = defaultdict(list)
    in_force = tuple(holds)
    if not in_force:
        return set()
    for run in runs:
        ended = run.plan.run is not None and run.plan.run.state.ended
        if not ended and (hold := hold_of(run.view.workflow, run.view.lane, in_force)) is not None:
            by_hold[hold].append(run.id)
    for hold, ids in by_hold.items():
        store.pause(ids, by=hold.by, reason=hold.reason, clock=hold.clock, request=str(uuid4()), hold=hold.id)
    return {run_id for ids in by_hold.values() for run_id in ids}
