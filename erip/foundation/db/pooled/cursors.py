"""Cursors that time statements: each runs on the connection's clock, and slow ones are logged.

Never with its parameters, which may be secret; literals in the text are left out too.
"""

import re
from typing import Any

import structlog
from django.conf import settings
from django.db.backends.utils import CursorWrapper

from erip.foundation.db import consistency, metrics

log = structlog.get_logger(__name__)

#: characters of a slow statement that are logged
SHOWN = 500
_LITERAL = re.compile(r"\$(\w*)\$.*?\$\1\$|[eE]?'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_READS = ("SELECT", "select", "SHOW", "EXPLAIN SELECT")


class WatchedCursor(CursorWrapper):
    """Of a pooled connection."""

    def _execute(self, sql: Any, params: Any, *ignored: Any) -> Any:
        return self._watched(super()._execute, sql, params)  # type: ignore[misc]

    def _executemany(self, sql: Any, param_list: Any, *ignored: Any) -> Any:
        return self._watched(super()._executemany, sql, param_list)  # type: ignore[misc]

    def _watched(self, call: Any, sql: Any, params: Any) -> Any:
        db = self.db
        checkout = db.checkout
        if checkout is None:
            return call(sql, params)
        if db.notes_writes and not (isinstance(sql, str) and sql.lstrip().startswith(_READS)):
            consistency.wrote()
        checkout.clock.begin(db.patience)
        try:
            result = call(sql, params)
        except BaseException:
            checkout.clock.end()
            raise
        took = checkout.clock.end()
        db.source.answered()
        if took >= settings.ERIP_DB_SLOW_STATEMENT:
            metrics.SLOW.labels(db.alias).inc()
            log.warning("slow_statement", database=db.alias, seconds=round(took, 3), statement=shown(sql))
        return result


def shown(sql: Any) -> str:
    """A statement as it may be logged."""
    if not isinstance(sql, str):
        return f"<{type(sql).__name__}>"  # composed, so it may contain anything
    return " ".join(_LITERAL.sub("'…'", sql).split())[:SHOWN]
