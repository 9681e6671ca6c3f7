"""Sensitive data of events: sealed when they are accepted, opened for runs and for people who may see it.

Note [Sealed events] in `workflows.privacy.events` says with which keys. Rules see an event as it is stored. They may
hand a sealed part on, and not look into it: a rule that does is not applied, and its event becomes a dead letter that
says so. What a rule hands on is opened where the workflow's schema says `sensitive`, too, and sealed at once with the
run's key. Anywhere else it stays closed, and the run is not started: nothing is ever stored in the clear.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from erip.foundation.db import retry
from erip.foundation.errors import EripError
from erip.foundation.faults import Fault, join
from workflows.core import sensitive
from workflows.core.blocks import Entry
from workflows.core.cloudevents import Batch
from workflows.core.sensitive import Parts
from workflows.events import types
from workflows.events.effects import AfterCommit, LoggedEvent, Round, Unavailable
from workflows.events.identity import identity_of
from workflows.privacy import events as keys
from workflows.privacy.events import Place

#: what the text of an event has if something in it is sealed; it may have it without
MARK: Final = b'"$sealed"'
_NOT_SHOWN = "does not fit the schema; what is wrong is not said, as it would show sensitive data of the event"
_OTHER_PERSON = "is about another person than its run, with whom it would not be erased"
_NOT_THERE = "is sensitive data of the event: it may stand only where the schema says `sensitive: true`"


# --- accepting them


def seal(batch: Batch) -> None:
    """Seal the events of types with sensitive data, in their place. Others cost a look at a dictionary. Raises
    KeysInvalid and errors of the database."""
    known = types.sealed()
    if not known:
        return
    # What the text says proves nothing: its sender wrote it.
    wanted = known.keys() - batch.sealed
    found = [
        (entries, index)
        for entries in batch.partitions.values()
        for index, entry in enumerate(entries)
        if entry.type in wanted
    ]
    if found:
        _seal(found, known)
        batch.sealed |= wanted


def _seal(found: Sequence[tuple[list[Entry], int]], known: Any) -> None:
    events = [orjson.loads(entries[index].text) for entries, index in found]
    wanted = []
    for event in events:
        persons = sensitive.subjects(known[event["type"]].sealed, event.get("data"))
        wanted.append((identity_of(event["source"], event["id"]), event["type"], persons[0] if persons else None))
    sealers = retry.run(lambda _: keys.sealers(wanted))
    for (entries, index), event, sealer in zip(found, events, sealers, strict=True):
        if "data" in event:
            event["data"] = sensitive.change(known[event["type"]].sealed, event["data"], sealer)
        entries[index] = entries[index]._replace(text=orjson.dumps(event))


# --- what consumers do with them


def of_event(event: LoggedEvent) -> "types.Known | None":
    """The event's type, if something in it is sealed."""
    return types.known_as_sealed(event.type) if MARK in event.text else None


class KeysEffect:
    """Notes which events are about a person."""

    name = "privacy"

    def apply(self, round: Round) -> AfterCommit | None:
        found: list[tuple[int, Place]] = []
        for event in round.holding(MARK):
            # A replay is one of its own dead letters, which is retried.
            if of_event(event) is not None:
                place = Place(event.partition, event.position, event.logged_at)
                found += [(number, place) for number in _numbers(event)]
        if found:
            keys.note(found)
        return None

    def plan(self, target: str, events: Sequence[LoggedEvent]) -> dict[str, int]:
        raise LookupError("nothing can be replayed for it")


def _numbers(event: LoggedEvent) -> set[int]:
    """The keys with which an event is sealed, wherever the version said so that was in force when it came in."""
    mine = {identity_of(event.source, event.id)}
    texts = [text for text in sensitive.find(event.event.get("data")) if keys.belongs(text, mine)]
    return {number for text in texts if (number := keys.number_of(text)) is not None}


@dataclass(frozen=True, slots=True)
class Opened:
    """A value for a run. key: of the person whom its events are about, with which the run is sealed if its input names
    nobody; None: they are about nobody. adopted: nothing of the run that is given it was sealed so far, so that it was
    noted to be sealed with the key."""

    value: Any
    key: int | None = None
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class NotOpened:
    """Why sensitive data cannot be given to a run. code: of the dead letter."""

    code: str
    faults: tuple[Fault, ...]


def opened(
    value: Any,
    parts: Parts,
    identities: Collection[str],
    faults_of: Callable[[Any], Sequence[Fault]],
    *,
    at: str,
    run: str | None = None,
) -> Opened | NotOpened:
    """A value that a rule made of events, opened where it is sealed again; it fits `faults_of`.

    parts: of the value's schema. identities: of the events. at: what the value is called. run: the one that is given
    it, which is sealed with its person's key from now on; None: it is the input of a new one. Raises Unavailable.
    """
    texts = [text for text in sensitive.find(value) if keys.belongs(text, identities)]
    if not texts:
        faults = faults_of(value)
        return NotOpened("input_invalid", tuple(faults)) if faults else Opened(value)
    try:
        open_ = keys.opener(texts, identities)

        def open_here(part: Any) -> Any:
            return sensitive.opened(part, lambda text: open_(text) if text in mine else {sensitive.SEALED: text})

        mine = set(texts)
        found = sensitive.change(parts, value, open_here)
    except EripError as error:
        if error.status == 503:
            raise Unavailable(error.message) from error  # a key-encryption key is away, and comes back
        return NotOpened(error.code, (Fault(at, error.message),))
    if left := [Fault(path, _NOT_THERE) for path in _places(found, mine, at)]:
        return NotOpened("input_invalid", tuple(left[:20]))
    persons = keys.of_persons(texts)
    named = sensitive.subjects(parts, found)
    if len(persons) > 1 or len(named) > 1:
        return NotOpened("input_invalid", (Fault(at, "is about several persons: a run is about one"),))
    if faults_of(found):
        return NotOpened("input_invalid", (Fault(at, _NOT_SHOWN),))
    person = next(iter(persons), None)
    if person is None:
        return Opened(found)
    if run is None:
        ours, adopted = not named or keys.is_of(person, named[0]), False
    else:
        ours, adopted = keys.adopt(run, person)
    if not ours:
        return NotOpened("input_invalid", (Fault(at, _OTHER_PERSON),))
    return Opened(found, person, adopted)


def _places(value: Any, texts: set[str], at: str) -> Iterator[str]:
    """Where these sealed texts stand."""
    if sensitive.is_one(value) and value[sensitive.SEALED] in texts:
        yield at
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, texts, join(at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, texts, join(at, index))


# --- reading them


def opened_as_far(event: dict[str, Any]) -> dict[str, Any]:
    """A copy of a CloudEvent with everything opened; null in place of what cannot be opened any more."""
    identity = identity_of(event["source"], event["id"])
    texts = list(sensitive.find(event.get("data")))
    if not texts:
        return event
    open_ = keys.opener(texts, [identity])

    def opened_or_not(text: str) -> Any:
        try:
            return open_(text)
        except EripError:
            return None

    return {**event, "data": sensitive.opened(event["data"], opened_or_not)}
