"""The operation that is under way: what a door knows of it before it is done.

Note [Audited operations]
A door (the API, the admin, the console, a command) opens an `Operation` and lets its work be done. The entry is written
by the database layer, as the last statement before the first COMMIT of a transaction that has changed anything
(`committing`): so it is there if and only if the change is, and no view, store or command has to think of it. A single
statement that writes outside of any transaction is given one. It costs one short statement for each operation, and
nothing for what is no operation. What a later transaction of the same operation changes is in an entry `effect`. An
operation that commits nothing leaves an entry of its own when it has succeeded, so that a door cannot be used without a
trace; those that are known to change nothing are named in `exempt`. Starts and accepted events write their entry
themselves: Note [Audited starts].

A commit whose outcome is unknown, because the connection broke, may be done again by the retrying code: the log may
then hold two entries with the same request id. None is ever missing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from erip.audit import entries
from erip.foundation.db import committing
from erip.foundation.http.last_read import forget_last, last_read

#: characters of a text that is recorded
MOST = 1_000
#: how statements begin that change nothing
_READS = ("SELECT", "select", "SHOW", "SET ", "PREPARE", "EXPLAIN", "DECLARE", "FETCH")
#: members of a request's body that say why
_REASONS = ("reason", "note")


@dataclass(slots=True)
class Operation:
    """What is being done.

    door: `api`, `scim`, `admin`, `console`, `page` or `command`
    principal: says who does it, or "" as long as that is not known
    behalf: for whom, if not for themselves
    writes_itself: its entry is written with its change by the code that makes the change
    """

    door: str
    action: str
    principal: Callable[[], str]
    object: str = ""
    address: str = ""
    request: str = ""
    reason: str = ""
    behalf: str = ""
    writes_itself: bool = False
    #: what else is worth knowing; never secrets, never input
    detail: dict[str, Any] = field(default_factory=dict)
    #: whether its entry is committed
    written: bool = False
    #: emergency access by principal, of those whose rights were looked up: `erip.access`
    emergencies: dict[str, int] = field(default_factory=dict)

    def body(self, **more: Any) -> dict[str, Any]:
        """The entry, without what is empty."""
        told = {
            "kind": "operation",
            "door": self.door,
            "action": self.action,
            "principal": self.principal(),
            "behalf": self.behalf,
            "object": self.object[:MOST],
            "from": self.address,
            "request": self.request,
            "reason": (self.reason or _reason_in(last_read()))[:MOST],
            **self.detail,
            **more,
        }
        if self.emergencies:
            told["break_glass"] = self.emergencies.get(told["principal"])
        return {name: value for name, value in told.items() if value not in ("", None)}

    def write_alone(self) -> None:
        """Write its entry in a transaction of its own: nothing was changed that it could be written with."""
        self.written = True
        entries.write(self.body())


_current: ContextVar[Operation | None] = ContextVar("erip_audit_operation", default=None)


def current() -> Operation | None:
    """The operation that this thread is doing."""
    return _current.get()


@contextmanager
def doing(operation: Operation) -> Iterator[Operation]:
    """The block does this operation."""
    forget_last()
    token = _current.set(operation)
    writing = _Writing(operation)
    try:
        with committing.before_commit(writing), connections[DEFAULT_DB_ALIAS].execute_wrapper(writing.whole):
            yield operation
    finally:
        _current.reset(token)


def describe(**detail: Any) -> None:
    """Add to what is recorded of the operation under way: `before` and `after`, `reason`, `object`. Outside of any
    operation it does nothing."""
    operation = _current.get()
    if operation is None:
        return
    for name, value in detail.items():
        if name in ("reason", "object"):
            setattr(operation, name, str(value or ""))
        else:
            operation.detail[name] = value


def under_emergency(principal: str, number: int) -> None:
    """What this principal does in the operation under way is done under emergency access of this number."""
    operation = _current.get()
    if operation is not None:
        operation.emergencies[principal] = number


def _reason_in(body: Mapping[str, Any]) -> str:
    """What the caller gave as the reason."""
    return next((text for name in _REASONS if isinstance(text := body.get(name), str)), "")


class _Writing(committing.BeforeCommit):
    """Writes the entry with the first transaction that changes something."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    @property
    def _waits(self) -> bool:
        operation = self._operation
        return not (operation.written or operation.writes_itself)

    def before(self, connection: Any) -> bool:
        operation = self._operation
        if operation.writes_itself or not operation.action or not operation.principal():
            return False
        if self._waits:
            return entries.write_if_changed(connection, operation.body())
        # A later transaction of the same operation: only what it changed is missing in the log.
        entries.write_if_noted(connection, operation.body(kind="effect"))
        return False

    def whole(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Runs a statement that writes outside of any transaction in one, so that it can be committed with the
        entry."""
        if not self._waits or context["connection"].in_atomic_block or str(sql).lstrip().startswith(_READS):
            return execute(sql, params, many, context)
        with transaction.atomic():
            return execute(sql, params, many, context)

    def after(self) -> None:
        self._operation.written = True
