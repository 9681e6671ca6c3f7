"""All that the doctor looks at, in the order in which one thing explains the next."""

from collections.abc import Sequence
from typing import Final

from django.db import connections

from . import database, erasures, machine, outside, platform, recovery
from .findings import Check, Finding, State, look, unknown

_HERE: Final[Sequence[tuple[str, Check]]] = (
    ("settings", machine.settings_are_right),
    ("checks", machine.checks_pass),
    ("files", machine.files_are_there),
    ("broker", platform.the_broker_answers),
)
#: what asks PostgreSQL: not looked at while it does not answer
_OF_DATABASE: Final[Sequence[tuple[str, Check]]] = (
    ("PostgreSQL", database.the_server_is_sound),
    ("migrations", database.migrations_are_applied),
    ("backups", database.it_can_be_restored),
    ("backups", recovery.a_backup_is_fresh),
    ("erasures", erasures.they_are_in_force),
    ("replication slots", database.nothing_holds_wal_back),
    ("replicas", database.replicas_follow),
    ("work", platform.work_is_done),
    ("audit log", platform.the_audit_log_is_signed),
)


def whole(by_url: outside.Outside | None = None, *, inside: bool = True) -> list[Finding]:
    """Everything, in some seconds. It changes nothing."""
    found: list[Finding] = []
    if inside:
        for about, check in _HERE:
            found += look(about, check)
        answers = look("PostgreSQL", database.it_answers)
        found += answers
        if all(one.state is State.WELL for one in answers):
            for about, check in _OF_DATABASE:
                found += look(about, check)
        else:
            found += [unknown(about, "PostgreSQL does not answer") for about, _ in _OF_DATABASE[1:]]
        # PULSE remembers what it last saw, also while PostgreSQL is away.
        found += look("PULSE", platform.what_pulse_says)
        connections.close_all()
    if by_url is not None:
        try:
            found += look(by_url.base, lambda: outside.of_url(by_url))
        finally:
            by_url.close()
    return found
