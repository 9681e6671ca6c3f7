"""Tables that are ready to decide, kept in the process: a version never changes, so it is read once."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cachetools import LRUCache
from django.db.models import F

from workflows.core.tables.document import read
from workflows.core.tables.table import Table
from workflows.decisions import stored
from workflows.decisions.models import DecisionVersion

#: versions that a process keeps
_KEPT: Final = 64


@dataclass(frozen=True)
class Compiled:
    """A version of a table. Shared: do not change its document."""

    name: str
    number: int
    table: Table
    document: Mapping[str, Any]


_lock = threading.Lock()
_kept: LRUCache[tuple[str, int, str], Compiled] = LRUCache(maxsize=_KEPT)


def compiled(name: str, number: int | None = None) -> Compiled:
    """A version; None: the one in force at this moment. Raises UnknownTable, UnknownTableVersion, and TableInvalid if
    this release cannot read it."""
    wanted = F("table__latest") if number is None else number
    of_name = DecisionVersion.objects.filter(table__name=name, number=wanted)
    row = of_name.values_list("pk", "number", "content_hash").first()
    if row is None:
        stored.version(name, number)  # which says what there is not
        return compiled(name, number)  # published in between
    key = (name, row[1], row[2])
    with _lock:
        found = _kept.get(key)
    if found is None:
        document = DecisionVersion.objects.values_list("document", flat=True).get(pk=row[0])
        found = Compiled(name, row[1], read(document), document)
        with _lock:
            _kept[key] = found
    return found
