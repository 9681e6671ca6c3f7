"""Whether what was erased stays erased, and whether what was not can be read."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from erip.management.drill import inside
from erip.management.drill.proofs import Proof

#: keys that were destroyed, with the person of each
_DESTROYED = "SELECT id, encode(subject, 'hex') FROM privacy_datakey WHERE destroyed_at IS NOT NULL"
_BACK = "SELECT id FROM privacy_datakey WHERE id = ANY(%s) AND destroyed_at IS NULL"


def prove(living: Any, restored: Any, env: Mapping[str, str]) -> tuple[Proof, Proof]:
    """Of erasures, and of keys. living, restored: psycopg2 connections in autocommit. Raises OSError."""
    destroyed = dict(_rows(living, _DESTROYED))
    back = [key for (key,) in _rows(restored, _BACK, list(destroyed))]
    persons = sorted({destroyed[key] for key in back if destroyed[key] is not None})
    answer = inside.ask(env, persons)
    left = [key for (key,) in _rows(restored, _BACK, list(destroyed))]
    facts = {
        "destroyed": len(destroyed),
        "came_back": len(back),
        "erased_again": answer["again"],
        "refused": sorted(set(answer["refused"].values())),
    }
    if left:
        says = f"{len(left)} keys that were destroyed came back with the backup, and could not be destroyed again."
        return Proof("erased", False, says, facts), _keys(answer["keys"])
    says = f"{len(back)} keys that were destroyed came back with the backup, and were destroyed again."
    return Proof("erased", True, says if back else "Nothing that was erased came back.", facts), _keys(answer["keys"])


def _keys(opened: Mapping[str, bool]) -> Proof:
    shut = sorted(name for name, open_ in opened.items() if not open_)
    if shut:
        return Proof(
            "keys", False, f"The key-encryption key {shut[0]} is not here: what it wraps is lost.", {"shut": shut}
        )
    if not opened:
        return Proof("keys", True, "Nothing in the backup is encrypted with a key of the platform.", {"opened": []})
    return Proof("keys", True, f"{len(opened)} key-encryption keys open what they wrap.", {"opened": sorted(opened)})


def _rows(connection: Any, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
