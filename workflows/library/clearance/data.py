"""Reading and publishing decision tables."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from workflows.library.cache import cached
from workflows.library.clearance.table import Table
from workflows.library.models import DecisionTable, DecisionVersion

AREA = "clearance"


@dataclass(frozen=True)
class InForce:
    name: str
    number: int
    table: Table


def in_force(name: str) -> InForce | None:
    """The highest version of that table; None when there is no such table."""
    return cached(AREA, name, lambda: _load(name))


def _load(name: str) -> InForce | None:
    row = DecisionVersion.objects.filter(table__name=name).order_by("-number").first()
    return InForce(name, row.number, Table.of(row.document)) if row else None


@transaction.atomic
def publish_table(name: str, document: Any, *, author: str, description: str = "") -> DecisionVersion:
    """The document as the table's next version; the same document again gives the version in force.

    Raises TableInvalid with every fault.
    """
    Table.of(document)
    table, _ = DecisionTable.objects.get_or_create(name=name, defaults={"description": description})
    # If two authors publish at once, the second waits here, and then gets the next number.
    DecisionTable.objects.select_for_update().get(pk=table.pk)
    last = table.versions.order_by("-number").first()
    if last is not None and last.document == document:
        return last
    return DecisionVersion.objects.create(
        table=table, number=last.number + 1 if last else 1, document=document, author=author
    )
