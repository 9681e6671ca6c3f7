"""The schedules that a release brings along, and what users made of them."""

from pathlib import Path
from typing import Any, Final

import structlog
import yaml
from django.db import transaction
from django.db.models import F

from erip.foundation.hooks import at_bootstrap
from erip.foundation.shipped import Article, Source, Standing
from schedules import stored
from schedules.errors import ScheduleInvalid
from schedules.models import ScheduleVersion

log = structlog.get_logger(__name__)

FILE: Final = Path(__file__).parent / "shipped.yaml"
#: who stored the shipped ones. People and keys have a prefix (`user:`, `key:`), so none of them has this name.
AUTHOR: Final = "bootstrap"


def articles() -> list[Article]:
    rows = _rows()
    found = ScheduleVersion.objects.filter(schedule__name__in=rows, number=F("schedule__latest"))
    latest = {version.schedule.name: version for version in found.select_related("schedule")}
    return [_article(name, row, latest.get(name)) for name, row in rows.items()]


@at_bootstrap("schedules")
def bring_up_to_date() -> int:
    """Store what is new, paused, and the next version of what nobody changed. Returns how many.

    One that cannot be stored, for example because its workflow is somebody's own and takes another input, is left out.
    """
    done = 0
    for name in _rows():
        with transaction.atomic():
            article = next(one for one in articles() if one.name == name)
            if article.standing not in (Standing.NEW, Standing.OLDER):
                continue
            try:
                _put(name)
            except ScheduleInvalid as error:
                log.warning("shipped_schedule_left_out", schedule=name, faults=[str(one) for one in error.faults])
                continue
        done += 1
    return done


@transaction.atomic
def take(name: str) -> str:
    version = _put(name)
    return f"stored as version {version}"


def _rows() -> dict[str, Any]:
    rows: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return rows


def _put(name: str) -> int:
    """Returns its number. One that is not there yet is paused, one that is there stays as it is. Raises
    ScheduleInvalid."""
    row = _rows()[name]
    with transaction.atomic():
        result = stored.put(name, document=row["schedule"], description=row["description"], author=AUTHOR)
        if result.created:
            stored.pause(name, by=AUTHOR, reason=row["paused"])
    return result.number


def _article(name: str, row: dict[str, Any], latest: ScheduleVersion | None) -> Article:
    shipped = _text(row["description"], row["schedule"])
    if latest is None:
        return Article("schedule", name, Standing.NEW, shipped, None)
    by = f"version {latest.number} by {latest.author or 'somebody unnamed'}, {latest.created_at:%Y-%m-%d}"
    if latest.deleted:
        return Article("schedule", name, Standing.REMOVED, shipped, None, "deleted here")
    here = _text(latest.description, latest.document)
    ours = Standing.OLDER if latest.author == AUTHOR else Standing.YOURS
    standing = Standing.SAME if here == shipped else ours
    return Article("schedule", name, standing, shipped, here, by)


def _text(description: str, document: Any) -> str:
    """One line for each field, in an order of its own: the database keeps none."""
    both = {"description": description, "schedule": document}
    return str(yaml.safe_dump(both, sort_keys=True, allow_unicode=True, width=10_000))


SOURCE: Final = Source("schedule", articles, take)
