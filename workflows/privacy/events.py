"""The keys that seal events of the bus, and which events are about a person.

Note [Sealed events]
An event is sealed in the process that accepts it, before it reaches the journal: with the key of the person whom it
names, or with that of its type. What seals it follows from that key and from the event's identity, which stands in the
sealed text: so what is copied from one event into another is not opened there. All events of a request take a few
statements together, and events of types without sensitive data take none.

The consumer that logs an event notes its place beside the key (`note`): so an event about a person is found when they
ask for their data. An event that has not been logged yet, or could not be, is sealed all the same, and erased with the
key, but not counted.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from erip.foundation import keyring
from workflows.privacy import keys
from workflows.privacy.errors import DataErased
from workflows.privacy.keys import Keys, Seal
from workflows.privacy.models import DataKey, EventKey, RunKey
from workflows.store import to_array

#: what sealed texts of events are bound to, as those of runs are to their workflow
_SCOPE: Final = "event of the bus"
#: of events about one person that are read for them
MOST: Final = 1_000

#: seals parts of one event
Sealer = Callable[[Any], dict[str, str]]
#: whose key it is: in place of a workflow, or the fingerprint of a person
_Owner = tuple[str, bytes | None]


def owner_of(type_: str) -> str:
    """In place of a workflow: whose key seals events of a type that name nobody. No workflow is called so."""
    return f"event:{hashlib.sha256(type_.encode()).hexdigest()[:40]}"


def sealers(wanted: Sequence[tuple[str, str, str | None]]) -> list[Sealer]:
    """What seals each of these events: (identity, type, the person whom it names). One statement, and three more if
    there are persons who are new. Raises KeysInvalid, KeyMissing, NotDecrypted, and
    DataErased."""
    owners: list[_Owner] = [
        ("", keys.fingerprint(person)) if person is not None else (owner_of(type_), None) for _, type_, person in wanted
    ]
    found = _living(set(owners))
    for _ in range(2):
        if new := set(owners) - found.keys():
            keys.make(list(new))
            found |= _living(new)
    if set(owners) - found.keys():
        raise DataErased  # again and again at this moment
    unwrapped = {owner: (number, keys.unwrapped(number, by, wrapped)) for owner, (number, by, wrapped) in found.items()}
    made = []
    for (identity, _, _), owner in zip(wanted, owners, strict=True):
        number, key = unwrapped[owner]
        event = UUID(identity)
        made.append(keys.sealer(_SCOPE, Seal(number, _derived(key, event), event)))
    return made


def _living(owners: set[_Owner]) -> dict[_Owner, tuple[int, str, Any]]:
    persons = [subject for _, subject in owners if subject is not None]
    types = [workflow for workflow, subject in owners if subject is None]
    rows = DataKey.objects.filter(
        Q(subject__in=persons) | Q(subject__isnull=True, workflow__in=types), destroyed_at__isnull=True
    ).values_list("workflow", "subject", "pk", "wrapped_by", "wrapped")
    return {
        (workflow, None if subject is None else bytes(subject)): (number, by, wrapped)
        for workflow, subject, number, by, wrapped in rows
    }


def _derived(key: bytes, event: UUID) -> bytes:
    return keyring.derive(key, event.bytes, about=f"event {event}")


def opener(texts: Iterable[str], identities: Iterable[str]) -> Callable[[str], Any]:
    """What opens these sealed texts, if they belong to one of these events; raises DataErased and NotDecrypted."""
    return keys.opener(_SCOPE, _load(texts, {UUID(one) for one in identities}))


def _load(texts: Iterable[str], events: set[UUID]) -> Keys:
    wanted = {where for text in texts if (where := keys.place_in(text)) is not None and where[1] in events}
    rows = DataKey.objects.filter(pk__in={number for number, _ in wanted}, destroyed_at__isnull=True)
    living = {
        number: keys.unwrapped(number, by, wrapped)
        for number, by, wrapped in rows.values_list("pk", "wrapped_by", "wrapped")
    }
    return {(number, event): _derived(living[number], event) for number, event in wanted
            if number in living and event is not None}  # fmt: skip


def of_persons(texts: Iterable[str]) -> set[int]:
    """The numbers of those keys of these sealed texts that are a person's."""
    numbers = {where[0] for text in texts if (where := keys.place_in(text)) is not None}
    return set(DataKey.objects.filter(pk__in=numbers, subject__isnull=False).values_list("pk", flat=True))


def is_of(number: int, person: str) -> bool:
    """Whether a key is this person's."""
    return bool(DataKey.objects.filter(pk=number, subject=keys.fingerprint(person)).exists())


def adopt(run_id: str, number: int) -> tuple[bool, bool]:
    """Have a run, if nothing of it is sealed so far, sealed with the key of this person, whose data it is given.
    Returns whether it is sealed with this one, and whether that is so by this call. Raises KeysInvalid."""
    found, new = RunKey.objects.get_or_create(
        run_id=UUID(run_id), defaults={"key_id": number, "salt": keyring.new_key()}
    )
    return found.key_id == number, new


def let_go(run_ids: Collection[str]) -> None:
    """Take back, in its transaction, what `adopt` noted of these runs: they were given nothing after all."""
    if run_ids:
        RunKey.objects.filter(pk__in=[UUID(one) for one in run_ids]).delete()


def belongs(text: str, identities: Iterable[str]) -> bool:
    """Whether it has the form of a text that was sealed for one of these events."""
    where = keys.place_in(text)
    return where is not None and where[1] is not None and where[1].hex in identities


# --- which events are about whom


@dataclass(frozen=True, slots=True)
class Place:
    """An event in the log."""

    partition: int
    position: int
    logged_at: datetime


def number_of(text: str) -> int | None:
    """The number of the key in a sealed text."""
    where = keys.place_in(text)
    return None if where is None else where[0]


def note(found: Sequence[tuple[int, Place]]) -> None:
    """Note with which keys these events are sealed, in the transaction that logs them. Only persons are noted."""
    columns = zip(*((key, one.partition, one.position, one.logged_at) for key, one in found), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO privacy_eventkey (key_id, partition, position, logged_at)
            SELECT d.id, v.partition, v.position, v.logged_at
            FROM unnest(%s::bigint[], %s::int[], %s::bigint[], %s::timestamptz[])
              AS v (key, partition, position, logged_at)
            JOIN privacy_datakey d ON d.id = v.key AND d.subject IS NOT NULL
            ON CONFLICT DO NOTHING
            """,
            [to_array(column) for column in columns],
        )


def count(numbers: Sequence[int]) -> int:
    """How many events are sealed with these keys."""
    return int(EventKey.objects.filter(key__in=numbers).count())


def span(subject: bytes) -> tuple[datetime, datetime] | None:
    """When the first and the last event about a person were logged; None: there is none."""
    rows = EventKey.objects.filter(key__subject=subject).order_by("logged_at").values_list("logged_at", flat=True)
    first, last = rows.first(), rows.last()
    return None if first is None or last is None else (first, last)


def places(numbers: Sequence[int]) -> list[Place]:
    """The newest MOST + 1 of the events that are sealed with these keys, the newest first."""
    rows = EventKey.objects.filter(key__in=numbers).order_by("-logged_at", "-partition", "-position")
    return [Place(*row) for row in rows.values_list("partition", "position", "logged_at")[: MOST + 1]]


def forget(since: datetime, until: datetime) -> int:
    """The log of this span was dropped: forget where its events were."""
    return int(EventKey.objects.filter(logged_at__gte=since, logged_at__lt=until).delete()[0])


#: gives the documents of events at these places of the log, those that are still there
Read = Callable[[Sequence[Place]], Sequence[Mapping[str, Any]]]
_reads: list[Read] = []


def read_by(read: Read) -> Read:
    """Decorator: the log of events is read with this function."""
    _reads[:] = [read]
    return read


def read(wanted: Sequence[Place]) -> list[Mapping[str, Any]]:
    return list(_reads[0](wanted)) if _reads and wanted else []
