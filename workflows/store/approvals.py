"""Approval tasks: opened and closed by the statement that writes their steps, noted and claimed by people."""

from django.db import connection

#: Barred are who started the run and who published its definition; of each that is a key, who owns it or did, and who
#: has seen a secret of it; and so on, if that is a key again (UNION ends where keys made each other).
#: Keys are found by the index of names: this is planned without sequential scans, and one would have it compiled.
#: columns of `v`. roles: JSON, as an array of arrays must be rectangular
OPEN = """ opened AS (
INSERT INTO workflows_approvaltask
    (run_id, step, workflow, business_key, version_id, title, content, content_hash, seats, roles, barred,
     next_at)
SELECT v.run_id, v.step, v.workflow, v.business_key, v.version_id, v.title, v.content::jsonb, v.content_hash, v.seats,
       ARRAY(SELECT jsonb_array_elements_text(v.roles::jsonb)),
       array_remove(ARRAY[
           s.by::text,
           (SELECT nullif(w.author, '') FROM workflows_workflowversion w WHERE w.id = v.version_id)::text]
       -- by the index of names: this is planned without sequential scans, and one would have it compiled each time
       || (WITH RECURSIVE k AS (
             SELECT a.id, a.created_by, a.rotated_by, a.owner_id, a.behind
             FROM unnest(ARRAY[
                 s.by, (SELECT w.author FROM workflows_workflowversion w WHERE w.id = v.version_id)]::text[]) b (by)
             JOIN access_apikey a ON a.name = substr(b.by, 5) AND left(b.by, 4) = 'key:'
             UNION
             SELECT a.id, a.created_by, a.rotated_by, a.owner_id, a.behind
             FROM k CROSS JOIN unnest(ARRAY[k.created_by, k.rotated_by]::text[] || k.behind::text[]) b (by)
             JOIN access_apikey a ON a.name = substr(b.by, 5) AND left(b.by, 4) = 'key:')
           SELECT array_agg(DISTINCT x.who) FROM k LEFT JOIN auth_user o ON o.id = k.owner_id
           CROSS JOIN unnest(
             ARRAY[nullif(k.created_by, ''), nullif(k.rotated_by, ''), 'user:' || o.username]::text[]
             || k.behind::text[]) x (who)
           WHERE x.who IS NOT NULL), NULL),
       clock_timestamp() + make_interval(secs => v.first)
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[],
            %s::int[], %s::text[], %s::float8[], %s::text[])
  AS v (run_id, step, workflow, business_key, version_id, title, content, content_hash, seats, roles, first, started_by)
CROSS JOIN LATERAL (
    SELECT coalesce(nullif(v.started_by, ''), (SELECT started_by FROM workflows_workflowrun r WHERE r.id = v.run_id))
) s (by)
{condition}
)"""

CLOSE = """ closed AS (
UPDATE workflows_approvaltask t SET closed_at = clock_timestamp(), outcome = v.outcome
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS v (run_id, step, outcome)
WHERE t.run_id = v.run_id AND t.step = v.step AND t.closed_at IS NULL AND v.run_id IN (SELECT id FROM won)
)"""


def note(run_id: str, type: str, step: str, detail: str) -> None:
    """Record something about an approval in the run's history. detail: JSON. Needs the run's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_runevent (run_id, at, type, step, item, detail)
            VALUES (%s, clock_timestamp(), %s, %s, -1, %s::jsonb)
            """,
            [run_id, type, step, detail],
        )


def claim_task(number: int, by: str) -> bool:
    """Say who looks after an open task; '': nobody. Returns whether it is open, and nobody else's."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_approvaltask SET claimed_by = %s, claimed_at = CASE WHEN %s = '' THEN NULL ELSE now() END
            WHERE id = %s AND closed_at IS NULL
            """,
            [by, by, number],
        )
        return bool(cursor.rowcount)


def climb(number: int, seconds: float | None) -> None:
    """The rung that was due was climbed. seconds: from the opening to the next one; None: there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_approvaltask SET rung = rung + 1, next_at = opened_at + make_interval(secs => %s)
            WHERE id = %s AND closed_at IS NULL
            """,
            [seconds, number],
        )
