"""Django's PostgreSQL backend with connections from a pool: name it as ENGINE (`erip.foundation.db.pooled`)."""
