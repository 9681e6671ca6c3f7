"""Django's PostgreSQL backend, with a quick way to empty the tables between two tests.

Django truncates all of them, used or not, and then makes every content type and permission anew: 0.1 s a test. Here a
table is truncated only when it has a file with something in it; a table without one is already empty. What
belongs to the models and not to a test, their content types and permissions, stays.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.management import create_contenttypes
from django.db.backends.postgresql import base, operations
from django.db.models.signals import post_migrate

from erip.foundation.db import committing

KEPT = ("django_content_type", "auth_permission")
EMPTY = """
DO $$
DECLARE used text;
BEGIN
    SELECT string_agg(oid::regclass::text, ', ') INTO used FROM pg_class
    WHERE oid = ANY (ARRAY[{tables}]::regclass[]) AND (relkind = 'p' OR pg_relation_size(oid) > 0);
    IF used IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || used || ' {restart} CASCADE';
    END IF;
END $$"""


class DatabaseOperations(operations.DatabaseOperations):
    def sql_flush(
        self, style: object, tables: Sequence[str], *, reset_sequences: bool = False, allow_cascade: bool = False
    ) -> list[str]:
        names = ", ".join(f"'{self.quote_name(table)}'" for table in tables if table not in KEPT)
        return [EMPTY.format(tables=names, restart="RESTART IDENTITY" if reset_sequences else "")] if names else []


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations

    def _commit(self) -> None:
        after = committing.act(self)
        super()._commit()
        after()


_CREATES = "django.contrib.auth.management.create_permissions"


def keep_content_types_and_permissions() -> None:
    """After the database is made, there is no need to check after every test that they still exist."""
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid=_CREATES)


@contextmanager
def making_content_types_and_permissions() -> Iterator[None]:
    """For a test that migrates a database of its own: also after that of all tests was made."""
    kept = not post_migrate.disconnect(create_contenttypes)
    post_migrate.connect(create_contenttypes)
    post_migrate.connect(create_permissions, dispatch_uid=_CREATES)
    try:
        yield
    finally:
        if kept:
            keep_content_types_and_permissions()
