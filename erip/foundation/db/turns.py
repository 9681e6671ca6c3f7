"""Who stores something under a name takes turns with all others who do, also when there is nothing of that name yet."""

from django.db import DEFAULT_DB_ALIAS, connections


def take_turn(table: str, name: str) -> None:
    """Wait until no other transaction that took its turn here goes on, and keep it until this one ends. Call it first
    in a transaction: a row that is not there cannot be locked, and two that insert it would collide."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [table, name])
