"""Sealing and opening, with the keys that the database has wrapped."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import connection, transaction

from erip.foundation import json_values, keyring
from workflows.core.sensitive import SEALED
from workflows.privacy.errors import DataErased
from workflows.privacy.models import DataKey, RunKey

_PURPOSE: Final = " person"
#: the key's number, the run where it has a salt of its own, and what is sealed, in base64
_TEXT: Final = re.compile(r"([0-9]{1,18})\.(?:([0-9a-f]{32})\.)?[A-Za-z0-9_=-]*", re.ASCII)


def fingerprint(subject: str) -> bytes:
    """What a person is found by. Their name is stored nowhere."""
    return keyring.fingerprint(subject, purpose=_PURPOSE)


def key_for(workflow: str, subject: str | None) -> int:
    """The living key of a person, or of a workflow; made if there is none. Raises KeysInvalid."""
    person = None if subject is None else fingerprint(subject)
    owner = {"workflow": "" if person is not None else workflow, "subject": person}
    living = DataKey.objects.filter(**owner, destroyed_at__isnull=True)
    if (found := living.values_list("pk", flat=True).first()) is not None:
        return int(found)
    make([(str(owner["workflow"]), person)])
    # Another process may have been quicker: then its key is the one.
    return int(living.values_list("pk", flat=True).get())


def make(owners: Sequence[tuple[str, bytes | None]]) -> None:
    """Make keys for these: (workflow, the fingerprint of a person; then the workflow is ""). Who has a living key keeps
    it. Two statements. Raises KeysInvalid."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Numbers first: what is wrapped is bound to its own, so that no key can be put into another one's row.
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('privacy_datakey', 'id')) FROM generate_series(1, %s)", [len(owners)]
        )
        made = []
        # In one order everywhere: two that make keys for the same persons do not wait for each other in a circle.
        for (number,), (workflow, subject) in zip(cursor.fetchall(), sorted(owners, key=_order), strict=True):
            wrapped = keyring.wrap(keyring.new_key(), about=_about(number))
            key = DataKey(pk=number, wrapped=wrapped.key, wrapped_by=wrapped.by, workflow=workflow, subject=subject)
            made.append(key)
        DataKey.objects.bulk_create(made, ignore_conflicts=True)


def _order(owner: tuple[str, bytes | None]) -> tuple[str, bytes]:
    return owner[0], owner[1] or b""


@dataclass(frozen=True, slots=True)
class Seal:
    """What seals a run's data. number: of the key. run: None where the key seals alone, as a former release did it."""

    number: int
    key: bytes
    run: UUID | None = None


def seal_of_new_run(run_id: str, number: int) -> Seal:
    """Note of a new run which key seals it, with a salt of its own. Raises KeysInvalid, KeyMissing, NotDecrypted, and
    DataErased if the key was destroyed just now."""
    run = UUID(run_id)
    RunKey.objects.bulk_create([RunKey(run_id=run, key_id=number, salt=keyring.new_key())], ignore_conflicts=True)
    found = seal_of_run(run_id)
    if found is None:
        raise DataErased
    return found


def seal_of_run(run_id: str) -> Seal | None:
    """What seals a run's data; None if nothing of it was sealed so far. Raises DataErased."""
    columns = ("salt", "ended_at", "key_id", "key__wrapped", "key__wrapped_by")
    row = RunKey.objects.filter(pk=UUID(run_id)).values_list(*columns).first()
    if row is None:
        return None
    salt, ended, number, wrapped, by = row
    if wrapped is None or ended is not None:
        raise DataErased
    return _with_salt(UUID(run_id), number, unwrapped(number, by, wrapped), salt)


def _with_salt(run: UUID, number: int, key: bytes, salt: Any) -> Seal:
    if salt is None:
        return Seal(number, key)
    return Seal(number, keyring.derive(key, bytes(salt), about=f"run {run}"), run)


def unwrapped(number: int, by: str, wrapped: Any) -> bytes:
    """A data key, from its row. Raises KeysInvalid, KeyMissing, NotDecrypted."""
    return keyring.unwrap(keyring.Wrapped(by, bytes(wrapped or b"")), about=_about(number))


#: what opens a sealed text, by the key's number and the run
Keys = Mapping[tuple[int, UUID | None], bytes]


def load(texts: Iterable[str]) -> Keys:
    """What opens these texts, as far as it was not destroyed. Raises KeysInvalid, KeyMissing, NotDecrypted."""
    wanted = {where for text in texts if (where := place_in(text)) is not None}
    found: dict[tuple[int, UUID | None], bytes] = {}
    if alone := {number for number, run in wanted if run is None}:
        rows = DataKey.objects.filter(pk__in=alone, destroyed_at__isnull=True)
        for number, wrapped, by in rows.values_list("pk", "wrapped", "wrapped_by"):
            found[number, None] = unwrapped(number, by, wrapped)
    if runs := {run for _, run in wanted if run is not None}:
        salted = RunKey.objects.filter(pk__in=runs, salt__isnull=False, key__destroyed_at__isnull=True)
        opened: dict[int, bytes] = {}
        for run, salt, number, wrapped, by in salted.values_list(
            "pk", "salt", "key_id", "key__wrapped", "key__wrapped_by"
        ):
            if number not in opened:
                opened[number] = unwrapped(number, by, wrapped)
            found[number, run] = _with_salt(run, number, opened[number], salt).key
    return found


def is_living(number: int) -> bool:
    """Whether a key is there, and can be unwrapped here. Raises KeysInvalid, KeyMissing, NotDecrypted."""
    found = DataKey.objects.filter(pk=number, destroyed_at__isnull=True).values_list("wrapped", "wrapped_by").first()
    return found is not None and bool(unwrapped(number, found[1], found[0]))


def sealer(workflow: str, seal: Seal) -> Callable[[Any], dict[str, str]]:
    """What seals parts of a workflow's data."""
    where = str(seal.number) if seal.run is None else f"{seal.number}.{seal.run.hex}"

    def seal_(value: Any) -> dict[str, str]:
        data = keyring.encrypt(seal.key, orjson.dumps(value), about=_in(workflow, where))
        return {SEALED: f"{where}.{base64.urlsafe_b64encode(data).decode()}"}

    return seal_


def place_in(text: str) -> tuple[int, UUID | None] | None:
    """The number of the key in a sealed text, and the run; None if it is no such text."""
    match = _TEXT.fullmatch(text)
    return None if match is None else (int(match[1]), UUID(match[2]) if match[2] else None)


def opener(workflow: str, keys: Keys) -> Callable[[str], Any]:
    """What opens sealed texts of a workflow's data; raises DataErased and NotDecrypted."""

    def open_(text: str) -> Any:
        where = place_in(text)
        if where is None or where not in keys:
            raise DataErased
        about, _, coded = text.rpartition(".")
        try:
            data = base64.b64decode(coded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise keyring.NotDecrypted from None
        return json_values.read(keyring.decrypt(keys[where], data, about=_in(workflow, about)).decode())

    return open_


def wrap_anew() -> int:
    """Wrap every living key with the key-encryption key that is in force; how many were not. Raises KeysInvalid,
    KeyMissing, NotDecrypted."""
    done = 0
    with transaction.atomic():
        # Without the key, which does not change: or whoever refers to it, as each new run does, would wait.
        old = DataKey.objects.select_for_update(no_key=True).filter(destroyed_at__isnull=True)
        for row in old.exclude(wrapped_by=keyring.in_force()):
            key = keyring.unwrap(keyring.Wrapped(row.wrapped_by, bytes(row.wrapped or b"")), about=_about(row.pk))
            wrapped = keyring.wrap(key, about=_about(row.pk))
            row.wrapped, row.wrapped_by = wrapped.key, wrapped.by
            row.save(update_fields=["wrapped", "wrapped_by"])
            done += 1
    return done


def _about(number: int) -> str:
    return f"data key {number}"


def _in(workflow: str, where: str) -> str:
    return f"{where} {workflow}"
