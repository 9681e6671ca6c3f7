"""Whether PostgreSQL takes writes: a region that follows another one has a standby, until it is promoted."""

from typing import Final

import psycopg2
import psycopg2.errors

from erip.foundation.db import phases
from erip.foundation.db.ping import Pinger
from erip.foundation.os_errors import in_words

#: of a standby
FOLLOWS: Final = "PostgreSQL follows another region"
#: questions on one connection: a connection may lead to a server that is no more the one to ask
_TIMES: Final = 10
_QUESTION: Final = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS follows"


class Primary:
    """Asks on a connection of its own. For one thread."""

    def __init__(self) -> None:
        self._pinger = Pinger()
        self._asked = 0

    def why_not(self, seconds: float) -> str | None:
        """None: it takes writes. FOLLOWS, or why there was no answer within `seconds`."""
        self._asked += 1
        if self._asked % _TIMES == 0:
            self._pinger.close()
        try:
            return FOLLOWS if self._pinger.ask(_QUESTION, seconds)["follows"] else None
        except (psycopg2.Error, OSError, ValueError) as error:
            return " ".join(in_words(error).split())[:200] or type(error).__name__

    def lacks(self, seconds: float) -> list[str]:
        """Migrations that contracted and that this process does not know: Note [Contracting] in `phases`. None where
        that is not noted. Raises psycopg2.OperationalError if there was no answer within `seconds`."""
        try:
            return phases.lacking(self._pinger.ask(phases.CONTRACTED, seconds)["contracted"])
        except psycopg2.errors.UndefinedTable:
            # Nobody has migrated it.
            return []

    def close(self) -> None:
        self._pinger.close()
