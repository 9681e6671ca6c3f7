"""Migrations take as long as they take. But they give up on a lock, because all later statements would wait behind
them."""

from typing import Any

from django.conf import settings
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


def _lift(using: str, **_: Any) -> None:
    connection: Any = connections[using]
    connection.unhurried = True
    # Otherwise the limits are the role's, and migrations go past the pooler with a role that has none.
    if settings.ERIP_DB_PREPARE:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")


def _restore(using: str, **_: Any) -> None:
    connection: Any = connections[using]
    connection.unhurried = False
    if settings.ERIP_DB_PREPARE:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")


pre_migrate.connect(_lift, dispatch_uid="erip.foundation.db.migrating.lift")
post_migrate.connect(_restore, dispatch_uid="erip.foundation.db.migrating.restore")
