"""Make, check and revoke API keys.

A secret is 40 random letters and digits (238 bits), so one SHA-256 is a sufficient hash: there is nothing to
guess and no need for a slow one at every request.

Note [Key cache]: each process keeps what it read about a key for ERIP_API_KEY_CACHE_SECONDS, so that a busy caller
costs one query in that time. A revocation therefore takes effect in every process within that time. The cache holds the
stored row, never the secret; unknown keys are not cached, so that nobody can push the known ones out by guessing. A
secret that does not fit the row may be newer than the row: then the row is read again, at most once a second.
"""

import hashlib
import hmac
import secrets
import string
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from cachetools import TTLCache
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import is_transient, must_drop
from erip.foundation.db.retry import retry_transaction

from . import grants, networks, origins
from .errors import NotFromThere
from .models import ApiKey
from .origins import Origins
from .principals import Principal, of_held
from .references import ANY
from .scopes import Scope

_ALPHABET = string.ascii_letters + string.digits
_PREFIX_LENGTH = 8
_SECRET_LENGTH = 40
_LAST_USED_EVERY = timedelta(minutes=5)
#: seconds after which a row is read again for a secret that does not fit it
_READ_AGAIN = 1.0

_cache: TTLCache[str, ApiKey] = TTLCache(maxsize=4096, ttl=settings.ERIP_API_KEY_CACHE_SECONDS)
_cache_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made.

    row: what is stored
    token: the whole key; nobody can read it again
    """

    row: ApiKey
    token: str


class NotBindable(ValueError):
    """A key cannot be bound to these patterns. faults: what is wrong with them, each with its place."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{place} {fault}" for place, fault in faults))
        self.faults = list(faults)


def create(
    *,
    name: str,
    scope: Scope | Literal[""],
    expires_at: datetime | None = None,
    created_by: str = "",
    sources: Sequence[str] = (ANY,),
    types: Sequence[str] = (ANY,),
    owner: Any = None,
    allowed: Sequence[str] = (),
    rate: int | None = None,
) -> NewKey:
    """Make and store a key. scope: its role on everything; "" for a key that has only what it is granted. sources,
    types: of the events that it may send, see `origins`. owner: the person who answers for it, whom every door asks
    for: Note [Key owners] in `changing`. allowed: networks. rate: requests a minute.

    Raises NotBindable, and django.db.IntegrityError if the name is taken.
    """
    check_binding(sources, types, allowed)
    prefix, secret = _random(_PREFIX_LENGTH), _random(_SECRET_LENGTH)
    row = ApiKey.objects.create(
        name=name,
        prefix=prefix,
        digest=digest_of(secret),
        scope=scope,
        expires_at=expires_at,
        created_by=created_by,
        sources=list(sources),
        types=list(types),
        owner=owner,
        networks=networks.canonical(allowed),
        rate=rate,
    )
    origins.forget()
    return NewKey(row=row, token=token_of(prefix, secret))


def new_secret() -> str:
    return _random(_SECRET_LENGTH)


def token_of(prefix: str, secret: str) -> str:
    """The whole key."""
    return f"erip_{prefix}_{secret}"


def bind(prefix: str, *, sources: Sequence[str], types: Sequence[str]) -> bool:
    """Allow a key to send events only from these sources and of these types. False if there is no such key. It takes
    effect in every process within ERIP_API_KEY_CACHE_SECONDS. Raises NotBindable."""
    check_binding(sources, types)
    changed = ApiKey.objects.filter(prefix=prefix).update(sources=list(sources), types=list(types))
    forget(prefix)
    return changed == 1


def forget(prefix: str) -> None:
    """That key was changed: this process reads it anew, the others within ERIP_API_KEY_CACHE_SECONDS."""
    _drop(prefix)
    if connection.in_atomic_block:
        # A request that came in between has read it as it was.
        transaction.on_commit(partial(_drop, prefix))


def _drop(prefix: str) -> None:
    with _cache_lock:
        _cache.pop(prefix, None)
    origins.forget()


def check_binding(sources: Sequence[str], types: Sequence[str], allowed: Sequence[str] = ()) -> None:
    """Raises NotBindable with all that is wrong with these patterns and networks."""
    faults = []
    for field, patterns, fault_of in (
        ("sources", sources, origins.source_fault),
        ("types", types, origins.type_fault),
        ("networks", allowed, networks.network_fault),
    ):
        for place, pattern in enumerate(patterns):
            if fault := fault_of(pattern):
                faults.append((f"{field}[{place}]", f'"{pattern[:100]}" {fault}'))
    if faults:
        raise NotBindable(faults)


def revoke(prefix: str) -> bool:
    """Close a key for good. False if there is no such key or it was revoked before."""
    changed = ApiKey.objects.filter(prefix=prefix, revoked_at=None).update(revoked_at=timezone.now())
    forget(prefix)
    return changed == 1


def authenticate(token: str, address: str = "") -> Principal | None:
    """The caller to whom a key belongs; None if the key is malformed, unknown, wrong, expired or revoked, or if its
    owner is not active. address: the client's own; "": unknown. Raises NotFromThere."""
    parts = _parts(token)
    if parts is None:
        return None
    prefix, secret = parts
    now = timezone.now()
    row = _read(prefix)
    if row is None:
        # An unknown prefix takes the same comparison, so that the answer's time does not tell which prefixes exist.
        hmac.compare_digest(digest_of(secret), bytes(32))
        return None
    if not _opens(row, secret, now):
        newer = _read_again(row)
        if newer is None or not _opens(newer, secret, now):
            return None
        row = newer
    if row.networks and not _is_from(row, address):
        raise NotFromThere(principal_of(row).name)
    _note_use(row, now)
    return principal_of(row)


def remembered(token: str, address: str = "") -> Principal | None:
    """Like `authenticate`, but without the database: also None for a key that this process has not read lately, that is
    not allowed at this address, or whose use has to be recorded. Never waits."""
    parts = _parts(token)
    if parts is None:
        return None
    prefix, secret = parts
    with _cache_lock:
        row = _cache.get(prefix)
    now = timezone.now()
    if row is None or not _opens(row, secret, now) or _use_is_stale(row, now):
        return None
    return principal_of(row) if not row.networks or _is_from(row, address) else None


def limited(token: str) -> ApiKey | None:
    """The key, if this process has read it lately, if it opens something, and if it has a rate. Never waits."""
    parts = _parts(token)
    if parts is None:
        return None
    with _cache_lock:
        row = _cache.get(parts[0])
    return row if row is not None and row.rate and _opens(row, parts[1], timezone.now()) else None


def remember(row: ApiKey) -> None:
    """This process has just read that key."""
    with _cache_lock:
        _cache[row.prefix] = row


def forget_cached() -> None:
    """Read every key from the database again at its next use."""
    with _cache_lock:
        _cache.clear()
    origins.forget()


def _read(prefix: str) -> ApiKey | None:
    with _cache_lock:
        cached = _cache.get(prefix)
    if cached is not None:
        return cached
    row = _stored(prefix)
    if row is not None:
        row._read_at = time.monotonic()  # type: ignore[attr-defined]
        remember(row)
    return row


def _read_again(row: ApiKey) -> ApiKey | None:
    """The row as it is stored now, in place of one that this process has read more than a moment ago."""
    at: float = getattr(row, "_read_at", 0.0)
    if time.monotonic() - at < _READ_AGAIN:
        return None
    with _cache_lock:
        _cache.pop(row.prefix, None)
    return _read(row.prefix)


@retry_transaction
def _stored(prefix: str) -> ApiKey | None:
    return with_grants().filter(prefix=prefix).first()


def with_grants() -> QuerySet[ApiKey]:
    """Keys, each with its current grants and whether its owner is active: all that is asked of a key, in one
    statement."""
    return ApiKey.objects.annotate(granted=grants.of_key_column(), owned=Coalesce(F("owner__is_active"), True))


def _parts(token: str) -> tuple[str, str] | None:
    """Prefix and secret; None for text that is not a key."""
    marker, _, rest = token.partition("_")
    prefix, _, secret = rest.partition("_")
    well_formed = (len(prefix), len(secret)) == (_PREFIX_LENGTH, _SECRET_LENGTH) and (prefix + secret).isalnum()
    return (prefix, secret) if marker == "erip" and well_formed and token.isascii() else None


def _opens(row: ApiKey, secret: str, now: datetime) -> bool:
    digest = digest_of(secret)
    fits = hmac.compare_digest(digest, bytes(row.digest)) or (
        row.previous_until is not None
        and row.previous_digest is not None
        and now < row.previous_until
        and hmac.compare_digest(digest, bytes(row.previous_digest))
    )
    return fits and row.is_usable(now)


def _is_from(row: ApiKey, address: str) -> bool:
    found: tuple[networks.Network, ...] | None = getattr(row, "_networks", None)
    if found is None:
        found = networks.parsed(row.networks)
        row._networks = found  # type: ignore[attr-defined]
    return networks.contain(found, address)


def principal_of(row: ApiKey) -> Principal:
    """The caller of a key that was read by `with_grants`. Kept with the row, which is read anew every few seconds."""
    kept: Principal | None = getattr(row, "_principal", None)
    if kept is None:
        granted = list(getattr(row, "granted", ()))
        if row.scope:
            granted.append({"role": Scope(row.scope).role, "space": "", "own": None})
        origins = Origins(tuple(row.sources), tuple(row.types))
        kept = of_held(f"key:{row.name}", grants.held(granted), origins)
        row._principal = kept  # type: ignore[attr-defined]
    return kept


def _use_is_stale(row: ApiKey, now: datetime) -> bool:
    return row.last_used_at is None or now - row.last_used_at >= _LAST_USED_EVERY


def _note_use(row: ApiKey, now: datetime) -> None:
    if not _use_is_stale(row, now):
        return
    # Conditional, so that only one of many processes writes.
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _LAST_USED_EVERY)
    try:
        ApiKey.objects.filter(stale, pk=row.pk).update(last_used_at=now)
    except Error as error:
        # Nobody is turned away because the database is failing over: the next use records it.
        if connection.in_atomic_block or not is_transient(error):
            raise
        if must_drop(error):
            drop_connection()
        return
    row.last_used_at = now


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8")).digest()
