"""The decision tables."""

from typing import Any, Final

from django.db import transaction
from django.db.models import F

from erip.foundation.shipped import Article, Source, Standing
from workflows.decisions import stored
from workflows.decisions.models import DecisionTable, DecisionVersion
from workflows.library import cache
from workflows.library.shipping import files

#: who published the shipped ones
AUTHOR: Final = "ERIP"


def articles() -> list[Article]:
    rows = _rows()
    in_force = DecisionVersion.objects.filter(number=F("table__latest"), table__name__in=[row["name"] for row in rows])
    latest = {version.table.name: version for version in in_force.select_related("table")}
    return [_article(row, latest.get(row["name"])) for row in rows]


def bring_up_to_date() -> int:
    """Publish the tables that are new or have a newer version. Returns how many. The caller's transaction."""
    names = [row["name"] for row in _rows()]
    list(DecisionTable.objects.filter(name__in=names).select_for_update().order_by("name"))
    wanted = [one.name for one in articles() if one.standing in (Standing.NEW, Standing.OLDER)]
    for row in _rows():
        if row["name"] in wanted:
            _publish(row)
    return len(wanted)


@transaction.atomic
def take(name: str) -> str:
    done = _publish(next(row for row in _rows() if row["name"] == name))
    transaction.on_commit(cache.forget)
    return f"published as version {done.number}, in force from now on"


def _rows() -> list[dict[str, Any]]:
    return list(files.fixture("decision-tables.yaml"))


def _publish(row: dict[str, Any]) -> stored.Published:
    return stored.publish(row["name"], row["table"], author=AUTHOR)


def _article(row: dict[str, Any], latest: DecisionVersion | None) -> Article:
    shipped = files.as_text(row["table"])
    if latest is None:
        return Article("table", row["name"], Standing.NEW, shipped, None)
    if latest.document == row["table"]:
        standing = Standing.SAME
    else:
        standing = Standing.OLDER if latest.author == AUTHOR else Standing.YOURS
    by = f"version {latest.number} by {latest.author or 'somebody unnamed'}, {latest.created_at:%Y-%m-%d}"
    return Article("table", row["name"], standing, shipped, files.as_text(latest.document), by)


SOURCE: Final = Source("table", articles, take)
