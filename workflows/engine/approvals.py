"""What people's decisions do to runs. Who may decide is checked by `people`, which calls this in its transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from workflows import store
from workflows.core.machine import StepAnswered
from workflows.graphs import graph_of
from workflows.starts import dispatch
from workflows.store import Report


def answer_step(run_id: str, step: str, *, approved: bool, votes: Sequence[Mapping[str, Any]]) -> bool:
    """Give an approval step its answer, in the caller's transaction. Returns whether it still waited for one."""
    applied = store.apply([Report(run_id, StepAnswered(step, approved, votes))], graph_of=graph_of)
    if applied.discarded:
        return False
    dispatch.hint_after_commit(applied.hints)
    return True
