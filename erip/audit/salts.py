"""What opens the hashes of personal data in the audit log, and how it is destroyed.

Note [Salted hashes]
Where an entry says that personal data changed, it holds `{"salted": …}`: SHA-256 over 32 random bytes and the value.
The bytes are of the row and the month, and stand in a table of their own. So two hashes of one row and month are the
same if the values are; whoever has the log alone, an export or a copy, cannot try what a short value may be; and
whoever has the salt can show that a value is the one. The chain holds the hash and not the salt: when the salt is
destroyed, the log still verifies, and says nothing of the value any more. The triggers that record changes make salts
(migration 0004)."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, date

from erip.audit.models import Salt
from erip.audit.retention import Hold


def salts_of(object: str) -> list[tuple[date, bytes]]:
    """(month, 32 bytes) of a row, the oldest first; nothing once they were destroyed. object: as entries name it,
    `auth_user/5`."""
    rows = Salt.objects.filter(object=object).order_by("month").values_list("month", "salt")
    return [(month, bytes(salt)) for month, salt in rows]


def hash_of(salt: bytes, value: str) -> str:
    """What stands under `salted`. value: as PostgreSQL writes it as text."""
    return hashlib.sha256(salt + value.encode()).hexdigest()


def months_after(number: int, *, before: date, limit: int) -> Sequence[tuple[int, str, date]]:
    """(id, object, month) of the salts of earlier months, by id."""
    rows = Salt.objects.filter(pk__gt=number, month__lt=before).order_by("pk")
    return list(rows.values_list("pk", "object", "month")[:limit])


def destroy(numbers: Sequence[int]) -> int:
    """For good. Returns how many there were."""
    return int(Salt.objects.filter(pk__in=numbers).delete()[0])


def keeping(object: str, holds: Iterable[Hold]) -> Hold | None:
    """A legal hold on the time of one of a row's salts."""
    months = [month for month, _ in salts_of(object)]
    return next((one for one in holds if any(_meets(one, month) for month in months)), None)


def _meets(hold: Hold, month: date) -> bool:
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return hold.since.astimezone(UTC).date() < following and month <= hold.until.astimezone(UTC).date()


def destroy_of(objects: Sequence[str]) -> int:
    """All salts of these rows, as entries name them. Returns how many there were."""
    return int(Salt.objects.filter(object__in=objects).delete()[0])
