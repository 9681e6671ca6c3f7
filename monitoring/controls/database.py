"""Checks of PostgreSQL: who may do what there, and whether it is encrypted and replicated."""

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection

from erip.access import tables
from erip.foundation.db import roles
from monitoring.controls.addresses import is_here
from monitoring.controls.results import Result, absent, check, fails, holds


@check("database-role")
def role() -> Result:
    """The application's role cannot change tables, triggers or the past."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, has_schema_privilege(current_schema(), 'CREATE'),"
            " pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'audit_entry'::regclass"
        )
        me, creates, owner = cursor.fetchone()
    if me == owner:
        return fails(f"The application's role {me} owns its tables, so it can rewrite history.", role=me)
    found = roles.faults(roles.known(owner, me), tables.rules())
    if creates:
        found.append(f"{me} may create tables")
    if found:
        return fails(f"The application's role may do {len(found)} things too many: {found[0]}.", faults=found[:20])
    return holds(f"The role {me} owns nothing, and has no privilege beyond its rows.", role=me, owner=owner)


@check("database-encrypted")
def encrypted() -> Result:
    """This session with PostgreSQL goes through TLS 1.3, or does not leave the machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        row = cursor.fetchone()
    if row is not None and row[0]:
        if row[1] == "TLSv1.3":
            return holds("The session with PostgreSQL goes through TLS 1.3.", version=row[1])
        return fails(f"The session with PostgreSQL goes through {row[1]}.", version=row[1])
    host = str(settings.DATABASES[DEFAULT_DB_ALIAS].get("HOST") or "")
    if is_here(host):
        return holds("The session with PostgreSQL is plain, and does not leave this machine.", host=host)
    return fails("The session with PostgreSQL is not encrypted.", host=host)


@check("standby")
def standby() -> Result:
    """A replica streams, and could take over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
        count = int(cursor.fetchone()[0])
    if not count:
        return absent("No replica of PostgreSQL streams.", replicas=0)
    return holds(
        f"{count} replica{'s' if count > 1 else ''} of PostgreSQL stream{'' if count > 1 else 's'}.", replicas=count
    )
