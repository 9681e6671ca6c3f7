"""Cancel: ends runs as CANCELLED."""

from collections.abc import Sequence

from workflows import store
from workflows.core.machine import RunCancelled
from workflows.core.states import RUN_ENDS, RunState
from workflows.graphs import graph_of
from workflows.operations.operation import Operation
from workflows.starts import dispatch
from workflows.store import Batch, Outcome, Report

_LIVE = frozenset(RunState) - RUN_ENDS


def _portion(batch: Batch, run_ids: Sequence[str]) -> Sequence[Outcome]:
    cancelled = RunCancelled(batch.created_by, batch.reason)
    applied = store.apply(
        [Report(run_id, cancelled) for run_id in run_ids], graph_of=graph_of, pass_over_unreadable=True
    )
    dispatch.hint_after_commit(applied.hints)
    ended = {report.run_id for report in applied.discarded}
    unreadable = {report.run_id for report in applied.unreadable}
    return [
        Outcome(
            run_id,
            "already_ended" if run_id in ended else "not_readable" if run_id in unreadable else "cancelled",
        )
        for run_id in run_ids
    ]


CANCEL = Operation(
    name="cancel",
    states=_LIVE,
    usual=_LIVE,
    # Says the same as the states, and lets the search end early where an index knows it.
    takes="r.finished_at IS NULL",
    archived=False,
    outcomes={
        "cancelled": "It was ended as CANCELLED.",
        "already_ended": "It had ended by itself before its turn came.",
        "not_readable": "This release cannot read its definition: cancel it again once the upgrade is done.",
    },
    portion=_portion,
)
