"""Read the request headers `Idempotency-Key` and `Prefer`."""

import hashlib
import re

import orjson
from django.conf import settings

from erip.foundation.faults import Fault
from erip.foundation.http.incoming import Incoming
from erip.foundation.http.problems import BadRequest

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)


def idempotency_key(request: Incoming) -> str | None:
    """The key under which a repeated request starts nothing new. Raises BadRequest."""
    key: str | None = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _PRINTABLE.fullmatch(key):
        raise BadRequest([Fault("Idempotency-Key", "must have 1 to 255 printable ASCII characters")])
    return key


def request_hash(request: Incoming) -> str:
    """What makes two requests the same: method, path and body, whatever the order of the body's keys."""
    body = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"\n".join([str(request.method).encode(), request.path.encode(), body])).hexdigest()


def preferred_wait(request: Incoming) -> float:
    """The seconds of `Prefer: wait=N` (RFC 7240), capped; 0 without one. As the RFC says, what is malformed
    is ignored.
    """
    match = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(match.group(1)), settings.ERIP_API_MAX_WAIT_SECONDS) if match else 0.0
