"""Statements that PostgreSQL parses and plans once for each connection.

Note [Prepared statements]
The statements that each run executes are long, and planning one takes longer than executing it: a tenth of a lone
run's time from request to outcome. psycopg2 prepares nothing by itself, so PREPARE and EXECUTE are sent as SQL. A
prepared statement belongs to the connection and outlives a rollback. Behind a pooler that gives each transaction
another connection (PgBouncer in transaction mode) it must be off: ERIP_DB_PREPARE=false.

Preparing is not enough: as long as plans for the current parameters look cheaper, PostgreSQL makes one each time, and
these do, because it cannot tell how long an array will be (measured: 299 plans for 299 claims, 300 for 300 starts; in
one run of both, a lone run's median fell by a tenth and PostgreSQL's CPU time by a fifth without them). Therefore
PostgreSQL is made to use the generic plan.

A plan stays as it is while its tables grow: one made when they were empty reads them from end to end, and goes on doing
so (measured: a fifth of the throughput). Therefore plans are made without sequential scans, which no statement worth
preparing needs.

Every parameter needs a type that PostgreSQL can tell from its place, so arrays are handed in as text and cast.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings

_INDEXES_ONLY = "SET LOCAL enable_seqscan = off;\n"
_PLANNED_ONCE = _INDEXES_ONLY + "SET LOCAL plan_cache_mode = force_generic_plan;\n"
_PLACE = re.compile(r"%(?:\((\w+)\))?s|%%")

#: by psycopg2 connection
_prepared: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()


def execute(
    cursor: Any, statement: str, parameters: Sequence[Any] | Mapping[str, Any], *, settings_first: str = ""
) -> None:
    """`cursor.execute(statement, parameters)`, prepared. Raises what that raises.

    settings_first: a SET LOCAL that is sent with it. statement: one of a limited number of texts.
    """
    if not settings.ERIP_DB_PREPARE:
        cursor.execute(settings_first + _INDEXES_ONLY + statement, parameters)
        return
    name, text, order = _translated(statement)
    known = _prepared.setdefault(cursor.connection, set())
    if name not in known:
        cursor.execute(f"PREPARE {name} AS {text}")
        known.add(name)
    values = parameters if order is None else [parameters[key] for key in order]  # type: ignore[call-overload]
    cursor.execute(f"{settings_first}{_PLANNED_ONCE}EXECUTE {name} ({', '.join(['%s'] * len(values))})", values)


@lru_cache(maxsize=1_000)
def _translated(statement: str) -> tuple[str, str, tuple[str, ...] | None]:
    """The statement's name and its text with $1, $2 …; the order of its parameters, if they have names."""
    names: dict[str, int] = {}
    count = 0

    def place(found: re.Match[str]) -> str:
        nonlocal count
        if found[0] == "%%":
            return "%"
        if found[1]:
            return f"${names.setdefault(found[1], len(names) + 1)}"
        count += 1
        return f"${count}"

    text = _PLACE.sub(place, statement)
    digest = blake2b(statement.encode(), digest_size=12).hexdigest()
    return f"erip_{digest}", text, tuple(names) or None
