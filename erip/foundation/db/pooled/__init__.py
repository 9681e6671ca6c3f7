"""Django's PostgreSQL backend with connections from a pool: name it as ENGINE (`erip.foundation.db.pooled`).

Of SQLAlchemy it uses the pool alone. Its `__init__` loads the rest, which no process of the platform uses: 56 modules,
10 MB and a tenth of a second of processor time in each of them.
"""

from erip.foundation.without import parts_alone

with parts_alone("sqlalchemy"):
    import sqlalchemy.pool  # noqa: F401
