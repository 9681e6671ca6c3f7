"""What each of PostgreSQL's roles may do with each table: what it should be, what it is, and the statements between.

Five roles, of which the application is one:

    erip_owner     owns the database and everything in it; only `manage.py migrate` logs in as this role
    erip           the application: it reads and writes rows, and cannot change tables, triggers or the past
    erip_read      reads, without what is confidential
    erip_monitor   sees how the server is (pg_monitor), and no row
    erip_limited   nobody logs in as this one: the application becomes it to read for a caller of some spaces only (Note
                   [Second wall] in `walls`)

The first two exist because PostgreSQL lets the owner of a table do everything to it: remove its triggers, truncate it,
give itself back whatever was revoked. `Rules` says which tables are special; every other table may be read and written.
Nothing here is executed: `erip.foundation.db.roles` does that. Privileges of other roles are left alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

READ: Final = frozenset({"SELECT"})
APPEND: Final = READ | {"INSERT"}
REPLACE: Final = APPEND | {"DELETE"}
KEEP: Final = APPEND | {"UPDATE"}
WRITE: Final = REPLACE | {"UPDATE"}
PUBLIC: Final = "PUBLIC"


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of the roles. read, monitor and limited: "" where there is no such role."""

    owner: str
    app: str
    read: str = ""
    monitor: str = ""
    limited: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """Names of tables that are special.

    looked_up: the application only reads them. append_only: it adds rows and reads them. unchanging: it also removes
    rows, but changes none. kept: it also changes rows, but removes none. confidential: the role that only reads does
    not see them. walled: of these, the role for callers of some spaces sees the rows for which this SQL is true;
    open_to_all: of these, all; of any other table, none.
    """

    looked_up: frozenset[str] = frozenset()
    append_only: frozenset[str] = frozenset()
    unchanging: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    confidential: frozenset[str] = frozenset()
    walled: Mapping[str, str] = field(default_factory=dict)
    open_to_all: frozenset[str] = frozenset()

    def of(self, table: str) -> frozenset[str]:
        """What the application may do with the rows of this table; the strictest rule wins."""
        for names, verbs in (
            (self.looked_up, READ),
            (self.append_only, APPEND),
            (self.unchanging, REPLACE),
            (self.kept, KEEP),
        ):
            if table in names:
                return verbs
        return WRITE

    def names(self) -> frozenset[str]:
        named = self.looked_up | self.append_only | self.unchanging | self.kept | self.confidential
        return named | self.walled.keys() | self.open_to_all


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that privileges are granted on.

    kind: DATABASE, SCHEMA, TABLE, VIEW, SEQUENCE or FUNCTION (one that runs as its owner).
    name: bare; place: as it is written in a statement.
    partition: whether it is a part of another table, through which it is reached.
    """

    kind: str
    name: str
    place: str
    owner: str
    partition: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """grantee: a role, or PUBLIC."""

    grantee: str
    privilege: str


def wanted(thing: Thing, roles: Roles, rules: Rules) -> frozenset[Grant]:
    """What these roles and PUBLIC should hold on a thing."""
    app: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()
    monitor: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()
    if thing.kind == "DATABASE":
        app = read = monitor = frozenset({"CONNECT"})
    elif thing.kind == "SCHEMA":
        app = read = limited = frozenset({"USAGE"})
    elif thing.kind == "FUNCTION":
        app = frozenset({"EXECUTE"})
    elif thing.kind == "SEQUENCE":
        # Not UPDATE, with which a number could be given out again.
        app = frozenset({"USAGE", "SELECT"})
    elif not thing.partition:
        app = READ if thing.kind == "VIEW" else rules.of(thing.name)
        read = frozenset() if thing.name in rules.confidential else READ
        # A view shows what its owner sees.
        seen = thing.kind == "TABLE" and (thing.name in rules.walled or thing.name in rules.open_to_all)
        limited = READ if seen else frozenset()
    of_role = ((roles.app, app), (roles.read, read), (roles.monitor, monitor), (roles.limited, limited))
    return frozenset(Grant(role, privilege) for role, privileges in of_role if role for privilege in privileges)


def statements(thing: Thing, held: Iterable[Grant], roles: Roles, rules: Rules) -> list[str]:
    """What makes `held` what it should be; nothing when it is. Other roles keep what they have."""
    ours = {role for role in (roles.app, roles.read, roles.monitor, roles.limited, PUBLIC) if role}
    want, have = wanted(thing, roles, rules), frozenset(grant for grant in held if grant.grantee in ours)
    on = f"{'TABLE' if thing.kind == 'VIEW' else thing.kind} {thing.place}"
    taken = [f"REVOKE {verbs} ON {on} FROM {role}" for role, verbs in _by_role(have - want).items()]
    return taken + [f"GRANT {verbs} ON {on} TO {role}" for role, verbs in _by_role(want - have).items()]


def excess(thing: Thing, held: Iterable[Grant], roles: Roles, rules: Rules) -> list[str]:
    """One sentence for each thing that the application, or everybody, may do beyond what it should."""
    want = wanted(thing, roles, rules)
    return [
        f"{grant.grantee} may {grant.privilege} on {thing.kind.lower()} {thing.name}"
        for grant in sorted(frozenset(held) - want)
        if grant.grantee in (roles.app, roles.limited, PUBLIC)
    ]


def creation(roles: Roles, database: str) -> list[str]:
    """What a superuser says once, connected to the platform's database; each role still needs its password.

    Repeating them changes nothing. What the application's role owns becomes the owner's.
    """
    owner, app = quoted(roles.owner), quoted(roles.app)
    weak = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
    passing = (roles.app, roles.read)
    said = [
        # Row security is for the limited role alone: Note [Second wall] in `walls`.
        _role(role, f"LOGIN {weak} {'BYPASSRLS' if roles.limited and role in passing else 'NOBYPASSRLS'}")
        for role in (roles.owner, roles.app, roles.read, roles.monitor)
        if role
    ]
    if roles.limited:
        said.append(_role(roles.limited, f"NOLOGIN {weak} NOBYPASSRLS"))
        said.append(f"GRANT {quoted(roles.limited)} TO {app}")
    said.append(f"ALTER DATABASE {quoted(database)} OWNER TO {owner}")
    said.append(f"REASSIGN OWNED BY {app} TO {owner}")
    for role in (roles.owner, roles.app):
        # Its errors go to its client; the first line of one may quote a value.
        said.append(f"ALTER ROLE {quoted(role)} SET log_min_messages = 'log'")
    # Whether a replica streams, and how many sessions there are; pg_monitor would be more than that.
    said += [f"REVOKE pg_monitor FROM {app}", f"GRANT pg_read_all_stats TO {app}"]
    if roles.read:
        said.append(f"ALTER ROLE {quoted(roles.read)} SET default_transaction_read_only = on")
    if roles.monitor:
        said.append(f"GRANT pg_monitor TO {quoted(roles.monitor)}")
    return said


def quoted(name: str) -> str:
    return name if name == PUBLIC else '"' + name.replace('"', '""') + '"'


def _role(name: str, attributes: str) -> str:
    literal = name.replace("'", "''")
    make = f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{literal}') THEN CREATE ROLE {quoted(name)}; END IF;"
    return f"DO $$ BEGIN {make} ALTER ROLE {quoted(name)} {attributes}; END $$"


def _by_role(grants: Iterable[Grant]) -> Mapping[str, str]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for grant in sorted(grants):
        found[quoted(grant.grantee)].append(grant.privilege)
    return {role: ", ".join(privileges) for role, privileges in found.items()}
