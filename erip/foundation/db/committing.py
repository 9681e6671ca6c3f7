"""What is done in a transaction as its last act, before COMMIT.

`transaction.on_commit` runs afterwards: what it does may be lost. What is registered here is committed with the
transaction or not at all. It belongs to a block of code in one thread, and acts on the outermost transactions that
commit there. Statements outside of a transaction commit by themselves, and are not seen.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from django.db import DEFAULT_DB_ALIAS


class BeforeCommit(Protocol):
    """Something that belongs in each transaction of a block."""

    def before(self, connection: Any) -> bool:
        """Called before COMMIT, with the connection. Returns whether `after` is to be called. An error of the database
        ends the transaction."""

    def after(self) -> None:
        """The transaction that `before` was called in is committed."""


_registered: ContextVar[BeforeCommit | None] = ContextVar("erip_db_before_commit", default=None)


@contextmanager
def before_commit(act: BeforeCommit) -> Iterator[None]:
    """Within the block, transactions of the primary commit with this. The innermost block counts."""
    token = _registered.set(act)
    try:
        yield
    finally:
        _registered.reset(token)


class _Nothing:
    """Registers nothing."""

    def before(self, connection: Any) -> bool:
        return False

    def after(self) -> None:
        return


@contextmanager
def nothing_before_commit() -> Iterator[None]:
    """Within the block, transactions commit with nothing: they are read-only, and the database would refuse it."""
    with before_commit(_Nothing()):
        yield


def act(connection: Any) -> Callable[[], None]:
    """For a backend: call it right before COMMIT, and what it returns right after."""
    registered = _registered.get()
    if registered is None or connection.alias != DEFAULT_DB_ALIAS or not registered.before(connection):
        return _nothing
    return registered.after


def _nothing() -> None:
    """Nothing was to be done."""
