"""The database layer's own errors. They are OperationalErrors, so that who expects those need not know of these."""

from django.db import OperationalError


class PoolExhausted(OperationalError):
    """Every connection of this process is in use. Raise ERIP_DB_MAX, or look for who keeps them
    (docs/explanation/database.md).
    """

    #: it has waited already
    transient = False


class CircuitOpen(OperationalError):
    """The database cannot be reached, and this was not tried once more. Come back after `retry_after` seconds."""

    #: it has waited already, as long as that may help: Note [Breaker and failover] in `breaker`
    transient = False

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Abandoned(OperationalError):
    """Nobody waits for this any more, so it was not begun."""

    transient = False
