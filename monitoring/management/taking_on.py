"""`manage.py pulse take-on`: with PostgreSQL as the API does it, without it on this leader's host."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from django.core.management.base import CommandError
from django.db import Error

from monitoring.conf import conf
from monitoring.reporting import may_wait
from monitoring.store import listing
from monitoring.taken import TakenFile
from monitoring.taking import take_on


def take_on_now(write: Callable[[str], object], rules: Sequence[str], *, by: str, note: str) -> None:
    """rules: of which alerts; empty: of all that are open. Raises CommandError."""
    try:
        open_ = listing.open_alerts(rules)
        taken = [rule for number, rule in open_ if take_on(number, by=by, note=note)]
    except Error as error:
        if not may_wait(error):
            raise
        _take_on_here(write, rules, by=by, note=note)
        return
    write(f"taken on: {', '.join(taken)}" if taken else "no such alert is open, or somebody has it")


def _take_on_here(write: Callable[[str], object], rules: Sequence[str], *, by: str, note: str) -> None:
    folder = conf().disk / "pulse"
    known = _rules_of(folder / "memory.json")
    if unknown := [rule for rule in rules if rule not in known]:
        raise CommandError(f"no such rule: {', '.join(unknown)}")
    try:
        TakenFile(folder).write(by=by, note=note, rules=rules)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written: {error.strerror}") from error
    write(
        "PostgreSQL is away: the leader on this host calls nobody else about what fires now. Other leaders do not know "
        "of it: do the same on the host of each."
    )


def _rules_of(memory: Path) -> set[str]:
    try:
        return {str(rule["name"]) for rule in json.loads(memory.read_text())["rules"]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CommandError(
            f"PostgreSQL is away, and no leader has kept its memory here ({memory}): call this on a leader's host, as "
            "its user and with its ERIP_STATE_DIR"
        ) from error
