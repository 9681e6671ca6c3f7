"""Rehearsals: the whole course of a run on a simulated clock, with who is asked and notified, and what is missed.

Note [Rehearsal]
It is `run_workflow` with people: an approval is answered by its groups after a while, unless one of its seats belongs
to a group that is absent; then its ladder is climbed, and it expires. Bodies run only if they are READING; every other
step gives an example of its output, so nobody is written to and nothing is called. Whatever bodies write is undone by
the caller, who lets all of it happen in a transaction that is rolled back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from workflows.core.durations import parse_duration
from workflows.core.graph import Graph
from workflows.core.kinds import Approval
from workflows.core.machine import NO_ITEM, RunView, StepAnswered, StepChange, StepKey
from workflows.core.secrets import given as given_secrets
from workflows.core.sensitive import plain
from workflows.core.states import RunState, StepState
from workflows.errors import InvalidInput
from workflows.registry import StepSpec
from workflows.testing.examples import example_of
from workflows.testing.memory import InMemory, read, signal_faults
from workflows.testing.moments import Moment
from workflows.testing.one_step import RUN_ID
from workflows.testing.results import Entry, Result
from workflows.testing.stubs import Stubs

#: steps whose bodies look things up and compute: they call nobody
READING: Final = ("nexus.", "compass.", "atlas.", "prism.", "clearance.", "containment.plan", "sample.")


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """result: as of `run_workflow`. stood_in: steps whose body did not run, and what each would have run.
    missed: what nobody did in time."""

    result: Result
    stood_in: Mapping[str, str]
    missed: Sequence[Entry]


def rehearse(
    definition: str | bytes | Path | Mapping[str, Any],
    input: Mapping[str, Any],
    *,
    at: datetime,
    absent: Collection[str] = (),
    answered_after: float = 1_800.0,
    during: Sequence[Moment] = (),
    outputs: Mapping[str, Any] | None = None,
) -> Rehearsed:
    """at: when the run begins, aware. absent: groups that answer nothing. answered_after: seconds after which the
    others approve. outputs: of steps, by id, in place of their bodies.

    Raises DefinitionInvalid, InvalidInput, StubUnfit (an output does not fit its step).
    """
    graph, specs = read(definition)
    if faults := graph.input_faults(dict(input)) + signal_faults(graph, during):
        raise InvalidInput(faults=faults)
    stubs, stood_in = _stubs(graph, specs, outputs or {})
    deadline = at + timedelta(seconds=graph.timeout) if graph.timeout is not None else None
    view = RunView(RUN_ID, graph.name, None, graph.lane, RunState.PENDING, dict(input), at)
    run = _WithPeople(graph, view, Stubs(graph, stubs, specs), deadline)
    run.absent, run.answered_after = frozenset(absent), answered_after
    # Secrets are given to no body here; what is sensitive is shown, as in tests.
    with given_secrets({}), plain():
        result = run.happen(during)
    return Rehearsed(result, stood_in, [one for one in result.history if _is_missed(one)])


def _stubs(
    graph: Graph, specs: Mapping[str, StepSpec], outputs: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    stubs, stood_in = dict(outputs), dict[str, str]()
    for id, node in graph.steps.items():
        if node.work is None or id in outputs or node.work.uses.startswith(READING):
            continue
        stood_in[id] = node.work.uses
        stubs[id] = example_of(specs[node.work.uses].output_schema)
    return stubs, stood_in


def _is_missed(entry: Entry) -> bool:
    error = entry.detail.get("error") or {}
    return entry.type in ("run.deadline_missed", "approval.expired") or "expired" in str(error.get("code", ""))


class _WithPeople(InMemory):
    """Approvals are answered, or climb their ladder."""

    absent: frozenset[str] = frozenset()
    answered_after: float = 0.0

    def on_step(self, change: StepChange, new: bool) -> None:
        how = self.graph.steps[change.step].how
        if not (isinstance(how, Approval) and change.state is StepState.WAITING and new):
            super().on_step(change, new)
            return
        if how.sla is not None:
            # Before its step is told: then it waits no more.
            self._later(
                how.sla, change.step, lambda: self._note(change.step, "approval.expired", "nobody decided in time")
            )
        super().on_step(change, new)
        self._ask(change.step, how)

    def _ask(self, step: str, how: Approval) -> None:
        away = sorted(set(how.quorum.seats) & self.absent)
        asked = ", ".join(f"{count} of {role}" for role, count in how.quorum.seats.items())
        told = f"asked: {asked}" + (f"; absent: {', '.join(away)}" if away else "")
        self._tell("approval.opened", (step, NO_ITEM), detail={"message": told})
        for rung in how.ladder:
            kind = "approval.reminded" if rung.to is None else "approval.escalated"
            whom = ", ".join(sorted(how.quorum.roles)) if rung.to is None else rung.to
            self._later(rung.after, step, lambda kind=kind, whom=whom: self._note(step, kind, f"to {whom}"))
        if not away:
            # The least that the form takes, as for a body that does not run.
            form = None if how.form_schema is None else example_of(how.form_schema)
            by = [
                {"by": f"user:{role}-{number + 1}", "on_behalf_of": None, "choice": "approve", "roles": [role],
                 "comment": "rehearsed", "form": form}
                for role, count in how.quorum.seats.items() for number in range(count)
            ]  # fmt: skip
            answer = StepAnswered(step, True, by)
            self._later(self.answered_after, step, lambda: self._report(answer))

    def _later(self, seconds: float, step: str, happen: Any) -> None:
        def if_it_still_waits() -> None:
            view = self.view((step, NO_ITEM))
            if view is not None and view.state is StepState.WAITING:
                happen()

        self._at(self.now + timedelta(seconds=seconds), if_it_still_waits)

    def _note(self, step: str, kind: str, message: str) -> None:
        key: StepKey = (step, NO_ITEM)
        self._tell(kind, key, detail={"message": message})


def duration(text: str) -> float:
    """Raises NotADuration."""
    return parse_duration(text)
