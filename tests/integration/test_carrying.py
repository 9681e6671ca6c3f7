"""The single stack's data, carried over into a highly available stack's database, with real servers and programs."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from erip.ops.stack import carrying
from erip.ops.stack.binaries import find_postgres
from erip.ops.stack.errors import MissingServer, StackError
from erip.ops.stack.privileges import choose_user, server_home
from erip.ops.stack.state import State
from tests.support.api import DEFINITION, INPUT
from workflows import engine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def programs() -> Path:
    state = State.from_environment()
    user = choose_user(state)
    try:
        folder = find_postgres(server_home(state, user) / "wheels", user).path.parent
    except MissingServer as error:
        pytest.skip(str(error))
    if not (folder / "pg_dump").exists():
        pytest.skip("this PostgreSQL came without pg_dump")
    return folder


@pytest.fixture
def url() -> Any:
    """A function: the URL of a database on the server of the tests."""
    known = settings.DATABASES["default"]

    def of(name: str) -> str:
        user, password = known["USER"], known["PASSWORD"]
        return f"postgres://{user}:{password}@{known['HOST']}:{known['PORT']}/{name}"

    return of


@pytest.fixture
def target(url: Any) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS carried")
        cursor.execute("CREATE DATABASE carried")
    yield url("carried")
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE carried WITH (FORCE)")


def ask(database: str, statement: str) -> Any:
    with closing(psycopg2.connect(database)) as opened, opened.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def test_everything_comes_along_once_and_never_over_what_somebody_made(
    programs: Path, url: Any, target: str, monkeypatch: Any
) -> None:
    engine.publish(None, DEFINITION, "yaml", author="user:anna")
    run = engine.start_runs("look-up", [engine.StartRequest(INPUT)], principal="user:anna")[0]
    source = url(connection.settings_dict["NAME"])
    env = {"PATH": "/usr/bin:/bin"}

    carrying.copy(source, target, programs, env)

    assert ask(target, "SELECT id::text, state FROM workflows_workflowrun")[0] == str(run.id)
    counted = "SELECT count(*), sum(n) FROM (SELECT (xpath('/row/c/text()', query_to_xml(format("
    counted += "'SELECT count(*) AS c FROM %I', tablename), false, true, '')))[1]::text::int AS n "
    counted += "FROM pg_tables WHERE schemaname = 'public') AS tables"
    assert ask(target, counted) == ask(source, counted)
    triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
    assert ask(target, triggers) == ask(source, triggers)

    with pytest.raises(StackError, match="of its own"):
        carrying.copy(source, target, programs, env)
    assert ask(target, "SELECT count(*) FROM workflows_workflowrun") == (1,)


def test_a_copy_that_fails_says_why_and_where_the_data_is(programs: Path, url: Any, target: str) -> None:
    with pytest.raises(StackError, match=r"pg_dump: .*The single stack's is unchanged"):
        carrying.copy(url("no_such_database"), target, programs, {"PATH": "/usr/bin:/bin"})
    with pytest.raises(StackError, match="There is no pg_dump"):
        carrying.copy(url("erip"), target, programs / "nowhere", {})


@pytest.mark.parametrize(
    ("single", "ha", "as_ha", "carry", "said"),
    [
        (True, False, True, False, carrying.BEGINS_EMPTY),
        (True, False, True, True, None),
        (True, True, True, False, None),
        (False, False, True, False, None),
        (False, True, False, False, carrying.SINGLE_BEGINS_EMPTY),
        (True, True, False, False, None),
    ],
)
def test_a_stack_that_begins_empty_beside_data_says_so(
    tmp_path: Path, single: bool, ha: bool, as_ha: bool, carry: bool, said: str | None
) -> None:
    for there, folder in ((single, "postgres"), (ha, "ha/postgres-2/data")):
        if there:
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "PG_VERSION").write_text("15\n")
    assert carrying.notice(tmp_path, ha=as_ha, carry=carry) == said
