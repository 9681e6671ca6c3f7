"""Events of the log that are to take effect again: they travel in blocks like new ones, and are not logged again."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg2
from django.db import connection

from workflows.core.blocks import Entry, encode
from workflows.events.effects import LoggedEvent
from workflows.journal.store import CHANNEL

#: events in one block
PER_BLOCK = 200


def insert_replays(events: Iterable[LoggedEvent], target: str) -> int:
    """Journal these events for `target` alone, each in its partition and in the order given. Needs a transaction.
    Returns how many."""
    count = 0
    waiting: dict[int, list[Entry]] = defaultdict(list)
    for event in events:
        count += 1
        entries = waiting[event.partition]
        entries.append(
            Entry(
                event.type,
                event.source,
                event.subject,
                event.id,
                event.text,
                (event.partition, event.position, event.logged_at.isoformat(), event.accepted_at.isoformat()),
                event.sender,
            )
        )
        if len(entries) == PER_BLOCK:
            _insert(event.partition, waiting.pop(event.partition), target)
    for partition, entries in waiting.items():
        _insert(partition, entries, target)
    if count:
        _announce()
    return count


def insert_again(partition: int, entries: Sequence[Entry]) -> None:
    """Journal events that could not even be logged, as if they had just come in. Needs a transaction."""
    _insert(partition, entries, None)
    _announce()


def _insert(partition: int, entries: Sequence[Entry], target: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_block (partition, events, body, replay) VALUES (%s, %s, %s, %s)",
            [partition, len(entries), psycopg2.Binary(encode(entries)), target],  # type: ignore[list-item]
        )


def _announce() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {CHANNEL}")


def logged_events(where: str, parameters: Sequence[Any], *, chunk: int) -> Iterator[list[LoggedEvent]]:
    """The events of the log for which `where` holds, by partition and position, in chunks. Needs a transaction (it
    reads with a server-side cursor)."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            "SELECT partition, position, logged_at, accepted_at, type, source, subject, event_id, event, "  # noqa: S608
            f"sender FROM events_event WHERE {where} ORDER BY partition, position",
            list(parameters),
        )
        while rows := cursor.fetchmany(chunk):
            yield [
                LoggedEvent(
                    number, position, logged_at, accepted_at, type_, source, subject, id_, text.encode(), None, sender
                )
                for number, position, logged_at, accepted_at, type_, source, subject, id_, text, sender in rows
            ]
