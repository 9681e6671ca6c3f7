"""Entries of the log as they are written: one JSON object and its code of authentication.

Note [Audit codes]
Between an entry's commit and its sealing, a second later, only the database vouches for it. So each process signs what
it writes with a key that follows from ERIP_SECRET_KEY and that the database does not have (HMAC-SHA-256, 128 bits). The
sealer reports entries whose code is wrong: somebody without the secret wrote or changed them. An entry that is deleted
within that second is not noticed by this; see docs/explanation/audit.md.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

_HALVES = re.compile(r"\\ud[89a-f][0-9a-f]{2}")
_PURPOSE = b"erip audit entry"

INSERT = "INSERT INTO audit_entry (body, mac)"
#: for use within a larger statement: what it writes depends on `condition`, in SQL
SELECT = INSERT + " SELECT %s::text, %s::text"


def text_of(body: Mapping[str, Any]) -> str:
    """The entry's text, as it is stored and hashed."""
    # What JSON cannot say is recorded as its text: an entry must not fail an operation.
    try:
        text = orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # UTF-8 has no half of a surrogate pair; an address may hold one.
        text = _HALVES.sub(r"\\ufffd", json.dumps(body, default=str))
    # PostgreSQL stores no NUL.
    return text.replace("\\u0000", "\\ufffd")


def mac_of(text: str) -> str:
    """32 hexadecimal digits."""
    return _mac(text, settings.SECRET_KEY)


def is_authentic(text: str, mac: str) -> bool:
    """Whether a process of the platform wrote it, also before the last change of ERIP_SECRET_KEY."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(hmac.compare_digest(mac, _mac(text, str(key))) for key in keys)


def parameters(body: Mapping[str, Any]) -> list[str]:
    """What INSERT and SELECT take."""
    text = text_of(body)
    return [text, mac_of(text)]


def write(body: Mapping[str, Any]) -> None:
    """Write an entry, in the current transaction if there is one."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(f"{INSERT} VALUES (%s, %s)", parameters(body))


def write_if_changed(connection: Any, body: Mapping[str, Any]) -> bool:
    """Write an entry if the transaction of this connection has changed anything so far. Returns whether it did."""
    with connection.cursor() as cursor:
        cursor.execute(f"{SELECT} WHERE pg_current_xact_id_if_assigned() IS NOT NULL", parameters(body))
        return bool(cursor.rowcount)


def write_if_noted(connection: Any, body: Mapping[str, Any]) -> None:
    """Write an entry if the transaction of this connection has changed rows that are recorded, and no entry has them
    yet: Note [Recorded changes] in `changes`."""
    with connection.cursor() as cursor:
        cursor.execute(f"{SELECT} WHERE coalesce(current_setting('erip.changes', true), '') <> ''", parameters(body))


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)


def _mac(text: str, secret: str) -> str:
    return hmac.digest(_key(secret), text.encode(), hashlib.sha256).hex()[:32]
