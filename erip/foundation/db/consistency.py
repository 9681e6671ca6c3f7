"""Reads that follow one's own writes, though replicas are behind: what a caller has written or seen, as a position in
PostgreSQL's log (LSN).

Note [Read your writes]
- A scope is one request or task. A statement that writes marks the scope; from then on the scope reads from the
  primary.
- At its end the primary's insert position is taken as the caller's token: the commit stands before it. The token goes
  to the caller (response header, cookie) and comes back with its next request, or goes on with the tasks of the scope.
- A replica serves a scope only if the very connection that it reads on has replayed the token. Another connection may
  lead to another replica behind the same address, and one replica that has caught up says nothing about the others.
- A caller that brings no token may have written anything: it reads from the primary. Where the position could not be
  learnt (the primary went away after the commit), the token is `primary` and says just that.
"""

import contextlib
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS, Error, connections

#: the token of a caller that must read from the primary
PRIMARY = "primary"
#: the token of a caller that has seen nothing yet, and may read from any replica
NOTHING = "0/0"
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")


@dataclass(slots=True)
class Scope:
    """One request or task."""

    #: the token that the caller brought; None: it brought none
    token: str | None = None
    #: something was written in this scope
    wrote: bool = False
    #: something was read from a replica that may be behind the token, because the primary was away
    stale: bool = False

    @property
    def replica_may_serve(self) -> bool:
        return not self.wrote and self.token not in (None, PRIMARY)


_current: ContextVar[Scope | None] = ContextVar("erip_db_scope", default=None)


def is_token(text: str) -> bool:
    return text == PRIMARY or _LSN.fullmatch(text) is not None


def current() -> Scope | None:
    return _current.get()


def wrote() -> None:
    """Something was written to the primary, or is about to be."""
    scope = _current.get()
    if scope is not None:
        scope.wrote = True


@contextlib.contextmanager
def scope(token: str | None = None) -> Iterator[Scope]:
    """This block is a scope of one caller, which has seen `token`."""
    made = Scope(token)
    reset = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(reset)


def token_after_writing() -> str:
    """A position behind everything that was committed so far. Never raises a database error."""
    try:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
            return str(cursor.fetchone()[0])
    except Error:
        return PRIMARY
