"""manage.py await_primary: returns when the database takes writes. For processes of a region that follows."""

import time
from typing import Any

import psycopg2
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections


class Command(BaseCommand):
    help = "Waits until the PostgreSQL of DATABASE_URL takes writes: put it before processes of a region that follows."
    # It waits for the database that they would look at.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--seconds", type=float, default=0.0, help="give up after so many; 0: never")

    def handle(self, *args: Any, **options: Any) -> None:
        began, said = time.monotonic(), ""
        while True:
            why = _why_not()
            if why is None:
                return
            if why != said:
                self.stdout.write(f"waiting: {why}")
                said = why
            if options["seconds"] and time.monotonic() - began > options["seconds"]:
                raise CommandError(f"not within {options['seconds']:.0f} s: {why}")
            time.sleep(0.5)


def _why_not() -> str | None:
    """None: it takes writes. Each time on a new connection: the one before may lead to a server that is no more."""
    try:
        connection = psycopg2.connect(**connections[DEFAULT_DB_ALIAS].get_connection_params())
    except psycopg2.OperationalError as error:
        return " ".join(str(error).split())[:200]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")
            return "PostgreSQL follows another region" if cursor.fetchone() == (True,) else None
    except psycopg2.Error as error:
        return " ".join(str(error).split())[:200]
    finally:
        connection.close()
