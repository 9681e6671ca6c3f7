"""All SQL that changes deliveries.

Note [Who delivers]
A worker claims a delivery by locking the row of its subscription: so no two workers count at the same time what is in
flight to it, and the limit holds over all workers. A claim is a lease: it ends at `due_at`, and if nothing was recorded
by then (because the worker is gone) the delivery is due again. `attempts` is the claim's fencing token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from workflows.store import to_array


@dataclass(frozen=True, slots=True)
class NewDelivery:
    subscription_id: str
    partition: int
    position: int
    logged_at: datetime
    type: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this worker has claimed and will make."""

    id: int
    #: counts the claims: the fencing token
    number: int
    #: claims since the delivery was last requested, from 1
    tries: int
    subscription_id: str
    url: str
    secret_version: int
    rotated_at: datetime | None
    #: the CloudEvent in JSON; None if the log does not have it any more
    body: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an attempt. pause: seconds until the next one; None: there is none."""

    delivered: bool
    milliseconds: int
    status: int | None = None
    error: str = ""
    pause: float | None = None
    #: why the subscription is to be disabled
    gone: str = ""


def insert_deliveries(new: Sequence[NewDelivery]) -> int:
    """Insert deliveries of events to subscriptions, in the caller's transaction. Subscriptions that were disabled
    meanwhile are left out. Returns how many deliveries were inserted."""
    columns = [
        to_array(column)
        for column in zip(
            *((n.subscription_id, n.partition, n.position, n.logged_at, n.type, n.event_id) for n in new), strict=True
        )
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO events_delivery (subscription_id, partition, position, logged_at, type, event_id, state)
            SELECT v.subscription, v.partition, v.position, v.logged_at, v.type, v.event_id, 'PENDING'
            FROM unnest(%s::uuid[], %s::int[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[])
              WITH ORDINALITY AS v (subscription, partition, position, logged_at, type, event_id, place)
            JOIN events_subscription s ON s.id = v.subscription AND s.enabled
            ORDER BY v.place
            """,
            columns,
        )
        count: int = cursor.rowcount
        return count


def claim_deliveries(*, limit: int, in_flight: int, lease: float, limits: Mapping[str, int]) -> list[Claimed]:
    """Take up to `limit` deliveries that are due, one subscription after the other, for `lease` seconds.

    in_flight: how many may be on their way to one subscription, from all workers. limits: lower limits of certain
    subscriptions.
    """
    blocked = [subscription for subscription, most in limits.items() if most == 0]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.id::text FROM events_subscription s
            WHERE s.enabled AND s.id <> ALL(%s::uuid[])
              AND EXISTS (SELECT 1 FROM events_delivery d WHERE d.subscription_id = s.id
                          AND d.state IN ('PENDING', 'SENDING') AND d.due_at <= clock_timestamp())
            ORDER BY random() LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
            """,
            [blocked, limit],
        )
        subscriptions = [row[0] for row in cursor.fetchall()]
        if not subscriptions:
            return []
        # A second statement, because it must count what others claimed before these locks.
        cursor.execute(
            _CLAIM,
            {
                "subscriptions": subscriptions,
                "most": [min(in_flight, limits.get(each, in_flight)) for each in subscriptions],
                "limit": limit,
                "lease": lease,
            },
        )
        return [Claimed(*row) for row in cursor.fetchall()]


_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT d.id
    FROM unnest(%(subscriptions)s::uuid[], %(most)s::int[]) AS s (id, most)
    CROSS JOIN LATERAL (
        SELECT d.id, row_number() OVER (ORDER BY d.due_at, d.id) AS place
        FROM events_delivery d
        WHERE d.subscription_id = s.id AND d.state IN ('PENDING', 'SENDING') AND d.due_at <= clock_timestamp()
        ORDER BY d.due_at, d.id
        LIMIT greatest(0, s.most - (
            SELECT count(*) FROM events_delivery f
            WHERE f.subscription_id = s.id AND f.state = 'SENDING' AND f.due_at > clock_timestamp()))
    ) d
    ORDER BY d.place LIMIT %(limit)s
), taken AS (
    UPDATE events_delivery d
    SET state = 'SENDING', attempts = d.attempts + 1, tries = d.tries + 1,
        due_at = clock_timestamp() + make_interval(secs => %(lease)s)
    -- A late worker may have recorded its outcome meanwhile.
    FROM due WHERE d.id = due.id AND d.state IN ('PENDING', 'SENDING')
    RETURNING d.*
), noted AS (
    INSERT INTO events_deliveryattempt (delivery_id, number) SELECT id, attempts FROM taken
)
SELECT t.id, t.attempts, t.tries, s.id::text, s.url, s.secret_version, s.rotated_at, coalesce(t.body, e.event)
FROM taken t
JOIN events_subscription s ON s.id = t.subscription_id
LEFT JOIN events_event e ON e.partition = t.partition AND e.position = t.position AND e.logged_at = t.logged_at
ORDER BY t.id
"""


def record_outcome(claimed: Claimed, outcome: Outcome, *, disable_after: float) -> bool:
    """Record the result. Returns whether it counts: it does not if another worker has taken the delivery meanwhile.

    disable_after: seconds of failures without a success after which the subscription is disabled.
    """
    parameters: dict[str, Any] = {
        "id": claimed.id,
        "number": claimed.number,
        "delivered": outcome.delivered,
        "pause": outcome.pause,
        "milliseconds": outcome.milliseconds,
        "status": outcome.status,
        "error": outcome.error[:500],
        "subscription": claimed.subscription_id,
        "gone": outcome.gone[:500],
        "disable_after": disable_after,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, parameters)
        return bool(cursor.fetchone()[0])


# The row of the subscription is written only where something about it changes.
_RECORD = """
WITH noted AS (
    UPDATE events_deliveryattempt SET milliseconds = %(milliseconds)s, status = %(status)s, error = %(error)s
    WHERE delivery_id = %(id)s AND number = %(number)s
), recorded AS (
    UPDATE events_delivery
    SET state = CASE WHEN %(delivered)s THEN 'DELIVERED' WHEN %(pause)s::float8 IS NULL THEN 'FAILED'
                     ELSE 'PENDING' END,
        due_at = clock_timestamp() + make_interval(secs => coalesce(%(pause)s::float8, 0)),
        finished_at = CASE WHEN %(delivered)s OR %(pause)s::float8 IS NULL THEN clock_timestamp() END
    WHERE id = %(id)s AND attempts = %(number)s AND state = 'SENDING'
    RETURNING id
), told AS (
    UPDATE events_subscription
    SET failing_since = CASE WHEN NOT %(delivered)s THEN coalesce(failing_since, clock_timestamp()) END,
        enabled = %(delivered)s
                  OR (%(gone)s = '' AND coalesce(failing_since, clock_timestamp())
                      > clock_timestamp() - make_interval(secs => %(disable_after)s)),
        disabled_at = CASE WHEN NOT %(delivered)s
                            AND (%(gone)s <> '' OR coalesce(failing_since, clock_timestamp())
                                 <= clock_timestamp() - make_interval(secs => %(disable_after)s))
                           THEN clock_timestamp() END,
        disabled_reason = CASE WHEN %(delivered)s THEN '' WHEN %(gone)s <> '' THEN %(gone)s
                               WHEN failing_since <= clock_timestamp() - make_interval(secs => %(disable_after)s)
                               THEN 'no delivery has succeeded since ' || failing_since ELSE '' END
    WHERE id = %(subscription)s::uuid AND enabled
      AND (CASE WHEN %(delivered)s THEN failing_since IS NOT NULL
                ELSE failing_since IS NULL OR %(gone)s <> ''
                     OR failing_since <= clock_timestamp() - make_interval(secs => %(disable_after)s) END)
)
SELECT EXISTS (SELECT FROM recorded)
"""


def send_again(delivery_id: int) -> bool:
    """Make it due now, to be tried as often as a new one. False if it is on its way this moment, or gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE events_delivery SET state = 'PENDING', tries = 0, due_at = clock_timestamp(), finished_at = NULL
            WHERE id = %s AND (state <> 'SENDING' OR due_at < clock_timestamp())
            """,
            [delivery_id],
        )
        return bool(cursor.rowcount)


def forget_deliveries(*, older_than: float, limit: int) -> int:
    """Delete up to `limit` deliveries that ended more than `older_than` seconds ago, with their attempts. Returns how
    many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH old AS (
                SELECT id FROM events_delivery WHERE finished_at < now() - make_interval(secs => %s)
                ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED
            ), attempts AS (DELETE FROM events_deliveryattempt WHERE delivery_id IN (SELECT id FROM old))
            DELETE FROM events_delivery WHERE id IN (SELECT id FROM old)
            """,
            [older_than, limit],
        )
        count: int = cursor.rowcount
        return count


def delete_subscription(subscription_id: str) -> bool:
    """Delete it with all its deliveries, however many. Returns whether there was one."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Lock it first: a consumer that is about to add deliveries then waits, and finds it gone.
        cursor.execute("SELECT 1 FROM events_subscription WHERE id = %s FOR UPDATE", [subscription_id])
        if cursor.fetchone() is None:
            return False
        cursor.execute(
            """
            WITH gone AS (DELETE FROM events_delivery WHERE subscription_id = %s RETURNING id)
            DELETE FROM events_deliveryattempt WHERE delivery_id IN (SELECT id FROM gone)
            """,
            [subscription_id],
        )
        cursor.execute("DELETE FROM events_subscription WHERE id = %s", [subscription_id])
        return True
