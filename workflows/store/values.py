"""What goes into the store and comes out of it, and how PostgreSQL is asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from erip.foundation import json_values
from erip.foundation.values import value
from workflows.core.claim import Claim as Claim
from workflows.core.graph import Graph
from workflows.core.machine import Happening, Plan, RunView, Snapshot, StepTaken

RUN_ENDED_CHANNEL = "erip_run_ended"
#: followed by the worker's id: the channel for runs that are handed over to this worker
WORKER_CHANNEL = "erip_worker_"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be inserted, with the plan of its start."""

    id: str
    version_id: int
    view: RunView
    timeout: float | None
    started_by: str
    notify: bool
    plan: Plan
    graph: Graph


@dataclass(frozen=True, slots=True)
class Decided:
    """What a reporter decided on its own reports: right as long as nothing beyond `snapshot` is known of the run."""

    snapshot: Snapshot
    plan: Plan
    #: how many reports were decided on
    reports: int


@value
class Report:
    """Something that happened to a run."""

    run_id: str
    happening: Happening
    #: for a step's body or its outcome: when it happened, by this process's `time.monotonic`; None means now
    at: float | None = None
    #: only with the last report on a run: what follows from all of them
    decided: Decided | None = None
    #: the step of a success with which something else is to be written (`registry.when_recorded`)
    uses: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Everything about a run, as of `seq`."""

    snapshot: Snapshot
    seq: int
    version_id: int
    deadline_at: datetime | None
    #: the moment at which the run's clock stands, while the run is paused and its clock with it
    clock: datetime | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of a group of reports."""

    #: steps that the claimant goes on with
    claims: tuple[Claim, ...] = ()
    #: (lane, run id) pairs that some worker should look at, once the transaction is committed
    hints: tuple[tuple[str, str], ...] = ()
    #: reports that no longer counted
    discarded: tuple[Report, ...] = ()
    #: reports on runs whose definition this release cannot read: nothing was decided
    unreadable: tuple[Report, ...] = ()


def claimable(reports: Sequence[Report]) -> int:
    """How many steps a reporter that goes on may claim: one for each report, except those from which it went on
    already."""
    return sum(-1 if isinstance(report.happening, StepTaken) else 1 for report in reports)


def to_json(value: Any) -> str | None:
    """A value as JSON text; None is SQL's NULL."""
    return None if value is None else orjson.dumps(value).decode()


def from_json(text: str | None) -> Any:
    return None if text is None else json_values.load(text)


def to_array(values: Iterable[Any]) -> str:
    """A column as PostgreSQL's array literal: it escapes one string in place of one for each value (2 times faster)."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
