"""Which runs are meant: the filters that lists and operations on many runs share, as SQL.

Note [Filters]
Writing runs is the hot path, so a filter gets an index only where it costs the hot path nothing: those there were
(workflow, business key), and one on the code of errors, which holds no run that goes well. All others are conditions on
the rows that these and the ids leave: ids sort by their time, so a filter by time also bounds the ids. SLACK is how far
the clock of the process that made an id may be from the database's.

Note [A part of a key]
No index finds a text inside of keys but one of trigrams, and that costs each start: a key of 20 characters is 20
entries in it. So a part is looked for in `run_key`, which has nothing but keys and ids: all of it is read, but no run
is (measured: 0.6 s among two million, on a busy machine with two cores). Where more than MANY keys have it, it is a
frequent one, and the newest runs are read instead until the page is full.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from erip.foundation.keyring import hidden

#: keys with the text that is looked for, from which on it is a frequent one
MANY = 10_000
#: by how much an id may be older or younger than its run
SLACK = timedelta(days=1)

#: The expression of the index `run_error` on the runs `r`, written as Django writes `models.runs.ERROR_CODE`:
#: PostgreSQL uses an index on an expression only for the same expression.
CODE = "\"left\"(coalesce(r.error #>> ARRAY['cause', 'code'], r.error ->> 'code'), 100)"


#: of the runs `r`: their workflows are in these spaces
IN_SPACES = "r.workflow IN (SELECT name FROM workflows_workflowdefinition WHERE space = ANY(%s))"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Runs for which everything that is set holds. Moments are compared with the database's clock."""

    #: ids of runs
    ids: Sequence[str] | None = None
    workflow: str | None = None
    status: str | None = None
    lane: str | None = None
    business_key: str | None = None
    business_key_prefix: str | None = None
    business_key_contains: str | None = None
    #: of the step that failed, else of the run
    error_code: str | None = None
    #: the step because of which the run failed
    failed_step: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    ended_after: datetime | None = None
    ended_before: datetime | None = None
    #: whether it has a retry
    retried: bool | None = None
    #: spaces of their workflows: to which the caller is confined, and no part of what was asked for
    spaces: Collection[str] | None = None

    def document(self) -> dict[str, Any]:
        """What is set, as JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: value.isoformat() if isinstance(value, datetime) else list(value) if name == "ids" else value
            for name, value in values.items()
            if value is not None and name != "spaces"
        }

    def where(self) -> tuple[str, list[Any]]:
        """A condition on the table of runs, which is called `r`, and its parameters."""
        parts: list[str] = ["true"]
        parameters: list[Any] = []

        def add(part: str, *values: Any) -> None:
            parts.append(part)
            parameters.extend(values)

        if self.spaces is not None:
            add(IN_SPACES, list(self.spaces))
        if self.ids is not None:
            add("r.id = ANY(%s::uuid[])", list(self.ids))
        for column, value in (
            ("workflow", self.workflow),
            ("state", self.status),
            ("lane", self.lane),
        ):
            if value is not None:
                add(f"r.{column} = %s", value)
        if self.business_key is not None:
            # A workflow may store hashes of its keys.
            add("r.business_key IN (%s, %s)", self.business_key, hidden(self.business_key))
        if self.business_key_prefix is not None:
            add("r.business_key LIKE %s", _escaped(self.business_key_prefix) + "%")
        if self.business_key_contains is not None:
            add("r.business_key LIKE %s", f"%{_escaped(self.business_key_contains)}%")
        if self.error_code is not None:
            add(f"r.error IS NOT NULL AND {CODE} = %s", self.error_code)
        if self.failed_step is not None:
            add("r.error IS NOT NULL AND r.error ->> 'step' = %s", self.failed_step)
        if self.created_after is not None:
            add("r.created_at > %s AND r.id >= %s", self.created_after, _id_at(self.created_after, -SLACK))
        if self.created_before is not None:
            add("r.created_at < %s AND r.id < %s", self.created_before, _id_at(self.created_before, SLACK))
        if self.ended_after is not None:
            add("r.finished_at > %s", self.ended_after)
        if self.ended_before is not None:
            # It was created before it ended.
            add("r.finished_at < %s AND r.id < %s", self.ended_before, _id_at(self.ended_before, SLACK))
        if self.retried is not None:
            negation = "" if self.retried else "NOT "
            add(f"{negation}EXISTS (SELECT FROM workflows_runretry t WHERE t.retry_of = r.id)")
        return " AND ".join(parts), parameters


def ids_by_part_of_key(cursor: Any, table: str, text: str, *, before: UUID | None = None) -> list[UUID] | None:
    """The runs in this table whose business key holds the text, in no order; None: they are more than MANY.

    before: only runs with smaller ids. Note [A part of a key]
    """
    cursor.execute(
        f"SELECT id FROM {table} WHERE business_key LIKE %s AND (%s::uuid IS NULL OR id < %s::uuid) LIMIT %s",  # noqa: S608
        [f"%{_escaped(text)}%", before, before, MANY + 1],
    )
    found = [row[0] for row in cursor.fetchall()]
    return found if len(found) <= MANY else None


def _escaped(text: str) -> str:
    """Text as LIKE takes it, character by character."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _id_at(moment: datetime, later: timedelta) -> UUID:
    """The smallest UUIDv7 of the millisecond that is `later` than the moment, as far as there is one."""
    since = (moment - datetime(1970, 1, 1, tzinfo=UTC) + later) // timedelta(milliseconds=1)
    return UUID(int=max(0, min(since, (1 << 48) - 1)) << 80)
