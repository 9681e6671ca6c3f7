"""Publishing and reading decision tables."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.db import transaction
from django.db.models import F

from erip.foundation.db.retry import retry_transaction
from erip.foundation.faults import Fault
from erip.foundation.versioned import add_version, take_turn
from workflows.core.source import content_hash
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.table import Table
from workflows.decisions.errors import TableChanged, TableNotValid, UnknownTable, UnknownTableVersion
from workflows.decisions.models import DecisionTable, DecisionVersion
from workflows.decisions.spaces import tables_in

#: a table's name: it stands in addresses, and in definitions before an @
NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
VERSIONS_SHOWN: Final = 100
#: bytes of a document as JSON, however it was sent: what a request may carry back
MAX_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Published:
    name: str
    number: int
    hash: str
    #: False where the latest version says the same already
    created: bool
    table: Table = field(repr=False)


def check(document: Any) -> Table:
    """A document that could be published. Raises TableNotValid with every fault."""
    try:
        size = len(orjson.dumps(document))
        if size > MAX_BYTES:
            raise TableInvalid([Fault("", f"a decision table has at most {MAX_BYTES:,} bytes as JSON, not {size:,}")])
        return read(document)
    except TableInvalid as error:
        raise TableNotValid(faults=error.faults) from None


def publish(name: str, document: dict[str, Any], *, author: str, after: int | None = None) -> Published:
    """Store a table's next version, which is in force from now on; the same content again is a no-op.

    after: the version that must still be the latest (0: there is none yet). Raises TableNotValid, TableChanged.
    """
    return _publish(name, document, check(document), author, after)


@retry_transaction
def _publish(name: str, document: dict[str, Any], table: Table, author: str, after: int | None) -> Published:
    hashed = content_hash(document)
    with transaction.atomic():
        owner, latest = take_turn(DecisionTable, name)
        if latest and latest.content_hash == hashed:
            return Published(name, latest.number, hashed, False, table)
        if after is not None and owner.latest != after:
            raise TableChanged(f"Version {owner.latest} was published meanwhile, by {latest.author or 'somebody'}.")
        version = add_version(owner, content_hash=hashed, document=document, author=author)
    return Published(name, version.number, hashed, True, table)


def page(
    *, after: str | None = None, limit: int, spaces: Collection[str] | None = None
) -> tuple[list[DecisionVersion], str | None]:
    """The latest version of each table, by name, behind the name `after`; and the name to go on behind, if there are
    more than `limit`. spaces: only those that workflows in these ask."""
    latest = DecisionVersion.objects.filter(number=F("table__latest")).select_related("table")
    if spaces is not None:
        latest = latest.filter(table__name__in=tables_in(spaces))
    if after is not None:
        latest = latest.filter(table__name__gt=after)
    found = list(latest.order_by("table__name")[: limit + 1])
    return found[:limit], found[limit - 1].table.name if len(found) > limit else None


def history(name: str) -> list[DecisionVersion]:
    """The latest versions of a table, newest first, without their documents. Raises UnknownTable."""
    versions = DecisionVersion.objects.filter(table__name=name).select_related("table").defer("document")
    found = list(versions.order_by("-number")[:VERSIONS_SHOWN])
    if not found:
        raise UnknownTable
    return found


def version(name: str, number: int | None = None) -> DecisionVersion:
    """A version; None: the one in force. Raises UnknownTable, UnknownTableVersion."""
    of_name = DecisionVersion.objects.filter(table__name=name).select_related("table")
    found = of_name.filter(number=F("table__latest") if number is None else number).first()
    if found is None:
        if number is not None and of_name.exists():
            raise UnknownTableVersion(f'The decision table "{name}" has no version {number}.')
        raise UnknownTable(f'There is no decision table "{name}". GET /api/v1/decisions lists those there are.')
    return found
