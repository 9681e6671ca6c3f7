"""What was last said of each component, and since when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from monitoring.core.components import Verdict


@dataclass(frozen=True, slots=True)
class StoredState:
    state: str
    since: datetime
    identity: str
    changed_at: datetime | None


def note_states(verdicts: Iterable[Verdict]) -> list[str]:
    """Record what changed; rows that would stay as they are, are not written. Returns the components whose state
    changed."""
    rows = sorted(verdicts, key=lambda verdict: verdict.component)
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH new AS (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
                              AS n (component, state, sentence, identity)),
                 changed AS (
                SELECT n.component FROM new n JOIN monitoring_componentstate o USING (component)
                WHERE o.state <> n.state),
                 kept AS (
                INSERT INTO monitoring_componentstate AS o (component, state, since, sentence, identity)
                SELECT component, state, clock_timestamp(), sentence, identity FROM new
                ON CONFLICT (component) DO UPDATE SET
                    state = excluded.state, sentence = excluded.sentence,
                    since = CASE WHEN o.state = excluded.state THEN o.since ELSE excluded.since END,
                    identity = coalesce(nullif(excluded.identity, ''), o.identity),
                    changed_at = CASE WHEN excluded.identity NOT IN ('', o.identity) AND o.identity <> ''
                                      THEN excluded.since ELSE o.changed_at END
                WHERE o.state <> excluded.state OR excluded.identity NOT IN ('', o.identity)
                RETURNING o.component)
            SELECT component FROM changed ORDER BY component
            """,
            [
                [row.component for row in rows],
                [str(row.state) for row in rows],
                [row.sentence for row in rows],
                [row.identity for row in rows],
            ],
        )
        return [component for (component,) in cursor.fetchall()]
