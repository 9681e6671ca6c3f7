"""Applies `privileges` to a database, and says what the application's role may do beyond them.

Note [Owner]
The application logs in as a role that owns nothing. Its owner's login (DATABASE_OWNER_URL) is for `manage.py migrate`
alone: `as_owner` gives the connection of one process that login for a while, so that migrations, and whatever they
call, need not know of it. Without that setting everything is one role's, as before.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from erip.foundation.db import walls
from erip.foundation.db.privileges import Grant, Roles, Rules, Thing, excess, statements

#: all that can be granted on, with what is granted: one row for each grant, and one for a thing without any
_THINGS: Final = """
WITH schema AS (SELECT current_schema()::regnamespace AS oid),
relation AS (
    SELECT c.*, CASE WHEN relkind = 'S' THEN 'SEQUENCE' WHEN relkind IN ('v', 'm') THEN 'VIEW' ELSE 'TABLE' END AS kind
    FROM pg_class c, schema WHERE c.relnamespace = schema.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
),
thing AS (
    SELECT kind, relname::text AS name, oid::regclass::text AS place, relowner AS owner, relispartition AS partition,
           coalesce(relacl, acldefault(CASE kind WHEN 'SEQUENCE' THEN 's' ELSE 'r' END::"char", relowner)) AS acl
    FROM relation
    UNION ALL  -- revoking a privilege on a table revokes it on the columns too
    SELECT kind, relname, relation.oid::regclass::text, relowner, relispartition, attacl
    FROM relation JOIN pg_attribute ON attrelid = relation.oid AND attacl IS NOT NULL AND NOT attisdropped
    UNION ALL
    SELECT 'FUNCTION', proname, p.oid::regprocedure::text, proowner, false, coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc p, schema WHERE pronamespace = schema.oid AND prosecdef
    UNION ALL
    SELECT 'SCHEMA', nspname, quote_ident(nspname), nspowner, false, coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace n JOIN schema USING (oid)
    UNION ALL
    SELECT 'DATABASE', datname, quote_ident(datname), datdba, false, coalesce(datacl, acldefault('d', datdba))
    FROM pg_database WHERE datname = current_database()
)
SELECT kind, name, place, pg_get_userbyid(owner), partition,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END, privilege_type
FROM thing LEFT JOIN LATERAL aclexplode(acl) ON grantee <> owner
ORDER BY kind, place
"""
_ROLES: Final = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
#: attributes and memberships that would let a role walk past every privilege
_POWERS: Final = """
SELECT power FROM pg_roles, LATERAL (VALUES
    (rolsuper, 'is a superuser'), (rolcreaterole, 'may create roles'), (rolcreatedb, 'may create databases'),
    (rolreplication, 'may replicate')) AS v (held, power)
WHERE rolname = %(app)s AND held
UNION ALL
SELECT 'is a member of ' || r.rolname FROM pg_roles r
WHERE pg_has_role(%(app)s, r.oid, 'MEMBER') AND r.rolname <> ALL(%(harmless)s)
UNION ALL
SELECT 'may set session_replication_role, which switches triggers off'
WHERE has_parameter_privilege(%(app)s, 'session_replication_role', 'SET')
"""
#: they see how the server is, and nothing of anybody
_HARMLESS: Final = ("pg_monitor", "pg_read_all_stats", "pg_read_all_settings", "pg_stat_scan_tables")
#: "EROL" in ASCII: two that grant at once would meet in the same rows of the catalogue
_LOCK: Final = 0x45524F4C


@contextmanager
def as_owner(alias: str = DEFAULT_DB_ALIAS) -> Iterator[bool]:
    """Within the block the connection `alias` of this thread is the owner's. Gives whether there is an owner's login
    at all; without one nothing changes."""
    login = settings.ERIP_DATABASE_OWNER
    if login is None or alias != DEFAULT_DB_ALIAS:
        yield False
        return
    before = connections.settings[alias]
    connections[alias].close()
    connections.settings[alias] = {**before, **login}
    del connections[alias]
    try:
        yield True
    finally:
        connections[alias].close()
        connections.settings[alias] = before
        del connections[alias]


def known(owner: str, app: str, alias: str = DEFAULT_DB_ALIAS) -> Roles:
    """The roles that there are, by their names: those for reading, for monitoring and for callers of some spaces are
    `<app>_read`, `<app>_monitor` and `<app>_limited`. The last one counts only if the application bypasses row
    security."""
    others = (f"{app}_read", f"{app}_monitor", walls.limited_role(app))
    with connections[alias].cursor() as cursor:
        cursor.execute(_ROLES, [list(others)])
        there = {name for (name,) in cursor.fetchall()}
        # Without this the policies would bind the application itself, which is a member of that role.
        cursor.execute("SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = %s", [app])
        if (row := cursor.fetchone()) is None or not row[0]:
            there.discard(others[2])
    return Roles(owner, app, *(one if one in there else "" for one in others))


def apply(
    roles: Roles, rules: Rules, then: Iterable[Callable[[Any], object]] = (), alias: str = DEFAULT_DB_ALIAS
) -> list[str]:
    """Bring all privileges in line, as the owner, in one transaction, and the policies before it, each table by itself.
    Returns the statements that were needed.

    then: called with a cursor in the same transaction. Raises DatabaseError.
    """
    # First: what the limited role may read has its policy by then.
    done = walls.build(roles, rules.walled, alias)
    granted: list[str] = []
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        for thing, held in _things(cursor):
            if thing.kind in ("DATABASE", "SCHEMA") or thing.owner == roles.owner:
                granted += statements(thing, held, roles, rules)
        for statement in granted:
            cursor.execute(statement)
        for one in then:
            one(cursor)
    return [*done, *granted]


def faults(roles: Roles, rules: Rules, alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """What the application's role may do beyond what it should, one sentence each. Any role may ask."""
    with connections[alias].cursor() as cursor:
        cursor.execute(_POWERS, {"app": roles.app, "harmless": [roles.app, walls.limited_role(roles.app), *_HARMLESS]})
        found = [f"{roles.app} {power}" for (power,) in cursor.fetchall()]
        for thing, held in _things(cursor):
            if thing.owner == roles.app:
                found.append(f"{roles.app} owns {thing.kind.lower()} {thing.name}")
            else:
                found += excess(thing, held, roles, rules)
    return found


def _things(cursor: Any) -> list[tuple[Thing, set[Grant]]]:
    cursor.execute(_THINGS)
    found: dict[tuple[str, str], tuple[Thing, set[Grant]]] = {}
    for kind, name, place, owner, partition, grantee, privilege in cursor.fetchall():
        _, held = found.setdefault((kind, place), (Thing(kind, name, place, owner, partition), set()))
        if privilege is not None:
            held.add(Grant(grantee, privilege))
    return list(found.values())
