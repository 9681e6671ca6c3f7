"""Events of the log, as effects see them.

Note [Fresh events]
A round is a few blocks, and what the log needs of a block is made from its columns (`core/blocks`). An object for each
event, though most are of types that no rule and no subscription asks for, cost a consumer as much again. So the fresh
events of a round are made one by one, when an effect first looks at one; it is the same object for all effects.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, overload

import orjson

from workflows.core.blocks import Columns


@dataclass(slots=True, eq=False)
class LoggedEvent:
    """An event in the log. (Not frozen: that would treble what it costs to make one.)"""

    partition: int
    #: gap-free within the partition, in the order of commits
    position: int
    logged_at: datetime
    accepted_at: datetime
    type: str
    source: str
    subject: str | None
    id: str
    #: the whole CloudEvent in structured JSON (UTF-8)
    text: bytes
    #: set if the event is replayed from the log: the target (an effect's name, and a part that the effect interprets)
    replay: str | None = None
    #: the principal who sent it; None: the platform itself, or the sender is no longer known
    sender: str | None = None
    _parsed: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent. Parsed at the first look."""
        parsed = self._parsed
        if parsed is None:
            parsed = self._parsed = orjson.loads(self.text)
        return parsed


@dataclass(frozen=True, slots=True)
class Part:
    """Events of one block that were logged one behind the other: those from `first` to `upto`.

    position: of the event at `first`
    """

    partition: int
    position: int
    logged_at: datetime
    accepted_at: datetime
    columns: Columns
    first: int
    upto: int

    def made(self, offset: int) -> LoggedEvent:
        """The event in this place of the block."""
        types, sources, subjects, ids, texts, _, senders, _ = self.columns
        return LoggedEvent(
            self.partition,
            self.position + offset - self.first,
            self.logged_at,
            self.accepted_at,
            types[offset],
            sources[offset],
            subjects[offset],
            ids[offset],
            texts[offset],
            None,
            senders[offset] if isinstance(senders, list) else senders,
        )


class FreshEvents(Sequence[LoggedEvent]):
    """Events that were just logged, in the order in which they were: Note [Fresh events]."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._made: list[dict[int, LoggedEvent]] = [{} for _ in parts]
        self._length = sum(part.upto - part.first for part in parts)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[LoggedEvent]:
        for number, part in enumerate(self._parts):
            for offset in range(part.first, part.upto):
                yield self._event(number, offset)

    @overload
    def __getitem__(self, index: int) -> LoggedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[LoggedEvent]: ...
    def __getitem__(self, index: int | slice) -> LoggedEvent | list[LoggedEvent]:
        if isinstance(index, slice):
            return list(self)[index]
        left = index if index >= 0 else self._length + index
        if left >= 0:
            for number, part in enumerate(self._parts):
                if left < part.upto - part.first:
                    return self._event(number, part.first + left)
                left -= part.upto - part.first
        raise IndexError(index)

    def of_types(self, wanted: Callable[[str], object]) -> list[LoggedEvent]:
        """Those of the types for which `wanted` is true."""
        found: list[LoggedEvent] = []
        for number, part in enumerate(self._parts):
            types = part.columns.types
            chosen = {type_ for type_ in set(types) if wanted(type_)}
            if chosen:
                found += [
                    self._event(number, offset) for offset in range(part.first, part.upto) if types[offset] in chosen
                ]
        return found

    def holding(self, mark: bytes) -> list[LoggedEvent]:
        """Those whose text has these bytes in it."""
        return [
            self._event(number, offset)
            for number, part in enumerate(self._parts)
            if mark in part.columns.plain
            for offset in range(part.first, part.upto)
            if mark in part.columns.texts[offset]
        ]

    def _event(self, number: int, offset: int) -> LoggedEvent:
        made = self._made[number]
        event = made.get(offset)
        if event is None:
            event = made[offset] = self._parts[number].made(offset)
        return event
