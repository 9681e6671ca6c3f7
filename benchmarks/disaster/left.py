"""What stands in a database: which runs, how they ended, and what was recorded twice."""

import time
from dataclasses import dataclass, field

import psycopg2

from erip.ops.stack.errors import ServerFailed

from ..recordings import BEGIN, COUNT, Counted
from ..workloads import W4
from .servers import ask, change

#: of the workflows that callers start
_OURS = "starts_with(workflow, 'benchmark-')"
_IDS = f"SELECT id::text FROM workflows_workflowrun WHERE {_OURS}"  # noqa: S608 (a constant)
_OPEN = f"SELECT count(*) FROM workflows_workflowrun WHERE finished_at IS NULL AND {_OURS}"  # noqa: S608
_STATES = f"SELECT state, count(*) FROM workflows_workflowrun WHERE {_OURS} GROUP BY 1"  # noqa: S608
_FIRST = (
    "SELECT extract(epoch FROM min(finished_at))::float8 FROM workflows_workflowrun"
    " WHERE finished_at > to_timestamp(%s)"
)
_WRONG = (
    "SELECT count(*) FROM workflows_workflowrun WHERE workflow = %s AND state = 'SUCCEEDED'"
    " AND output <> to_jsonb((input->>'value')::int + 4)"
)


@dataclass(frozen=True, slots=True)
class Left:
    """ids: of all runs. states: how many are in each. wrong: runs with another outcome than theirs. recorded: of
    results of steps."""

    ids: frozenset[str] = field(repr=False)
    states: dict[str, int]
    wrong: int
    recorded: Counted


def count_recordings(url: str) -> None:
    """From now on each recording of a step's result leaves a row, in whatever region. url: of the tables' owner."""
    change(url, BEGIN)


def ids(url: str) -> frozenset[str]:
    return frozenset(row[0] for row in ask(url, _IDS))


def open_runs(url: str) -> int:
    return int(ask(url, _OPEN)[0][0])


def found(url: str) -> Left:
    return Left(
        ids(url), dict(ask(url, _STATES)), int(ask(url, _WRONG, W4.workflow)[0][0]), Counted(*ask(url, COUNT)[0])
    )


def first_end(url: str, since: float, *, patience: float) -> float:
    """When the first run ended after this moment, both in seconds since 1970. Raises ServerFailed."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            ((at,),) = ask(url, _FIRST, since)
        except psycopg2.Error:
            at = None
        if at is not None:
            return float(at)
        time.sleep(0.1)
    raise ServerFailed(f"no run ended within {patience:.0f} s")


def drained(url: str, *, patience: float) -> int:
    """Wait until all runs have ended, or the time is over; returns how many are open."""
    deadline = time.monotonic() + patience
    while (count := open_runs(url)) and time.monotonic() < deadline:
        time.sleep(2.0)
    return count
