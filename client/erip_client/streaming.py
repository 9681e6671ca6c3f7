"""Server-sent events: reading them (WHATWG HTML, section 9.2), and what a stream of ERIP's does next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pydantic
import pydantic_core

from .errors import NotAuthenticated, NotUnderstood
from .models import CloudEvent

#: bytes of one event, at most
MOST_OF_ONE: Final = 16 * 1024 * 1024
#: seconds without a byte after which a stream is given up and opened again; ERIP sends a comment every 15
SILENCE: Final = 45.0
MEDIA: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event. id: of the last event so far; None: there was none."""

    event: str
    data: str
    id: str | None


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """An event of a stream. id: handed in as `last_event_id`, the stream goes on after it."""

    id: str | None
    event: CloudEvent


@dataclass(slots=True)
class Reader:
    """Turns bytes into messages, however they are cut."""

    last_id: str | None = None
    _rest: bytearray = field(default_factory=bytearray)
    _event: str = ""
    _data: list[str] = field(default_factory=list)
    _size: int = 0

    def begin(self) -> None:
        """Another connection: half of an event from the one before is none."""
        self._rest, self._event, self._data, self._size = bytearray(), "", [], 0

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Raises NotUnderstood if one event is too long."""
        self._rest += chunk
        lines: list[bytearray] = []
        if b"\n" in chunk:  # what was there before has no end of a line, and is not searched again
            *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) + self._size > MOST_OF_ONE:
            raise NotUnderstood(f"An event of the stream has more than {MOST_OF_ONE // 2**20} MiB.")
        for line in lines:
            if (message := self._line(bytes(line).removesuffix(b"\r").decode("utf-8", "replace"))) is not None:
                yield message

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        return None

    def _dispatch(self) -> Message | None:
        event, data = self._event or "message", self._data
        self._event, self._data, self._size = "", [], 0
        return Message(event, "\n".join(data), self.last_id) if data else None


def opened(answer: httpx.Response) -> None:
    """Raises NotUnderstood if the answer is no stream."""
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != MEDIA:
        raise NotUnderstood(f"The answer is {media[:80]!r} where a stream of events was asked for.")


def event_of(message: Message) -> StreamedEvent | None:
    """The event; None: the stream ends, and is to be opened again. Raises NotAuthenticated, NotUnderstood."""
    try:
        found = pydantic_core.from_json(message.data)
        if message.event == "end":
            raise_unless_to_be_opened_again(found)
            return None
        return StreamedEvent(message.id, CloudEvent.model_validate(found))
    except (pydantic.ValidationError, ValueError):
        raise NotUnderstood("An event of the stream is not what ERIP would say.") from None


def raise_unless_to_be_opened_again(found: Any) -> None:
    reason = found.get("reason") if isinstance(found, Mapping) else None
    if reason == "access_ended":
        raise NotAuthenticated(401, "access-ended", "The API key was revoked or has expired.")
