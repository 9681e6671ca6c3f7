"""Request, response and route of the light path."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from io import BytesIO
from threading import Event
from typing import Any, Protocol

from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.utils.mediatypes import media_type_matches
from rest_framework.views import APIView

from erip.foundation.http.headers import CONDITIONS
from erip.foundation.http.renderers import dumps

#: headers that the view's own decorator handles
_RARE = frozenset(name.lower().encode() for name in CONDITIONS)
#: longer than any media type
_LONG_MEDIA_TYPE = 200


class Caller(Protocol):
    """The caller, as the views' permissions see it."""

    @property
    def pk(self) -> str: ...


class Later(Protocol):
    """A better answer, if it comes in time."""

    async def outcome(self, in_thread: Callable[..., Awaitable[Any]], /) -> bytes | None:
        """The body of a 200, or None.

        in_thread: awaits `function(*arguments)` in a thread that may use the database.
        """


class NotLight(Exception):
    """The ordinary view has to answer this request. Raised before anything was changed."""


class LightHeaders(Mapping[str, str]):
    """A request's headers by name, whatever its case."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[bytes, str] = {}
        for name, value in raw:
            # As Django joins a header that comes twice.
            before = self._values.get(name)
            text = value.decode("latin1")
            self._values[name] = text if before is None else f"{before},{text}"

    @property
    def rare(self) -> bool:
        """Whether there is a header that only the ordinary view handles."""
        return not _RARE.isdisjoint(self._values)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower().encode("latin1")]

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin1") for name in self._values)

    def __len__(self) -> int:
        return len(self._values)


class LightRequest:
    """A completely received request of a known caller."""

    user: Caller

    def __init__(
        self, method: str, path: str, query: bytes, headers: LightHeaders, body: bytes, parsers: list[BaseParser]
    ) -> None:
        self.method = method
        self.path = path
        self._query = query
        self.headers = headers
        self.body = body
        self._parsers = parsers
        #: the caller, if the door has just looked it up
        self.known: Caller | None = None
        #: the client's own address, as far as it is known
        self.client = ""
        #: set when the caller has left
        self.left = Event()

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")

    @cached_property
    def query_params(self) -> QueryDict:
        try:
            return QueryDict(self._query.decode())
        except (UnicodeDecodeError, SuspiciousOperation) as error:
            raise NotLight from error

    @cached_property
    def data(self) -> Any:
        """The body, read by the first of the view's parsers for the media type; {} without a body."""
        media_type = self.content_type
        if len(media_type) > _LONG_MEDIA_TYPE:
            raise NotLight
        if not self.body:
            if "form" in media_type.lower():
                raise NotLight  # REST framework has a form without fields then
            return {}
        for parser in self._parsers:
            if _matches(parser.media_type or "", media_type):
                return parser.parse(BytesIO(self.body), media_type, {"request": self})
        raise UnsupportedMediaType(media_type)


@dataclass(slots=True)
class LightResponse:
    """An answer.

    headers: besides those of the view and of the middlewares, which are added
    wait: answer with its result instead, if that comes in time
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    wait: Later | None = None

    @classmethod
    def of(cls, data: Any, status: int = 200, **options: Any) -> "LightResponse":
        """With `data` as JSON."""
        return cls(status, dumps(data), **options)


@dataclass(frozen=True)
class Route:
    """One endpoint of the light path.

    path: a regular expression of the whole path; its named groups become `handle`'s parameters
    view: the ordinary view of the same endpoint; its parsers, permissions and headers apply here, too
    method: of the view, which is marked with the scope it needs
    """

    path: re.Pattern[str]
    view: type[APIView]
    method: str
    handle: Callable[..., LightResponse]

    @cached_property
    def instance(self) -> APIView:
        view = self.view()
        if hasattr(view, "get") and not hasattr(view, "head"):
            # As View.setup does, so that Allow names it.
            view.head = view.get  # type: ignore[attr-defined]
        return view

    @cached_property
    def parsers(self) -> list[BaseParser]:
        return list(self.instance.get_parsers())

    @cached_property
    def headers(self) -> dict[str, str]:
        return dict(self.instance.default_response_headers)


@lru_cache(maxsize=256)
def _matches(read: str, sent: str) -> bool:
    return bool(media_type_matches(read, sent))
