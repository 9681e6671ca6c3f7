"""What the two what-ifs share: which runs are compared, how long a page takes, and where the next one begins.

Note [Pages of runs]
Thousands of runs are compared page by page, so a request ends in time however many there are. A page ends after `limit`
runs or SECONDS, whichever comes first, with a cursor; the next one begins behind the last run that was compared, so
each run is on one page. At least one run is compared on a page, or the cursor would stand still. What one run may cost
is bounded as well (RUN_SECONDS; Note [Large runs] in `stored`): one that would cost more is named as unknown. So a page
takes SECONDS and RUN_SECONDS at most, besides what the database takes to find the runs.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

#: where runs lie: 0 the archive, 1 not
PLACES: Final = 2
#: seconds after which a page ends, and those that one run may take
SECONDS: Final = 5.0
RUN_SECONDS: Final = 5.0

Item = TypeVar("Item")


class Against(StrEnum):
    PAST = "past"  # runs that have ended
    WAITING = "waiting"  # runs that have not
    ALL = "all"


class CursorInvalid(ValueError):
    """It is not the cursor of a page."""


class TookTooLong(Exception):
    """Deciding one run takes longer than it may."""


@dataclass(slots=True)
class Page(Generic[Item]):
    """compared: runs, or their decisions; different: those among them that would be others; unknown: those with
    something of which nothing can be said. items: the different and the unknown ones. cursor: where the next page
    begins; None: this is the last."""

    compared: int = 0
    different: int = 0
    unknown: int = 0
    items: list[Item] = field(default_factory=list)
    cursor: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "compared": self.compared,
            "different": self.different,
            "unknown": self.unknown,
            "items": [asdict(one) for one in self.items],  # type: ignore[call-overload]
            "next_cursor": self.cursor,
        }


class Patience:
    """How long something may take."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._until

    def check(self) -> None:
        """Raises TookTooLong."""
        if self.is_over:
            raise TookTooLong


def begin_of(since: datetime) -> UUID:
    """Ids sort by their time: what comes after this one was created at `since` or later."""
    return UUID(int=max(0, int(since.timestamp() * 1000)) << 80)


def read_cursor(cursor: str | None, begin: UUID, places: int) -> tuple[int, UUID]:
    """(place: the archive or not, the id of the last run that was compared). Raises CursorInvalid."""
    if cursor is None:
        return 0, begin
    place, _, last = cursor.partition(":")
    if place not in {str(one) for one in range(places)}:
        raise CursorInvalid("is not the cursor of a page")
    try:
        return int(place), UUID(last)
    except ValueError:
        raise CursorInvalid("is not the cursor of a page") from None


def cursor_of(place: int, last: UUID) -> str:
    return f"{place}:{last}"


def every(page_of: Callable[[str | None], Page[Item]]) -> Iterator[Page[Item]]:
    """All pages, one after the other. page_of: the page of a cursor."""
    cursor: str | None = None
    while True:
        page = page_of(cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
