"""A call: everything about one request, and how its answer is read. Calls are values; a transport carries them out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import pydantic_core

T = TypeVar("T")

#: not given, where None is a value
ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda _: "ABSENT", "__bool__": lambda _: False})()

JSON: Final = "application/json"
#: what is read from an answer at most, in bytes
MOST: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request of the operation that OpenAPI calls `operation`.

    template: the path, with its parameters in braces; path: their values
    query: parameters of the query string; those that are None are left out
    content: the body, in `media`; None: there is none
    answers: by status, the type of the document; None: there is no body
    keyed: the request is sent with an Idempotency-Key, `key` or one that is made for it, so that it may be repeated
    safe: a POST that may be repeated without a key
    wait: seconds that the server may take longer, because it was asked to wait
    """

    operation: str
    method: str
    template: str
    answers: Mapping[int, Any]
    path: Mapping[str, str | int] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    content: bytes | None = None
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    keyed: bool = False
    key: str | None = None
    safe: bool = False
    wait: float = 0.0

    @property
    def repeatable(self) -> bool:
        """Whether it does no harm to send it again after an answer was lost."""
        return self.method in ("GET", "PUT", "DELETE") or self.keyed or self.safe

    @property
    def address(self) -> str:
        """The path, with its parameters. Raises ValueError for a parameter that would lead elsewhere."""
        return self.template.format_map({name: segment(name, value) for name, value in self.path.items()})


def segment(name: str, value: str | int) -> str:
    """A value as one segment of a path. Raises ValueError if it is empty or would lead to another folder."""
    text = str(value)
    if not text or text in (".", ".."):
        raise ValueError(f"{name} must not be {text!r}")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ValueError(f"{name} is no text in Unicode: {text!r}") from None


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None and not ABSENT."""
    return {name: value for name, value in values.items() if value is not None and value is not ABSENT}


def to_json(value: Any) -> bytes:
    """Moments and ids become texts. Raises ValueError for what JSON does not have."""
    return pydantic_core.to_json(value, inf_nan_mode="constants")


def moment(value: datetime | str | None) -> str | None:
    """RFC 3339. Raises ValueError for a moment without its time zone: whose noon would it be?"""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.isoformat()
    return value
