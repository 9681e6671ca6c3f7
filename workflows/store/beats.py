"""What long steps said. See Note [Heartbeats] in `worker/beats`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from workflows.store.values import from_json, to_array


@dataclass(frozen=True, slots=True)
class Word:
    """The last word of an attempt. progress, cursor: JSON; None: nothing was said of it."""

    run_id: str
    step: str
    item: int
    attempt: int
    progress: str | None
    cursor: str | None


# A word of a run that is archived meanwhile is dropped, not an error that would cost the others of its round.
_RECORD = """
INSERT INTO workflows_stepbeat AS b (run_id, step, item, attempt, at, progress, cursor)
SELECT v.run_id, v.step, v.item, v.attempt, clock_timestamp(), v.progress::jsonb, v.cursor::jsonb
FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[], %s::text[], %s::text[])
  AS v (run_id, step, item, attempt, progress, cursor)
WHERE EXISTS (SELECT FROM workflows_workflowrun r WHERE r.id = v.run_id)
ORDER BY v.run_id, v.step, v.item
ON CONFLICT (run_id, step, item) DO UPDATE
SET attempt = excluded.attempt, at = excluded.at, progress = coalesce(excluded.progress, b.progress),
    cursor = coalesce(excluded.cursor, b.cursor)
WHERE b.attempt <= excluded.attempt
"""


def record_words(words: Sequence[Word]) -> None:
    """Write the last words of attempts, in one statement. Needs no transaction."""
    columns = zip(
        *((one.run_id, one.step, one.item, one.attempt, one.progress, one.cursor) for one in words), strict=True
    )
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [to_array(column) for column in columns])


def cursor_of(run_id: str, step: str, item: int) -> Any:
    """The cursor that an earlier attempt left; None if none did."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT cursor::text FROM workflows_stepbeat WHERE run_id = %s AND step = %s AND item = %s",
            [run_id, step, item],
        )
        row = cursor.fetchone()
    return from_json(row[0]) if row else None
