"""Which runs another definition would have made end otherwise, page by page.

Note [Another definition] says what can be known of that. A run is decided again as a whole, by its own definition and
by the other one, so a page ends after SECONDS: at worst one run later. Nothing is written; the database would refuse
it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from workflows.conf import conf
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Graph
from workflows.graphs import graph_of
from workflows.replay.definitions import by_definition
from workflows.replay.history import StoredRun
from workflows.replay.stored import PLACES, some_runs
from workflows.replay.what_if import Against

#: seconds after which a page ends, and differences and unknowns that are named of one run
SECONDS: Final = 5.0
MOST: Final = 50


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


@dataclass(slots=True)
class Page:
    """compared: runs; different: those that would be others; unknown: those with something that is not known.
    items: both. cursor: where the next page begins; None: this is the last."""

    compared: int = 0
    different: int = 0
    unknown: int = 0
    items: list[Otherwise] = field(default_factory=list)
    cursor: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "compared": self.compared,
            "different": self.different,
            "unknown": self.unknown,
            "items": [asdict(one) for one in self.items],
            "next_cursor": self.cursor,
        }


def what_if_definition(
    name: str, other: Graph, *, against: Against, since: datetime, cursor: str | None = None, limit: int = 200
) -> Page:
    """Compare the runs of the workflow `name` that were created at `since` or later with what `other` would have made
    of them; oldest first, archived ones before others, at most `limit` on a page. Raises ValueError for a cursor that
    is none."""
    begin = UUID(int=max(0, int(since.timestamp() * 1000)) << 80)
    place, last = _read_cursor(cursor) if cursor is not None else (0, begin)
    page, until = Page(), time.monotonic() + SECONDS
    while place < PLACES:
        found = some_runs(place, last, workflow=name, open=_wanted(against), limit=limit - page.compared)
        for run in found:
            _compare(run, other, page)
            last = UUID(run.view.id)
            if page.compared >= limit or time.monotonic() > until:
                page.cursor = f"{place}:{last}"
                return page
        if not found:
            place, last = place + 1, begin
    return page


def _wanted(against: Against) -> bool | None:
    return {Against.PAST: False, Against.WAITING: True, Against.ALL: None}[against]


def _read_cursor(cursor: str) -> tuple[int, UUID]:
    place, _, last = cursor.partition(":")
    if place not in {str(one) for one in range(PLACES)}:
        raise ValueError("is not the cursor of a page")
    return int(place), UUID(last)


def _compare(run: StoredRun, other: Graph, page: Page) -> None:
    page.compared += 1
    try:
        outcome = by_definition(run, graph_of(run.version_id), other, max_lost=conf().max_lost_attempts)
    except DefinitionInvalid as error:
        # A newer release published it, or this one refuses what an earlier one took.
        page.unknown += 1
        page.items.append(_item(run, [], [f"its own definition cannot be read: {error}"[:500]], None))
        return
    if outcome.is_same:
        return
    page.different += bool(outcome.differences)
    page.unknown += bool(outcome.unknown)
    told = [{"path": one.path, "stored": one.stored, "then": one.today} for one in outcome.differences]
    page.items.append(_item(run, told, outcome.unknown, outcome.ends))


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
