"""How PostgreSQL compresses large documents: by lz4, where the server can.

Note [Compression]
Reports, inputs and outputs are a few kilobytes to some dozens, and are compressed as they are written. PostgreSQL's own
way, pglz, is slow: with lz4 PostgreSQL spends 4 to 19 % less processor time on a reference workflow
(`benchmarks/RESULTS.md`). So the database says lz4 for what is written from now on, to sessions that begin after that.
What is stored already stays as it is, and both are read side by side. It is left alone where the server has no lz4,
where somebody has chosen already (in the server's configuration, for the database or for the role), and where the role
that migrates does not own the database. It is a setting of the database and not of its columns: no table is locked, and
a dump of the database's contents can be restored on a server without lz4. A physical copy, such as a backup of
pgBackRest or a standby, cannot: a server that was built without lz4 cannot read what was compressed by it. (Debian's,
PGDG's and the official image's are built with it.) `ALTER DATABASE … SET default_toast_compression = pglz` chooses the
other way for good.
"""

from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections

#: source `default`: nobody has chosen
_PREFER: Final = """
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND source = 'default' AND 'lz4' = ANY (enumvals)
    ) AND EXISTS (
        SELECT FROM pg_database
        WHERE datname = current_database() AND pg_has_role(datdba, 'USAGE')
    ) THEN
        EXECUTE format('ALTER DATABASE %I SET default_toast_compression = lz4', current_database());
    END IF;
END
$$
"""


def prefer_lz4(alias: str = DEFAULT_DB_ALIAS) -> None:
    """As whoever migrates. Raises DatabaseError, but not where lz4 cannot be had (Note [Compression])."""
    with connections[alias].cursor() as cursor:
        cursor.execute(_PREFER)
