"""Which runs another definition would have made end otherwise, page by page.

Note [Another definition] says what can be known of that, and Note [Pages of runs] how long it takes. A run is decided
again as a whole, by its own definition and by the other one. Nothing is written; the database would refuse it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from workflows.conf import conf
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Graph
from workflows.graphs import graph_of
from workflows.replay.definitions import by_definition
from workflows.replay.history import StoredRun
from workflows.replay.pages import (
    PLACES,
    RUN_SECONDS,
    SECONDS,
    Against,
    Page,
    Patience,
    TookTooLong,
    begin_of,
    cursor_of,
    read_cursor,
)
from workflows.replay.stored import LargeRun, some_runs

#: differences and unknowns that are named of one run
MOST: Final = 50
_ASK_THE_COMMAND: Final = "ask manage.py replay --definition, which takes its time"


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A run that would be another one, or of which that is not known. differences: (path, stored, then). ends: the
    state in which it would have ended, or would be; None: not known. more: how many differences and unknowns are left
    out."""

    run_id: str
    business_key: str | None
    status: str
    open: bool
    differences: Sequence[dict[str, str]]
    unknown: Sequence[str]
    ends: str | None
    more: int


def what_if_definition(
    name: str, other: Graph, *, against: Against, since: datetime, cursor: str | None = None, limit: int = 200
) -> Page[Otherwise]:
    """Compare the runs of the workflow `name` that were created at `since` or later with what `other` would have made
    of them; oldest first, archived ones before others, at most `limit` on a page. Raises CursorInvalid."""
    begin = begin_of(since)
    place, last = read_cursor(cursor, begin, PLACES)
    page, patience = Page[Otherwise](), Patience(SECONDS)
    while place < PLACES:
        found = some_runs(place, last, workflow=name, open=_wanted(against), limit=limit - page.compared)
        for run in found:
            last = UUID(_compare(run, other, page))
            if page.compared >= limit or patience.is_over:
                page.cursor = cursor_of(place, last)
                return page
        if not found:
            place, last = place + 1, begin
    return page


def _wanted(against: Against) -> bool | None:
    return {Against.PAST: False, Against.WAITING: True, Against.ALL: None}[against]


def _compare(run: StoredRun | LargeRun, other: Graph, page: Page[Otherwise]) -> str:
    """Returns the run's id."""
    page.compared += 1
    if isinstance(run, LargeRun):
        page.unknown += 1
        why = f"it has {run.rows:,} steps, items and events, or large ones: {_ASK_THE_COMMAND}"
        page.items.append(Otherwise(run.id, run.business_key, run.state, run.is_open, [], [why], None, 0))
        return run.id
    try:
        # Two graphs may be read for it, which then are in memory: that is not the run's time.
        before, patience = graph_of(run.version_id), Patience(RUN_SECONDS)
        outcome = by_definition(run, before, other, max_lost=conf().max_lost_attempts, between=patience.check)
    except DefinitionInvalid as error:
        # A newer release published it, or this one refuses what an earlier one took.
        _not_known(run, page, f"its own definition cannot be read: {error}"[:500])
    except TookTooLong:
        _not_known(run, page, f"to decide it again takes longer than {RUN_SECONDS:g} s: {_ASK_THE_COMMAND}")
    else:
        if not outcome.is_same:
            page.different += bool(outcome.differences)
            page.unknown += bool(outcome.unknown)
            told = [{"path": one.path, "stored": one.stored, "then": one.today} for one in outcome.differences]
            page.items.append(_item(run, told, outcome.unknown, outcome.ends))
    return run.view.id


def _not_known(run: StoredRun, page: Page[Otherwise], why: str) -> None:
    page.unknown += 1
    page.items.append(_item(run, [], [why], None))


def _item(run: StoredRun, told: Sequence[dict[str, str]], unknown: Sequence[str], ends: str | None) -> Otherwise:
    return Otherwise(
        run_id=run.view.id,
        business_key=run.view.business_key,
        status=str(run.view.state),
        open=run.finished_at is None,
        differences=told[:MOST],
        unknown=unknown[:MOST],
        ends=ends,
        more=max(0, len(told) - MOST) + max(0, len(unknown) - MOST),
    )
