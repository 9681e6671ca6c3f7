"""Everything that can be read from the event bus: plain values, ready for JSON. Nothing here changes anything."""

import base64
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson
from django.db import connection

from workflows.engine.spaces import sources_in
from workflows.events import links
from workflows.events.conf import conf
from workflows.events.errors import UnknownDeadLetter, UnknownEvent
from workflows.events.identity import identity_of
from workflows.events.models import DeadLetter
from workflows.events.spaces import letters_in
from workflows.queries import Page

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events of the log. after: logged later than that. before: logged earlier than that."""

    type: str | None = None
    source: str | None = None
    subject: str | None = None
    after: datetime | None = None
    before: datetime | None = None

    def sql(self) -> tuple[str, list[Any]]:
        """A condition, and its parameters."""
        parts: list[str] = ["true"]
        parameters: list[Any] = []
        for column, operator, value in (
            ("type", "=", self.type),
            ("source", "=", self.source),
            ("subject", "=", self.subject),
            ("logged_at", ">", self.after),
            ("logged_at", "<", self.before),
        ):
            if value is not None:
                parts.append(f"{column} {operator} %s")
                parameters.append(value)
        return " AND ".join(parts), parameters


def list_events(
    wanted: Filter,
    *,
    id: str | None = None,
    oldest_first: bool = False,
    cursor: str | None = None,
    limit: int = 50,
    spaces: Collection[str] | None = None,
) -> Page:
    """Events of the log, newest first unless asked otherwise. spaces: only those of workflows in these.

    id: with a source, it names exactly one event; alone, it is a filter like the others. cursor: the one that the
    previous page gave; raises ValueError for anything else.
    """
    condition, parameters = wanted.sql()
    if spaces is not None:
        condition += " AND source = ANY(%s)"
        parameters.append(sorted(sources_in(spaces) or ()))
    if id is not None:
        condition += " AND event_id = %s"
        parameters.append(id)
        if wanted.source is not None and spaces is None:
            at = _logged_at(wanted.source, id)
            if at is not None:
                condition += " AND logged_at = %s"
                parameters.append(at)
    sign, order = (">", "ASC") if oldest_first else ("<", "DESC")
    if cursor is not None:
        # The first comparison says what is meant; the second is there because an index serves it.
        condition += f" AND (logged_at, partition, position) {sign} (%s, %s, %s) AND logged_at {sign}= %s"
        at, partition, position = read_cursor(cursor)
        parameters += [at, partition, position, at]
    limit = max(1, min(limit, MAX_PAGE))
    with connection.cursor() as database:
        database.execute(
            f"SELECT {_COLUMNS} FROM events_event WHERE {condition} "  # noqa: S608  (made of constants)
            f"ORDER BY logged_at {order}, partition {order}, position {order} LIMIT %s",
            [*parameters, limit + 1],
        )
        rows = database.fetchall()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page([_told(row) for row in rows], make_cursor(*rows[-1][:3]) if more else None)


def event_at(partition: int, position: int, *, spaces: Collection[str] | None = None) -> dict[str, Any]:
    """The event in this place of the log, with the runs that it started or gave a signal; spaces: only those of
    workflows in these. Raises UnknownEvent."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM events_event WHERE partition = %s AND position = %s",  # noqa: S608
            [partition, position],
        )
        row = cursor.fetchone()
    if row is None:
        raise UnknownEvent(f"There is no event at {partition}-{position} in the log.")
    event = orjson.loads(row[-1])
    return {**_told(row), "runs": links.runs_of(identity_of(event["source"], event["id"]), spaces=spaces)}


_COLUMNS = "logged_at, partition, position, accepted_at, sender, event"


def _told(row: Sequence[Any]) -> dict[str, Any]:
    logged_at, partition, position, accepted_at, sender, event = row
    return {
        "position": f"{partition}-{position}",
        "accepted_at": accepted_at,
        "logged_at": logged_at,
        "sender": sender,
        "event": orjson.Fragment(event),
    }


def _logged_at(source: str, id: str) -> datetime | None:
    digest = blake2b(f"{source}\0{id}".encode(), digest_size=16).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT logged_at FROM events_identity WHERE digest = %s::uuid", [digest])
        row = cursor.fetchone()
    return row[0] if row else None


def make_cursor(logged_at: datetime, partition: int, position: int) -> str:
    return base64.urlsafe_b64encode(f"{logged_at.isoformat()} {partition} {position}".encode()).decode().rstrip("=")


#: as `make_cursor` writes one
_CURSOR = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?\+00:00) ([0-9]{1,5}) ([0-9]{1,18})"
)


def read_cursor(cursor: str) -> tuple[datetime, int, int]:
    """Raises ValueError for what `make_cursor` did not make."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        found = _CURSOR.fullmatch(text)
        place = (datetime.fromisoformat(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError as error:  # binascii's and the codec's errors are ValueErrors too
        raise ValueError("is not the cursor of a page") from error
    if place is None or make_cursor(*place) != cursor:
        raise ValueError("is not the cursor of a page")
    return place


# --- status -----------------------------------------------------------------------------------------------


def status() -> dict[str, Any]:
    """How far the consumers are: lag, owner and rate of each partition, and who consumes."""
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS)
        partitions = [
            {
                "partition": number,
                "lag": int(lag),
                "oldest_seconds": round(oldest, 3) if oldest is not None else None,
                "rate": round(rate or 0.0, 1),
                "position": position,
                "owner": owner,
                "epoch": epoch,
            }
            for number, lag, oldest, rate, position, owner, epoch in cursor.fetchall()
        ]
        cursor.execute(_CONSUMERS, [conf().lease])
        consumers = [
            {
                "worker": name,
                "worker_id": worker_id,
                "alive": alive,
                "heartbeat_seconds": round(silent, 3),
                "capacity": round(capacity, 1) if capacity is not None else None,
                "partitions": owned,
            }
            for name, worker_id, alive, silent, capacity, owned in cursor.fetchall()
        ]
        cursor.execute("SELECT count(*) FROM events_deadletter WHERE resolved_at IS NULL")
        (dead,) = cursor.fetchone()
    return {
        "lag": sum(partition["lag"] for partition in partitions),
        "rate": round(sum(partition["rate"] for partition in partitions), 1),
        "dead_letters": dead,
        "partitions": partitions,
        "consumers": consumers,
    }


# A rate is written when events are taken; a partition from which nothing was taken lately has none.
_PARTITIONS = """
SELECT p.number, coalesce(b.lag, 0), extract(epoch FROM clock_timestamp() - b.oldest)::float8,
       CASE WHEN p.consumed_at > clock_timestamp() - interval '5 s' THEN p.rate END, p.position,
       coalesce(w.name, p.owner_id::text), p.epoch
FROM events_partition p
LEFT JOIN workflows_worker w ON w.id = p.owner_id
LEFT JOIN (SELECT partition, sum(events - done) AS lag, min(accepted_at) AS oldest
           FROM events_block GROUP BY partition) b ON b.partition = p.number
ORDER BY p.number
"""

_CONSUMERS = """
SELECT coalesce(w.name, c.worker_id::text), c.worker_id,
       c.heartbeat_at > clock_timestamp() - make_interval(secs => %s),
       extract(epoch FROM clock_timestamp() - c.heartbeat_at)::float8, c.rate,
       (SELECT count(*) FROM events_partition p WHERE p.owner_id = c.worker_id)
FROM events_consumer c LEFT JOIN workflows_worker w ON w.id = c.worker_id ORDER BY c.worker_id
"""


# --- dead letters -----------------------------------------------------------------------------------------


def list_dead_letters(
    *,
    status: str = "open",
    type: str | None = None,
    cursor: int | None = None,
    limit: int = 50,
    spaces: Collection[str] | None = None,
) -> Page:
    """Dead letters, newest first. status: open, retried, discarded or any. spaces: only those of rules of workflows in
    these."""
    rows = DeadLetter.objects.filter(letters_in(spaces)).order_by("-id")
    if status == "open":
        rows = rows.filter(resolved_at=None)
    elif status != "any":
        rows = rows.filter(resolution=status)
    if type is not None:
        rows = rows.filter(type=type)
    if cursor is not None:
        rows = rows.filter(id__lt=cursor)
    limit = max(1, min(limit, MAX_PAGE))
    found = list(rows[: limit + 1])
    items = [_letter(letter) for letter in found[:limit]]
    return Page(items, str(items[-1]["id"]) if len(found) > limit else None)


def dead_letter(letter_id: int) -> dict[str, Any]:
    """Raises UnknownDeadLetter."""
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise UnknownDeadLetter
    return _letter(letter)


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.pk,
        "at": letter.at,
        "position": None if letter.position is None else f"{letter.partition}-{letter.position}",
        "partition": letter.partition,
        "block": letter.block,
        "offset": letter.offset,
        "effect": letter.effect,
        "target": letter.target,
        "error": {"code": letter.code, "message": letter.message},
        "attempts": letter.attempts,
        "status": letter.resolution or "open",
        "resolved_at": letter.resolved_at,
        "resolved_by": letter.resolved_by,
        "sender": letter.sender,
        "event": orjson.Fragment(letter.event),
    }
