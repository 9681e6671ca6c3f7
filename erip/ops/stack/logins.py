"""PostgreSQL's roles in a stack of ours, each with a password of its own (`erip.foundation.db.privileges`)."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from psycopg2 import sql

from erip.foundation.db.privileges import Roles, creation
from erip.ops.stack.ports import LOOPBACK

APP = DATABASE = "erip"
ROLES = Roles("erip_owner", APP, "erip_read", "erip_monitor", "erip_limited")
#: names in secrets.json
SECRETS = ("postgres_owner", "postgres_read", "postgres_monitor")


@dataclass(frozen=True)
class Logins:
    """The passwords."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    read: str = field(repr=False)
    monitor: str = field(repr=False)

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> "Logins":
        owner, read, monitor = (secrets[name] for name in SECRETS)
        return cls(owner, secrets["postgres_app"], read, monitor)

    def owner_url(self, port: int) -> str:
        """What goes into DATABASE_OWNER_URL."""
        return f"postgres://{ROLES.owner}:{quote(self.owner, safe='')}@{LOOPBACK}:{port}/{DATABASE}"


def make_roles(connect: Callable[[str], Any], logins: Logins) -> None:
    """Make the roles and the database, or bring them in line: one of an older release belonged to the application.

    connect: opens a superuser's connection to a database. Raises psycopg2.Error. It states the wanted result, whatever
    is there, so the next start completes one that was interrupted. Rows and tables get their privileges at `migrate`.
    """
    passwords = {
        ROLES.owner: logins.owner, ROLES.app: logins.app, ROLES.read: logins.read, ROLES.monitor: logins.monitor
    }  # fmt: skip
    with closing(connect("postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(passwords)])
            there = {name for (name,) in cursor.fetchall()}
            for role, password in passwords.items():
                verb = "ALTER" if role in there else "CREATE"
                give = sql.SQL(f"{verb} ROLE {{}} LOGIN PASSWORD %s").format(sql.Identifier(role))
                cursor.execute(give, [password])
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLES.owner}")
    with closing(connect(DATABASE)) as connection, connection, connection.cursor() as cursor:
        for statement in creation(ROLES, DATABASE):
            cursor.execute(statement)
