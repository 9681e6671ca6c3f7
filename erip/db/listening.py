"""LISTEN on a connection of its own: none of a pool's, to which it would go back listening."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from django.db import connection


@contextmanager
def listening(channel: str) -> Iterator[Any]:
    """A connection on which `heard` tells what is announced from now on. Raises psycopg2.Error."""
    raw = psycopg2.connect(**connection.get_connection_params())
    try:
        raw.autocommit = True
        with raw.cursor() as cursor:
            cursor.execute(f"LISTEN {channel}")
        yield raw
    finally:
        raw.close()


def heard(raw: Any, *, seconds: float) -> list[str]:
    """The payloads that came in, after waiting for the first for `seconds` at most. Raises psycopg2.Error."""
    select.select([raw], [], [], seconds)
    raw.poll()
    payloads = [notify.payload for notify in raw.notifies]
    raw.notifies.clear()
    return payloads
