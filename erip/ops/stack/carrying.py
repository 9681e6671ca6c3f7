"""Takes the data of the single stack over into a highly available one that is still empty (`make up HA=1 CARRY=1`).

The two keep their data side by side, and neither sees the other's. The single stack's PostgreSQL is started for the
time of a pg_dump, and its data stays as it was. Everything is in PostgreSQL: what Redis held is dispatched anew.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from erip.ops.stack.errors import StackError
from erip.ops.stack.ports import any_free
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.servers import Server

Report = Callable[[str, float], None]

BEGINS_EMPTY = (
    "The highly available stack begins empty. The single stack's data stays where it is: `make up` shows it again. To "
    "take it along: make down, then make up HA=1 CARRY=1."
)
SINGLE_BEGINS_EMPTY = (
    "The single stack begins empty. The highly available one's data stays where it is: `make up HA=1` shows it again."
)
#: what a person or a caller put into a database; a database without any of it holds only what every start loads
OWN = """
    SELECT EXISTS (SELECT FROM workflows_workflowrun)
        OR EXISTS (SELECT FROM workflows_archivedrun)
        OR EXISTS (SELECT FROM workflows_workflowversion WHERE author <> 'bootstrap')
"""


def single_has_data(home: Path) -> bool:
    return (home / "postgres" / "PG_VERSION").exists()


def ha_has_data(home: Path) -> bool:
    return any((home / "ha").glob("postgres-*/data/PG_VERSION"))


def notice(home: Path, *, ha: bool, carry: bool) -> str | None:
    """What to say before a start under `home`: that it begins empty although the other layout has data."""
    if ha and not carry and single_has_data(home) and not ha_has_data(home):
        return BEGINS_EMPTY
    if not ha and ha_has_data(home) and not single_has_data(home):
        return SINGLE_BEGINS_EMPTY
    return None


def carry_over(single: Postgres, database: str, report: Report) -> None:
    """Copy the single stack's database into `database` (its owner's URL). Its users and API keys come along.

    Raises StackError: there is nothing to carry, the other one is not empty, or one of the programs failed.
    """
    if not single_has_data(single.home):
        raise StackError("There is no data of a single stack to carry over: start without CARRY=1.")
    began = time.monotonic()
    # On a port of its own, for these seconds: the stack's usual one may be taken by now.
    moved = replace(single, port=any_free())
    server = Server(moved)
    server.start()
    try:
        copy(moved.owner_url, database, single.binary.path.parent, server.kind.env)
    finally:
        server.stop()
    report("the single stack's data carried over", time.monotonic() - began)


def copy(source: str, target: str, programs: Path, env: dict[str, str]) -> None:
    """Replace what is in the database `target` by what is in `source`; both are URLs. Raises StackError.

    programs: the folder of pg_dump and pg_restore. The target must hold nothing of anybody's own.
    """
    for name in ("pg_dump", "pg_restore"):
        if not os.access(programs / name, os.X_OK):
            raise StackError(f"There is no {name} in {programs}: install PostgreSQL's client programs (Debian: apt "
                             "install postgresql-client), or start without CARRY=1.")  # fmt: skip
    _empty(target)
    common = ["--no-owner", "--no-privileges"]
    dump = subprocess.Popen(
        [str(programs / "pg_dump"), "--format=custom", *common, "--dbname", _without_password(source)],
        env=_with_password(env, source),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    restored = subprocess.run(
        [str(programs / "pg_restore"), "--single-transaction", *common, "--dbname", _without_password(target)],
        env=_with_password(env, target),
        stdin=dump.stdout,
        stderr=subprocess.PIPE,
        check=False,
    )
    said = dump.communicate()[1]
    for program, status, lines in (
        ("pg_dump", dump.returncode, said),
        ("pg_restore", restored.returncode, restored.stderr),
    ):
        if status != 0:
            last = (lines.decode(errors="replace").strip().splitlines() or [f"status {status}"])[-1]
            raise StackError(f"The data could not be carried over: {program}: {last}. The single stack's is unchanged.")


def _empty(target: str) -> None:
    """Make room, in one transaction: drop what every start loads. Raises StackError if there is more than that."""
    with closing(psycopg2.connect(target, connect_timeout=5)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('workflows_workflowversion') IS NOT NULL")
        (there,) = cursor.fetchone() or (False,)
        if there:
            cursor.execute(OWN)
            (own,) = cursor.fetchone() or (True,)
            if own:
                raise StackError(
                    "The highly available stack has runs or definitions of its own, and nothing may replace them: "
                    "start it without CARRY=1."
                )
        cursor.execute("DROP SCHEMA public CASCADE")
        cursor.execute("CREATE SCHEMA public")


def _without_password(url: str) -> str:
    """For a command line, which others may read."""
    parts = parse_dsn(url)
    parts.pop("password", None)
    return str(make_dsn(**parts))


def _with_password(env: dict[str, str], url: str) -> dict[str, str]:
    return {**env, "PGPASSWORD": parse_dsn(url).get("password", "")}
