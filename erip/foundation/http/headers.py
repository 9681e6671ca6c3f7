"""Read request headers, and name what is wrong with them. Their grammars are in `erip.foundation.http.grammar`."""

import hashlib

import orjson
from django.conf import settings

from erip.foundation.faults import Fault
from erip.foundation.http import grammar
from erip.foundation.http.incoming import Incoming
from erip.foundation.http.problems import BadRequest, UnsupportedMedia

IDEMPOTENCY_KEY = "Idempotency-Key"
MAX_KEY = 255
#: conditions on a representation (RFC 9110, section 13.1). No answer has an ETag, so none of them can be checked; a
#: caller that sends one relies on it.
CONDITIONS = ("If-Match", "If-None-Match", "If-Unmodified-Since")
#: a body in these charsets can be read as UTF-8 as it is; US-ASCII is a part of it
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def idempotency_key(request: Incoming) -> str | None:
    """The key under which a repeated request does nothing new: draft-ietf-httpapi-idempotency-key-header, section 2.1.
    `"abc"` and `abc` are one key. Raises BadRequest.
    """
    sent: str | None = request.headers.get(IDEMPOTENCY_KEY)
    if sent is None:
        return None
    try:
        key = grammar.string_or_bare(sent)
    except grammar.Malformed as error:
        raise BadRequest([Fault(IDEMPOTENCY_KEY, str(error))]) from error
    if not 1 <= len(key) <= MAX_KEY:
        raise BadRequest([Fault(IDEMPOTENCY_KEY, f"must have 1 to {MAX_KEY} characters")])
    return key


def refuse_idempotency_key(request: Incoming, why: str) -> None:
    """For an operation that does not store idempotency keys: a caller that sends one relies on it. Raises
    BadRequest."""
    if IDEMPOTENCY_KEY in request.headers:
        raise BadRequest([Fault(IDEMPOTENCY_KEY, why)])


def refuse_conditions(request: Incoming) -> None:
    """Raises BadRequest if a change is requested under a condition that cannot be checked."""
    faults = [
        Fault(name, "is not read here: answers have no ETag, and this change would be made whatever it says")
        for name in CONDITIONS
        if name in request.headers
    ]
    if faults:
        raise BadRequest(faults)


def request_hash(request: Incoming) -> str:
    """What makes two requests the same: method, path and body, whatever the order of the body's keys."""
    body = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"\n".join([str(request.method).encode(), request.path.encode(), body])).hexdigest()


def preferred_wait(request: Incoming) -> float:
    """The seconds of `Prefer: wait=N` (RFC 7240, section 4.3), capped; 0 without one.

    As the RFC says, what is malformed is ignored.
    """
    sent = request.headers.get("Prefer")
    if not sent:
        return 0.0
    wanted = grammar.preferences(sent).get("wait")
    seconds = grammar.delta_seconds(wanted.value) if wanted is not None else None
    return min(float(seconds or 0), settings.ERIP_API_MAX_WAIT_SECONDS)


def need_utf8(content_type: str) -> None:
    """Refuse a charset in which the body would be misread. Raises BadRequest.

    JSON is UTF-8 (RFC 8259, section 8.1), and so are definitions here.
    """
    named = charset_of(content_type)
    if named is not None and named not in _UTF8:
        raise BadRequest([Fault("Content-Type", f'the charset "{named[:40]}" is not read here; it must be utf-8')])


def charset_of(content_type: str) -> str | None:
    """The charset that is named, in lower case. Raises BadRequest where the field is malformed."""
    if ";" not in content_type:
        return None
    try:
        return grammar.charset(content_type)
    except grammar.Malformed as error:
        raise BadRequest([Fault("Content-Type", str(error))]) from error


def codings(content_encoding: str) -> list[str]:
    """The codings that were applied to the body, in their order, without `identity`. Raises BadRequest."""
    try:
        return [name for name in grammar.tokens(content_encoding) if name != "identity"]
    except grammar.Malformed as error:
        raise BadRequest([Fault("Content-Encoding", str(error))]) from error


def need_no_coding(request: Incoming) -> None:
    """Raises UnsupportedMedia for a compressed body where none is read (RFC 9110, section 8.4), BadRequest."""
    sent = request.headers.get("Content-Encoding")
    if sent and codings(sent):
        raise UnsupportedMedia([Fault("Content-Encoding", "compressed bodies are not read here; send it plain")])
