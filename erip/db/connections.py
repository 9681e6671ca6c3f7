"""This thread's connection to PostgreSQL, for code that lives longer than a request."""

import contextlib

from django.db import InterfaceError, connection


def drop_connection() -> None:
    """Close it for good: `connection.close()` would hand a pooled one back, with its session's locks."""
    if connection.connection is not None:
        with contextlib.suppress(Exception):
            connection.connection.close()
    with contextlib.suppress(InterfaceError):
        connection.close()
