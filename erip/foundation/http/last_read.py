"""The body that this request's thread has read last, for whoever wants to know what a caller said.

Apart from `reading`, which reads it and needs Django REST framework: processes that serve no requests load this too.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

_last: ContextVar[Mapping[str, Any] | None] = ContextVar("erip_http_last_read", default=None)


def last_read() -> Mapping[str, Any]:
    """{} if it has read none."""
    return _last.get() or {}


def remember(body: Mapping[str, Any]) -> None:
    """This body was read, and is valid."""
    _last.set(body)


def forget_last() -> None:
    """Another request begins."""
    _last.set(None)
