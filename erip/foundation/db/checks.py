"""Bad configuration of the database layer fails at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def database_settings(**_: Any) -> list[CheckMessage]:
    """database.E001 … E005: the settings fit together."""
    found: list[CheckMessage] = []
    if not 1 <= settings.ERIP_PROCESSES <= settings.ERIP_DB_MAX or settings.ERIP_DB_MIN > settings.ERIP_DB_MAX:
        found.append(
            Error(
                "ERIP_DB_MAX must be at least ERIP_DB_MIN and at least ERIP_PROCESSES, which must be 1 or more.",
                hint="Each process needs a connection: ERIP_DB_MAX is divided by ERIP_PROCESSES.",
                id="database.E001",
            )
        )
    if settings.ERIP_DB_POOL_SIZE < 1 or settings.ERIP_DB_POOL_OVERFLOW < 0 or settings.ERIP_DB_POOL_TIMEOUT <= 0:
        found.append(
            Error(
                "ERIP_DB_POOL_SIZE must be at least 1, ERIP_DB_POOL_OVERFLOW at least 0, and ERIP_DB_POOL_TIMEOUT "
                "above 0.",
                id="database.E002",
            )
        )
    if settings.ERIP_REPLICA_POLICY not in ("round-robin", "least-lag"):
        found.append(Error('ERIP_REPLICA_POLICY must be "round-robin" or "least-lag".', id="database.E003"))
    if settings.ERIP_REPLICA_READS not in ("token", "all"):
        found.append(Error('ERIP_REPLICA_READS must be "token" or "all".', id="database.E004"))
    limits = ("STATEMENT_TIMEOUT", "LOCK_TIMEOUT", "IDLE_TRANSACTION_TIMEOUT")
    seconds = ("HUNG_AFTER", "LEAK_AFTER", "RETRY_SECONDS", "REQUEST_SECONDS", "BREAKER_SECONDS", "CONNECT_TIMEOUT")
    bad = [f"ERIP_DB_{name}" for name in limits if getattr(settings, f"ERIP_DB_{name}") < 0]
    bad += [f"ERIP_DB_{name}" for name in seconds if getattr(settings, f"ERIP_DB_{name}") <= 0]
    if bad:
        found.append(
            Error(
                f"{', '.join(bad)}: must be seconds above 0 (a timeout of a statement, lock or idle transaction: 0 or "
                "more).",
                id="database.E005",
            )
        )
    return found
