"""The spaces of decision tables: those of the workflows that ask them. Note [Spaces] in `erip.access.spaces`.

A table that several spaces ask is shown to each of them. It is changed by those alone who may do so on everything: a
change decides for all that ask it.
"""

from collections.abc import Collection

from django.db import connection

from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from workflows.decisions.errors import UnknownTable
from workflows.decisions.models import DecisionTable
from workflows.walls import TABLES_ASKED


def tables_in(spaces: Collection[str]) -> list[str]:
    """The names of the tables that the workflows in these spaces ask."""
    with connection.cursor() as cursor:
        cursor.execute(f"{TABLES_ASKED} AND d.space = ANY(%s)", [list(spaces)])
        return sorted({name for (name,) in cursor.fetchall()})


@kind("decision", UnknownTable, shared=True)
@retry_transaction
def of_decision(name: str) -> frozenset[str] | None:
    if not DecisionTable.objects.filter(name=name).exists():
        return None
    asked_by = TABLES_ASKED.replace("SELECT split_part", "SELECT d.space, split_part", 1)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT space FROM ({asked_by}) asked (space, name) WHERE name = %s", [name])  # noqa: S608
        return frozenset(space for (space,) in cursor.fetchall())
