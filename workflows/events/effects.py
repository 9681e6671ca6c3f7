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
from typing import Protocol

from workflows.events.logged import FreshEvents, LoggedEvent

__all__ = ["AfterCommit", "Effect", "LoggedEvent", "Rejection", "Round", "Unavailable"]

#: what is to be done once the transaction is committed; it may fail without harm, and is then only logged
AfterCommit = Callable[[], None]


class Unavailable(Exception):
    """Raised by an effect: something that it needs is away, whatever the events are. They wait."""


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

    Most events concern no effect. So look for those that do with `of_types` or `holding`: they make objects for these
    alone (Note [Fresh events] in `logged`).
    """

    events: Sequence[LoggedEvent]
    worker_id: int
    rejections: list[Rejection] = field(default_factory=list)

    def of_types(self, wanted: Callable[[str], object]) -> Sequence[LoggedEvent]:
        """The events of those types for which `wanted` is true. It is asked about a type, not about each event."""
        if isinstance(self.events, FreshEvents):
            return self.events.of_types(wanted)
        return [event for event in self.events if wanted(event.type)]

    def holding(self, mark: bytes) -> Sequence[LoggedEvent]:
        """The events whose text has these bytes in it."""
        if isinstance(self.events, FreshEvents):
            return self.events.holding(mark)
        return [event for event in self.events if mark in event.text]

    @property
    def has_replays(self) -> bool:
        """Whether an event of it is replayed from the log."""
        return not isinstance(self.events, FreshEvents) and any(event.replay is not None for event in self.events)

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
