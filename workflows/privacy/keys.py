"""Sealing and opening, with the keys that the database has wrapped."""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import connection, transaction

from erip.foundation import json_values, keyring
from workflows.core.sensitive import SEALED
from workflows.privacy.errors import DataErased
from workflows.privacy.models import DataKey, RunKey

_PURPOSE: Final = " person"


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
    with transaction.atomic(), connection.cursor() as cursor:
        # A number first: what is wrapped is bound to it, so that no key can be put into another one's row.
        cursor.execute("SELECT nextval(pg_get_serial_sequence('privacy_datakey', 'id'))")
        number = int(cursor.fetchone()[0])
        wrapped = keyring.wrap(keyring.new_key(), about=_about(number))
        DataKey.objects.bulk_create(
            [DataKey(pk=number, wrapped=wrapped.key, wrapped_by=wrapped.by, **owner)], ignore_conflicts=True
        )
    # Another process may have been quicker: then its key is the one.
    return int(living.values_list("pk", flat=True).get())


def note_run(run_id: str, key: int) -> None:
    RunKey.objects.bulk_create([RunKey(run_id=UUID(run_id), key_id=key)], ignore_conflicts=True)


def key_of_run(run_id: str) -> int | None:
    return RunKey.objects.filter(pk=UUID(run_id)).values_list("key_id", flat=True).first()


def load(numbers: Collection[int]) -> Mapping[int, bytes]:
    """The living keys among these. Raises KeysInvalid, KeyMissing, NotDecrypted."""
    if not numbers:
        return {}
    rows = DataKey.objects.filter(pk__in=numbers, destroyed_at__isnull=True).values_list("pk", "wrapped", "wrapped_by")
    return {pk: keyring.unwrap(keyring.Wrapped(by, bytes(key or b"")), about=_about(pk)) for pk, key, by in rows}


def sealer(workflow: str, number: int, key: bytes) -> Callable[[Any], dict[str, str]]:
    """What seals parts of a workflow's data with this key."""

    def seal(value: Any) -> dict[str, str]:
        data = keyring.encrypt(key, orjson.dumps(value), about=_in(workflow, number))
        return {SEALED: f"{number}.{base64.urlsafe_b64encode(data).decode()}"}

    return seal


def number_in(text: str) -> int | None:
    """The number of the key in a sealed text; None if it is no such text."""
    number, dot, _ = text.partition(".")
    return int(number) if dot and number.isascii() and number.isdecimal() and len(number) < 19 else None


def opener(workflow: str, keys: Mapping[int, bytes]) -> Callable[[str], Any]:
    """What opens sealed texts of a workflow's data; raises DataErased and NotDecrypted."""

    def open_(text: str) -> Any:
        number = number_in(text)
        if number is None or number not in keys:
            raise DataErased
        try:
            data = base64.b64decode(text.partition(".")[2], altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise keyring.NotDecrypted from None
        return json_values.read(keyring.decrypt(keys[number], data, about=_in(workflow, number)).decode())

    return open_


def wrap_anew() -> int:
    """Wrap every living key with the key-encryption key that is in force; how many were not. Raises KeysInvalid,
    KeyMissing, NotDecrypted."""
    done = 0
    with transaction.atomic():
        old = DataKey.objects.select_for_update().filter(destroyed_at__isnull=True)
        for row in old.exclude(wrapped_by=keyring.in_force()):
            key = keyring.unwrap(keyring.Wrapped(row.wrapped_by, bytes(row.wrapped or b"")), about=_about(row.pk))
            wrapped = keyring.wrap(key, about=_about(row.pk))
            row.wrapped, row.wrapped_by = wrapped.key, wrapped.by
            row.save(update_fields=["wrapped", "wrapped_by"])
            done += 1
    return done


def _about(number: int) -> str:
    return f"data key {number}"


def _in(workflow: str, number: int) -> str:
    return f"{number} {workflow}"
