"""What comes in: blocks, and how many events wait in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from django.db import connection

from erip.audit import starts as audit
from workflows.core.pressure import Pressure

#: the channel that announces that events came in (empty payload), or that partitions have no owner (OWNERS)
CHANNEL = "erip_events"
OWNERS = "owners"


def insert_blocks(
    blocks: Sequence[tuple[int, int, bytes]], senders: Sequence[Mapping[str, Any]], *, notify: bool
) -> None:
    """Insert rows of (partition, events, body). Needs no transaction: it is one itself, and commits synchronously.

    senders: who sent them, as `audit.sender` says it
    """
    values = ", ".join(["(%s, %s, %s)"] * len(blocks))
    parameters: list[Any] = [
        value for partition, events, body in blocks for value in (partition, events, psycopg2.Binary(body))
    ]
    # Several statements in one string take one round trip and one transaction.
    told = f"; {audit.VALUES}" + (f"; NOTIFY {CHANNEL}" if notify else "")
    parameters += audit.accepted(senders)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO events_block (partition, events, body) VALUES {values}{told}",  # noqa: S608  (constants)
            parameters,
        )


def pressure(*, lease: float) -> Pressure:
    """How many events wait, and how many the live consumers serve in a second."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT coalesce(sum(events - done), 0) FROM events_block),
                   (SELECT sum(rate) FROM events_consumer
                    WHERE heartbeat_at > clock_timestamp() - make_interval(secs => %s))
            """,
            [lease],
        )
        waiting, rate = cursor.fetchone()
    return Pressure(int(waiting), rate)
