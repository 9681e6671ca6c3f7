"""Legal clocks that press: what is overdue, and what is due soon. For pages that many look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet, Value
from django.db.models.fields.json import KT
from django.db.models.functions import JSONObject, Now

from workflows.clocks.models import OPEN, LegalClock, State

#: a clock that is due within this time is due soon
SOON: Final = timedelta(hours=24)
#: clocks that are looked at, by due
MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Pressing:
    """A clock that runs, and is overdue or due soon."""

    number: int
    regime: str
    title: str
    authority: str
    verified: bool
    workflow: str
    due_at: datetime
    provisional: bool


def due_soon(row: LegalClock, now: datetime) -> bool:
    """Whether a clock runs and is due within SOON, or overdue."""
    return row.state == State.RUNNING and row.due_at is not None and row.due_at < now + SOON


def rows() -> QuerySet[Any]:
    """A queryset of ("clock", document), by due: one more than MOST, if there are more. What is stopped, and what waits
    for the fact that it counts from, does not press."""
    # The open states are named for the partial index by due.
    open_ = LegalClock.objects.filter(Q(state__in=OPEN), state=State.RUNNING, due_at__lt=Now() + SOON)
    return open_.order_by("due_at", "id").values_list(
        Value("clock"),
        JSONObject(
            number="id",
            regime=KT("duty__regime"),
            title=KT("duty__title"),
            authority=KT("duty__authority"),
            verified=KT("duty__verified"),
            workflow="workflow",
            due_at="due_at",
            provisional="provisional",
        ),
    )[: MOST + 1]


def found(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Pressing]:
    """What these rows say, by due."""
    clocks = [
        Pressing(
            row["number"],
            row["regime"] or "",
            row["title"] or "",
            row["authority"] or "",
            row["verified"] == "true",
            row["workflow"],
            datetime.fromisoformat(row["due_at"]),
            row["provisional"],
        )
        for kind, row in rows
        if kind == "clock"
    ]
    return sorted(clocks, key=lambda one: (one.due_at, one.number))
