"""The effects of events, and how a consumer applies them: the interface of triggers, deliveries and later effects.

A consumer takes a round of events, logs those that are fresh, and hands them to each effect in the same transaction.
What an effect writes is committed with the log, or not at all: so it takes place once for each event. For work that
must wait for the commit (messages, notifications) it returns a function.

An effect that fails on an event (any exception) fails the round; the consumer splits it until the event is alone, tries
the event again after a while, and in the end moves it to the dead letters without this effect. If an effect knows that
it will never work for an event, it rejects the event by `round.reject(...)`; nothing is tried again, and the others go
on. `Unavailable` says that nothing is wrong with the events: they wait until the effect's breaker lets it be tried
again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson

#: what is to be done once the transaction is committed; it may fail without harm, and is then only logged
AfterCommit = Callable[[], None]


class Unavailable(Exception):
    """Raised by an effect: something that it needs is away, whatever the events are. They wait."""


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
class Rejection:
    """An event that an effect can never do."""

    event: LoggedEvent
    effect: str
    code: str
    message: str
    target: str | None


@dataclass(slots=True)
class Round:
    """Events that take effect in one transaction, those of a partition in its order.

    worker_id: the consumer's worker
    """

    events: Sequence[LoggedEvent]
    worker_id: int
    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, event: LoggedEvent, *, effect: str, code: str, message: str, target: str | None = None) -> None:
        """Move this event to the dead letters, in the same transaction. target: a trigger's name, for example."""
        self.rejections.append(Rejection(event, effect, code, message, target))


class Effect(Protocol):
    """Something that events cause. There is one object per process; several loops call it at once, each with rounds of
    its own partitions, so they share what it remembers."""

    @property
    def name(self) -> str:
        """A slug: the first part of a replay's target (`triggers`, `triggers:on-breach`, `subscriptions:17`)."""

    def apply(self, round: Round) -> AfterCommit | None:
        """Do what these events cause, in the transaction that the caller has begun. The events are fresh, or are
        replayed to this effect (`event.replay`). Raises Unavailable, or anything else to fail the round."""

    def plan(self, target: str, events: Sequence[LoggedEvent]) -> dict[str, int]:
        """What a replay of these events to `target` would do: a count for each trigger or subscription. Writes
        nothing. Raises LookupError for a target that does not exist."""
