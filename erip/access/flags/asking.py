"""Asking whether a flag is on.

Note [Flags]
What operators say of flags is read whole, as it is little, and at most once a second in a process that asks: so a
change holds everywhere a second after its commit, and to ask costs a look at a clock and into a dictionary. There is no
cache beside that, and no cookie. A process that cannot reach the database goes on with what it read last. One that
never read anything does what the flag itself says for that case (`Feature.unknown`): every kill switch of the platform
is off then, as nothing that it guards works without the database. A database that answers that there is no table yet,
or that this role may not read it, is not away: then nobody said anything, and all are as the release has them.

A flag that the release does not know is off.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Final, NamedTuple

import structlog
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import ERRORS, is_passing, sqlstate
from erip.foundation.errors import EripError
from erip.foundation.hooks import Feature, feature
from erip.foundation.tokens import Tokened

from .deciding import Said, decide

log = structlog.get_logger(__name__)

#: seconds after which a change holds in every process that reaches the database
EVERY: Final = 1.0
#: PostgreSQL's codes: undefined_table, insufficient_privilege
_NO_TABLE, _DENIED = "42P01", "42501"
_READ: Final = "SELECT name, everyone, percent, on_for, off_for FROM access_flag ORDER BY name"


class SwitchedOff(EripError):
    """An operator has switched this off for now. `GET /api/v1/flags` says what is off, and why."""

    code = "switched_off"
    status = 503
    retry_after = 30.0


class _Unknown(Exception):
    """Nothing was ever read."""


class _Unsaid(_Unknown):
    """The database answers, and there is nothing to be read."""


def is_on(name: str, *about: str, space: Callable[[], str] | None = None) -> bool:
    """Whether a flag is on. Any thread, but not an event loop: once a second it reads. Raises nothing of its own.

    about: what it is asked about, such as the caller (`user:ada`, `key:ci`) or `workflow:breach-response`; a percentage
    counts the first. space: finds the space; it is called only if an operator named one for this flag.
    """
    return explain(name, *about, space=space)[0]


def explain(name: str, *about: str, space: Callable[[], str] | None = None) -> tuple[bool, str]:
    """`is_on`, and why."""
    declared = features().get(name)
    if declared is None:
        return False, "this release has no such flag"
    try:
        said = _known.current().get(name)
    except _Unsaid:
        return declared.on, "as the release has it: what operators say cannot be read here"
    except _Unknown:
        return declared.unknown, "not known: the database was never reached"
    if said is None:
        return declared.on, "as the release has it"
    return decide(name, declared.on, said, about, space)


def need(name: str, *about: str, space: Callable[[], str] | None = None) -> None:
    """Raises SwitchedOff unless the flag is on; as `is_on`."""
    if not is_on(name, *about, space=space):
        raise SwitchedOff(f'An operator has switched "{name}" off for now.')


def features() -> Mapping[str, Feature]:
    """All flags that this release knows, by name."""
    global _features, _declared
    if (declared := feature.all()) != _declared:
        _features, _declared = {one.name: one for one in declared}, declared
    return _features


_features: Mapping[str, Feature] = {}
_declared: tuple[Feature, ...] = ()


def forget() -> None:
    """Read again at the next use: for tests, and for a process that just changed something."""
    global _away
    _away = _Away(0.0, _Unknown)
    _known.forget()


class _Away(NamedTuple):
    """Before this moment of the monotonic clock nobody tries to read: callers would wait for a database that is away,
    one after the other. What they get meanwhile."""

    until: float
    error: type[_Unknown]


_away = _Away(0.0, _Unknown)


def _rows() -> tuple[tuple[Any, ...], ...]:
    global _away
    if time.monotonic() < _away.until:
        raise _away.error
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        # The caller's transaction, if there is one, must not be undone because of a question that it did not ask.
        with transaction.atomic() if connection.in_atomic_block else nullcontext(), connection.cursor() as cursor:
            cursor.execute(_READ)
            return tuple(
                tuple(tuple(one) if isinstance(one, list) else one for one in row) for row in cursor.fetchall()
            )
    except transaction.TransactionManagementError as error:
        # The caller's transaction has failed already: that says nothing about the database.
        raise _Unknown from error
    except ERRORS as error:
        code = sqlstate(error)
        (log.error if code == _DENIED else log.warning)("flags_not_read", error=error)
        unknown = _Unsaid if code in (_NO_TABLE, _DENIED) else _Unknown
        _away = _Away(time.monotonic() + EVERY, unknown)
        if is_passing(error) and not connection.in_atomic_block:
            drop_connection()
        raise unknown from error


def _load() -> Mapping[str, Said]:
    return {row[0]: Said(row[1], row[2], frozenset(row[3]), frozenset(row[4])) for row in _rows()}


_known: Tokened[Mapping[str, Said]] = Tokened(_rows, _load, every=EVERY, outage=lambda error: True)
