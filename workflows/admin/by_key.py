"""The search of the list of runs: by a part of a business key."""

from typing import TypeVar

from django.contrib import messages
from django.db import connections
from django.db.models import QuerySet
from django.http import HttpRequest

from erip.foundation.db.router import reading_alias, reads_from_replica
from workflows import queries, store
from workflows.errors import FilterTooSlow
from workflows.models.runs import RunColumns

Run = TypeVar("Run", bound=RunColumns)


@reads_from_replica
def narrowed(request: HttpRequest, runs: QuerySet[Run], part: str) -> QuerySet[Run]:
    """Those of the runs whose business key holds this text (Note [A part of a key] in `store.filters`)."""
    try:
        with queries.in_time(), connections[reading_alias()].cursor() as cursor:
            found = store.ids_by_part_of_key(cursor, runs.model._meta.db_table, part)
    except FilterTooSlow as error:
        messages.error(request, error.message)
        return runs.none()
    return runs.filter(business_key__contains=part) if found is None else runs.filter(pk__in=found)
