"""Groups of errors as people read them. At most `error_groups.MOST_GROUPS` rows are looked at, whatever is asked."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from monitoring.models import ErrorCount, ErrorGroup
from monitoring.store.error_groups import HOUR, MINUTE

#: what a list leaves out
_LONG = ("traceback", "links", "why")


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """Which groups; None: any. text: part of the title, of what failed, of the code, or of a definition that it was
    seen in, whatever its case. new_since: first seen since then.
    """

    state: str | None = None
    source: str | None = None
    text: str | None = None
    regression: bool | None = None
    new_since: datetime | None = None


def error_groups(
    which: GroupFilter, *, before: tuple[datetime, int] | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Seen last first: those after `before`, the (last_seen, id) of the last one of the page before.

    Each has the columns of `ErrorGroup` but traceback, links and why.
    """
    found = _matching(which)
    if before is not None:
        at, number = before
        found = found.filter(Q(last_seen__lt=at) | Q(last_seen=at, id__lt=number))
    columns = [field.attname for field in ErrorGroup._meta.concrete_fields if field.attname not in _LONG]
    return [{**row} for row in found.order_by("-last_seen", "-id").values(*columns)[:limit]]


def error_group(number: int) -> dict[str, Any] | None:
    """All of one: also `traceback`, `links` (dicts with kind, id, at, detail), `why` (a list of [name, value])."""
    row = ErrorGroup.objects.filter(id=number).values().first()
    return {**row} if row is not None else None


def error_counts(
    numbers: Collection[int], *, since: datetime, until: datetime, by: int
) -> dict[int, list[tuple[datetime, int]]]:
    """How many errors of each of these groups there were, from the oldest to the newest; zeros are left out.

    by: MINUTE, kept for 14 days, or HOUR, kept for 400 days; since <= the beginning of a minute or hour < until.
    """
    counts: dict[int, list[tuple[datetime, int]]] = {number: [] for number in numbers}
    rows = ErrorCount.objects.filter(group_id__in=numbers, tier=by, at__gte=since, at__lt=until).order_by("at")
    for number, at, count in rows.values_list("group_id", "at", "count"):
        counts[number].append((at, count))
    return counts


def error_hours(numbers: Collection[int], *, now: datetime, hours: int = 24) -> dict[int, list[int]]:
    """The errors of each group in each of the last hours, the oldest first, this one included: for a sparkline."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours - 1)
    series = {number: [0] * hours for number in numbers}
    for number, counts in error_counts(numbers, since=first, until=first + timedelta(hours=hours), by=HOUR).items():
        for at, count in counts:
            series[number][int((at - first) / timedelta(hours=1))] += count
    return series


def error_totals() -> dict[str, int]:
    """How many groups there are by state, and `regressions` among the open ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'resolved'),
                   count(*) FILTER (WHERE state = 'ignored'),
                   count(*) FILTER (WHERE state = 'open' AND regression)
            FROM monitoring_errorgroup
            """
        )
        names = ("open", "resolved", "ignored", "regressions")
        return dict(zip(names, cursor.fetchone(), strict=True))


def _matching(which: GroupFilter) -> QuerySet[ErrorGroup]:
    found = ErrorGroup.objects.all()
    if which.state is not None:
        found = found.filter(state=which.state)
    if which.source is not None:
        found = found.filter(source=which.source)
    if which.text:
        anywhere = Q()
        # Of the definitions that it was seen in, the first and the last are kept.
        for column in ("title", "what", "code", "first_definition", "last_definition"):
            anywhere |= Q(**{f"{column}__icontains": which.text})
        found = found.filter(anywhere)
    if which.regression is not None:
        found = found.filter(regression=which.regression)
    if which.new_since is not None:
        found = found.filter(first_seen__gte=which.new_since)
    return found


__all__ = [
    "HOUR",
    "MINUTE",
    "GroupFilter",
    "error_counts",
    "error_group",
    "error_groups",
    "error_hours",
    "error_totals",
]
