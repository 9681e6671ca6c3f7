"""How long entries are kept, and what must be kept longer.

Note [Retired entries]
The chain does not need an entry's text, only its leaf, which stays. So old entries can be removed, by the owner of the
tables alone, and the log still verifies: an entry `audit.retired` names the positions, and is itself in the chain. Only
what a checkpoint covers is removed. A legal hold is an entry, too: `audit.hold` names a span of time whose entries
stay until an entry `audit.release` names the hold. Other apps know of holds, too (`hooks.audit_holds`), and keep
their own data for those of the log: a hold counts wherever it was put.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, transaction

from erip.audit import entries
from erip.audit.operation import current
from erip.foundation import hooks

#: blocks looked at in one transaction
BLOCKS = 200


class NoSuchHold(ValueError):
    """There is no legal hold of this name in force."""


@dataclass(frozen=True, slots=True)
class Hold:
    """since, until: aware; entries of this span stay."""

    name: str
    since: datetime
    until: datetime
    reason: str


def turn() -> None:
    """In a transaction: of those who put a hold and those who remove, one is first. So once a hold is answered for,
    nothing that it names goes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('erip legal holds'))")


def hold(name: str, *, since: datetime, until: datetime, reason: str) -> None:
    """Put a legal hold. One of the same name is replaced."""
    with transaction.atomic():
        turn()
        _note("audit.hold", hold=name, since=since.isoformat(), until=until.isoformat(), reason=reason)


def release(name: str, *, reason: str) -> None:
    """Lift a legal hold. Raises NoSuchHold."""
    if name not in {each.name for each in holds()}:
        raise NoSuchHold(f"there is no legal hold {name!r} in force")
    _note("audit.release", hold=name, reason=reason)


def holds() -> list[Hold]:
    """Those in force."""
    found: dict[str, Hold] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT body, mac FROM audit_entry WHERE object LIKE 'audit.hold/%' ORDER BY id")
        for body, mac in cursor.fetchall():
            told = orjson.loads(body)
            if not entries.is_authentic(body, mac):
                continue  # somebody who writes SQL by hand lifts no hold
            if told["action"] == "audit.release":
                found.pop(told["hold"], None)
            elif told["action"] == "audit.hold":
                since, until = (datetime.fromisoformat(told[name]) for name in ("since", "until"))
                found[told["hold"]] = Hold(told["hold"], since, until, told["reason"])
    return list(found.values())


def in_force() -> list[Hold]:
    """All that keep entries now, those of other apps included."""
    return [*holds(), *(one for held in hooks.audit_holds.all() for one in held())]


def retire(before: datetime, *, reason: str, dry_run: bool) -> int:
    """Remove the entries from before this moment that no hold keeps. Returns how many there are, or were.

    Needs to be the owner of the tables. Entries that say something about the log itself stay.
    """
    count, number = 0, 0
    while True:
        with transaction.atomic():
            turn()
            # Somebody may have put one since the last portion.
            kept = in_force()
            blocks = _blocks_after(number)
            if not blocks:
                return count
            gone: list[tuple[int, int]] = []
            number = blocks[-1][0]
            for _, size, ids in blocks:
                old = _old_entries(ids, before, kept)
                start = size - len(ids)
                gone += [(start + place, each) for place, each in enumerate(ids, 1) if each in old]
            count += len(gone)
            if gone and not dry_run:
                _note("audit.retired", ranges=_ranges([position for position, _ in gone]), reason=reason)
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL erip.audit_retire = 'yes'")
                    cursor.execute("DELETE FROM audit_entry WHERE id = ANY (%s)", [[each for _, each in gone]])


def _blocks_after(number: int) -> list[tuple[int, int, list[int]]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, size, entries FROM audit_block WHERE number > %s"
            " AND size <= (SELECT coalesce(max(size), 0) FROM audit_checkpoint) ORDER BY number LIMIT %s",
            [number, BLOCKS],
        )
        return cursor.fetchall()  # type: ignore[no-any-return]


def _old_entries(ids: Sequence[int], before: datetime, kept: Sequence[Hold]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, at FROM audit_entry WHERE id = ANY (%s) AND at < %s AND action NOT LIKE 'audit.%%'",
            [list(ids), before],
        )
        return {each for each, at in cursor.fetchall() if not any(hold.since <= at < hold.until for hold in kept)}


def _ranges(positions: Sequence[int]) -> list[list[int]]:
    """[first, last] of each unbroken row of positions, which are in order."""
    found: list[list[int]] = []
    for position in positions:
        if found and found[-1][1] == position - 1:
            found[-1][1] = position
        else:
            found.append([position, position])
    return found


def _note(action: str, **told: Any) -> None:
    """An entry about the log itself, by whoever is doing something right now."""
    operation = current()
    who = operation.principal() if operation is not None else "platform"
    about = f"audit.hold/{told['hold']}" if "hold" in told else "audit"
    at = datetime.now(UTC).isoformat()
    entries.write({"kind": "effect", "action": action, "principal": who, "object": about, "noted": at, **told})
