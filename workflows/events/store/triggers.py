"""What triggers write, all in the consumer's transaction.

Note [Lock order of triggers]
A transaction that starts runs locks its cases in the order of their keys, after the partitions and the identities, and
after that it only inserts. So two consumers with events of the same case take turns, and never wait in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from workflows.store import to_array


@dataclass(frozen=True, slots=True)
class Link:
    """Which event starts which run, by which rule."""

    #: the event's identity and the rule's key, as UUIDs in hex
    event: str
    rule: str
    trigger: str
    run_id: str
    partition: int
    position: int
    logged_at: datetime
    #: the event gave a signal to the run, which others had started
    signalled: bool = False


def lock_cases(keys: Sequence[str]) -> tuple[datetime, dict[str, datetime]]:
    """Returns the database's time once the cases are locked, and until when the window of each case is or was open.

    Until the transaction ends nobody else decides on these cases. A case that is not known is not in the answer.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_CASES, [to_array(sorted(set(keys)))])
        rows = cursor.fetchall()
    now = max(row[2] for row in rows)
    return now, {_hex(key): until for key, until, _ in rows if until is not None}


# A new case gets a row so that it can be locked: the time is then read after any earlier holder has let go of it.
# Until the case has a window the row says -infinity, which Python cannot express.
_LOCK_CASES = """
INSERT INTO events_triggermark AS mark (key, until)
SELECT key, '-infinity' FROM unnest(%s::uuid[]) AS k (key) ORDER BY key
ON CONFLICT (key) DO UPDATE SET until = mark.until
RETURNING key, CASE WHEN isfinite(until) THEN until END, clock_timestamp()
"""


def open_windows(windows: Mapping[str, datetime]) -> None:
    """Open the windows of cases that this transaction has locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE events_triggermark m SET until = v.until
               FROM unnest(%s::uuid[], %s::timestamptz[]) AS v (key, until) WHERE m.key = v.key""",
            [to_array(windows), to_array(windows.values())],
        )


def link(links: Sequence[Link]) -> tuple[datetime, set[tuple[str, str]]]:
    """Note which event starts which run. Returns the database's time, and the (event, rule) pairs that are new.

    An event that has started a rule's run before starts none again.
    """
    columns = zip(
        *(
            (
                *(one.event, one.rule, one.trigger, one.run_id),
                *(one.partition, one.position, one.logged_at, one.signalled),
            )
            for one in links
        ),
        strict=True,
    )
    with connection.cursor() as cursor:
        cursor.execute(_LINK, [to_array(column) for column in columns])
        rows = cursor.fetchall()
    return rows[0][0], {(_hex(event), _hex(rule)) for _, event, rule in rows if event is not None}


_LINK = """
WITH linked AS (
    INSERT INTO events_triggeredrun (event, rule, trigger, run_id, partition, position, logged_at, signalled)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::int[], %s::bigint[], %s::timestamptz[],
                         %s::bool[])
    ON CONFLICT (event, rule) DO NOTHING
    RETURNING event, rule
)
SELECT clock_timestamp(), linked.event, linked.rule FROM (SELECT) one LEFT JOIN linked ON true
"""


def linked(pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (event, rule) pairs that have started their run already."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT t.event, t.rule FROM events_triggeredrun t
               JOIN unnest(%s::uuid[], %s::uuid[]) AS v (event, rule) ON t.event = v.event AND t.rule = v.rule""",
            [to_array(event for event, _ in pairs), to_array(rule for _, rule in pairs)],
        )
        return {(_hex(event), _hex(rule)) for event, rule in cursor.fetchall()}


def forget_closed_windows() -> int:
    """Forget cases whose window has been closed for a while: they count as unknown from then on anyway."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_triggermark WHERE until < clock_timestamp() - interval '1 minute'")
        count: int = cursor.rowcount
        return count


def rules_token() -> Any:
    """Changes with every version of a workflow and of a stored rule that is published, and with nothing else."""
    return _token("workflows_workflowdefinition", "events_trigger")


def types_token() -> Any:
    """Changes with every version of an event type that is registered, and with nothing else."""
    return _token("events_eventtype")


def _token(*tables: str) -> Any:
    # `latest` is only ever raised, in the transaction that publishes: the sum changes when that is committed, in
    # whatever order. The highest id of the versions would not do: ids are not committed in their order.
    sums = ", ".join(f"(SELECT coalesce(sum(latest), 0) FROM {table})" for table in tables)  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sums}")
        return cursor.fetchone()


def _hex(value: Any) -> str:
    return str(value.hex)
