"""Reading an answer: the document that was asked for, or a typed error. Nothing in an answer is trusted."""

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TypeVar

import pydantic
import pydantic_core

from .calls.base import Call
from .errors import BY_STATUS, EripError, Fault, NotUnderstood, Refused, ServerFault, Unreachable

T = TypeVar("T")

#: faults of a problem that are read; the server names 100
MOST_FAULTS: Final = 1000
#: seconds that a Retry-After can ask for
MOST_SECONDS: Final = 86_400.0
_PROXY = {502: "no server is behind it just now", 504: "the server behind it did not answer in time"}


def read(call: Call[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """The document. Raises Refused, NotUnderstood, Unreachable."""
    if status not in call.answers:
        raise error_of(status, headers, body)
    wanted = call.answers[status]
    if wanted is None:
        return None  # type: ignore[return-value]
    found = _json(status, headers, body)
    try:
        document: T = _adapter(wanted).validate_python(found)
    except pydantic.ValidationError as error:
        raise NotUnderstood(f"The answer ({status}) is not what ERIP would say: {_first(error)}") from None
    return document


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> EripError:
    """What an answer means that is not the one that was asked for."""
    if 300 <= status < 400:
        return NotUnderstood(
            f"The server redirects ({status}) to {headers.get('location', 'nowhere')}: use that address."
        )
    try:
        found = _json(status, headers, body)
    except NotUnderstood as error:
        if status in _PROXY:
            return Unreachable(f"A proxy answers {status}: {_PROXY[status]}.", may_have_happened=True)
        return error
    if not isinstance(found, dict) or not isinstance(code := found.get("code"), str):
        return NotUnderstood(f"The answer ({status}) is JSON, but none of ERIP's.")
    detail = found.get("detail") or found.get("title") or ""
    wait = retry_after(headers)
    return BY_STATUS.get(status, ServerFault)(status, code, str(detail), list(_faults(found.get("faults"))), wait)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None: not said, or not understood. RFC 9110, section 10.2.3: a number, or a date."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), MOST_SECONDS)
    try:
        at = email.utils.parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(0.0, (at - datetime.now(UTC)).total_seconds()), MOST_SECONDS)


def may_help_to_repeat(error: EripError) -> bool:
    """Whether the same request may be answered differently a little later."""
    if isinstance(error, Unreachable):
        return True
    if not isinstance(error, Refused):
        return False
    # 409 with Retry-After: the first request with that Idempotency-Key is still under way.
    return error.status in (408, 429, 503) or (error.status == 409 and error.retry_after is not None)


def _json(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        what = f"{media[:80]!r}" if media else "something without a type"
        raise NotUnderstood(f"The answer ({status}) is {what}, not JSON. Is this the address of ERIP?")
    try:
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise NotUnderstood(f"The answer ({status}) says that it is JSON, and is not: {error}") from None


def _faults(found: Any) -> list[Fault]:
    items = found if isinstance(found, list) else []
    return [
        Fault(str(item.get("path") or ""), str(item.get("message") or ""))
        for item in items[:MOST_FAULTS]
        if isinstance(item, dict)
    ]


def _first(error: pydantic.ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    place = ".".join(str(part) for part in found[0]["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{place}: {found[0]['msg']}{more}" if place else f"{found[0]['msg']}{more}"


@cache
def _adapter(wanted: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(wanted)
