"""Large documents are compressed by lz4, unless somebody has chosen otherwise."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from django.core.management import call_command
from django.db import connection

from erip.foundation.db.compression import prefer_lz4
from erip.foundation.db.pooled import pool
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.servers import Server, private_servers
from tests.support.databases import in_place_of_ours

#: larger than a row may be, and easily compressed
DOCUMENT = "lawful " * 3_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_servers(redis=False, fsync=False) as (started, _):
        assert started is not None
        yield started


@contextmanager
def database(server: Server, name: str, *, owner: str | None = None) -> Iterator[Any]:
    """A new database; the connection `default` is to it meanwhile, as the server's role. Yields its superuser."""
    with closing(as_superuser(server, "postgres")) as raw:
        raw.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
        raw.cursor().execute(f"CREATE DATABASE {name} OWNER {owner or server.kind.role}")
    url = server.url.rpartition("/")[0] + f"/{name}"
    with closing(as_superuser(server, name)) as raw, in_place_of_ours(primary=url):
        yield raw


def as_superuser(server: Server, name: str) -> Any:
    kind = server.kind
    raw = psycopg2.connect(
        host=LOOPBACK, port=server.port, dbname=name, user="postgres", password=kind.superuser_password
    )
    raw.autocommit = True
    return raw


def can(raw: Any) -> bool:
    with raw.cursor() as cursor:
        cursor.execute("SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
        return bool(cursor.fetchone()[0])


def way_of_a_new_session() -> str | None:
    """How a document that a new session of the platform writes is compressed."""
    connection.close()
    pool.close_all()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE written (document text)")
        cursor.execute("INSERT INTO written VALUES (%s)", [DOCUMENT])
        cursor.execute("SELECT pg_column_compression(document) FROM written")
        found = cursor.fetchone()
        cursor.execute("DROP TABLE written")
    return str(found[0]) if found else None


def test_documents_are_compressed_by_lz4_where_the_server_can(server: Server, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), database(server, "fresh") as raw:
        before = way_of_a_new_session()

        call_command("migrate", verbosity=0)

        assert before == "pglz"
        assert way_of_a_new_session() == ("lz4" if can(raw) else "pglz")


def test_what_somebody_chose_stays(server: Server, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), database(server, "chosen") as raw:
        raw.cursor().execute("ALTER DATABASE chosen SET default_toast_compression = pglz")

        way_of_a_new_session()
        prefer_lz4()

        assert way_of_a_new_session() == "pglz"


def test_who_does_not_own_the_database_changes_nothing(server: Server, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), database(server, "of_others", owner="postgres"):
        prefer_lz4()

        assert way_of_a_new_session() == "pglz"
