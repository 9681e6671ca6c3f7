"""Events: send them, read and replay the log, and resolve dead letters and pending starts."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from erip_client.models import (
    Accepted,
    DeadLetter,
    EventDetail,
    EventsStatus,
    LoggedEvent,
    Page,
    PendingStartDetail,
    PendingStartDiscarded,
    PendingStarts,
    PendingStartStarted,
    Replayed,
)
from erip_client.models.base import Json

from .base import Call, given, moment, to_json

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def complete(event: Mapping[str, Json]) -> dict[str, Json]:
    """With `specversion` and an `id`, if it has none. It is made once, so that a repetition is recognised."""
    return {"specversion": "1.0", "id": str(uuid.uuid4()), **event}


def send_events(events: Mapping[str, Json] | Sequence[Mapping[str, Json]]) -> Call[Accepted]:
    """Send one CloudEvent, or up to 10,000. Each needs `source` and `type`; `id` is made if it is absent."""
    one = isinstance(events, Mapping)
    content = complete(events) if isinstance(events, Mapping) else [complete(event) for event in events]
    return Call(
        operation="acceptEvents",
        method="POST",
        template="/api/v1/events",
        content=to_json(content),
        media=STRUCTURED if one else BATCH,
        answers={202: Accepted},
        safe=True,  # an event is recognised by its source and id
    )


def list_events(
    *,
    type: str | None = None,
    source: str | None = None,
    subject: str | None = None,
    id: str | None = None,
    after: datetime | str | None = None,
    before: datetime | str | None = None,
    order: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[Page[LoggedEvent]]:
    """A page of the log. order: `newest` (the default) or `oldest` first. limit: up to 1,000."""
    return Call(
        operation="listEvents",
        method="GET",
        template="/api/v1/events",
        query=given(
            type=type,
            source=source,
            subject=subject,
            id=id,
            after=moment(after),
            before=moment(before),
            order=order,
            cursor=cursor,
            limit=limit,
        ),
        answers={200: Page[LoggedEvent]},
    )


def get_event(position: str) -> Call[EventDetail]:
    """An event of the log, by its place such as `7-1234`, with the runs that it started."""
    return Call(
        operation="getEvent",
        method="GET",
        template="/api/v1/events/{position}",
        path={"position": position},
        answers={200: EventDetail},
    )


def events_status() -> Call[EventsStatus]:
    """How far the consumers are."""
    return Call(operation="eventsStatus", method="GET", template="/api/v1/events/status", answers={200: EventsStatus})


def replay_events(
    target: str,
    *,
    type: str | None = None,
    source: str | None = None,
    subject: str | None = None,
    after: datetime | str | None = None,
    before: datetime | str | None = None,
    dry_run: bool = True,
    idempotency_key: str | None = None,
) -> Call[Replayed]:
    """Have events of the log take effect again. Unless dry_run is False, it only says what that would do."""
    filters = given(type=type, source=source, subject=subject, after=moment(after), before=moment(before))
    return Call(
        operation="replayEvents",
        method="POST",
        template="/api/v1/events/replay",
        content=to_json({"target": target, "dry_run": dry_run, **filters}),
        answers={200: Replayed, 202: Replayed},
        keyed=True,
        key=idempotency_key,
    )


def list_dead_letters(
    *, status: str | None = None, type: str | None = None, cursor: int | str | None = None, limit: int | None = None
) -> Call[Page[DeadLetter]]:
    """A page of the events that could not take effect, newest first. status: open (the default) … any."""
    return Call(
        operation="listDeadLetters",
        method="GET",
        template="/api/v1/events/dead-letters",
        query=given(status=status, type=type, cursor=cursor, limit=limit),
        answers={200: Page[DeadLetter]},
    )


def get_dead_letter(id: int) -> Call[DeadLetter]:
    """One dead letter."""
    return Call(
        operation="getDeadLetter",
        method="GET",
        template="/api/v1/events/dead-letters/{id}",
        path={"id": id},
        answers={200: DeadLetter},
    )


def retry_dead_letter(id: int, *, idempotency_key: str | None = None) -> Call[DeadLetter]:
    """Do again what failed, and nothing else."""
    return Call(
        operation="retryDeadLetter",
        method="POST",
        template="/api/v1/events/dead-letters/{id}/retry",
        path={"id": id},
        answers={202: DeadLetter},
        keyed=True,
        key=idempotency_key,
    )


def discard_dead_letter(id: int, *, idempotency_key: str | None = None) -> Call[DeadLetter]:
    """Give a dead letter up."""
    return Call(
        operation="discardDeadLetter",
        method="POST",
        template="/api/v1/events/dead-letters/{id}/discard",
        path={"id": id},
        answers={200: DeadLetter},
        keyed=True,
        key=idempotency_key,
    )


def list_pending_starts(*, workflow: str | None = None) -> Call[PendingStarts]:
    """The runs that events are gathered for: the first 100 that are due, and how many there are."""
    return Call(
        operation="listPendingStarts",
        method="GET",
        template="/api/v1/pending-starts",
        query=given(workflow=workflow),
        answers={200: PendingStarts},
    )


def get_pending_start(id: str) -> Call[PendingStartDetail]:
    """One of them, with the places of its events in the log."""
    return Call(
        operation="getPendingStart",
        method="GET",
        template="/api/v1/pending-starts/{id}",
        path={"id": id},
        answers={200: PendingStartDetail},
    )


def start_pending_start(id: str, *, idempotency_key: str | None = None) -> Call[PendingStartStarted]:
    """Start its run now, with the events so far."""
    return Call(
        operation="startPendingStart",
        method="POST",
        template="/api/v1/pending-starts/{id}/start",
        path={"id": id},
        answers={200: PendingStartStarted},
        keyed=True,
        key=idempotency_key,
    )


def discard_pending_start(id: str, *, idempotency_key: str | None = None) -> Call[PendingStartDiscarded]:
    """Start no run. Its events become dead letters that are discarded."""
    return Call(
        operation="discardPendingStart",
        method="POST",
        template="/api/v1/pending-starts/{id}/discard",
        path={"id": id},
        answers={200: PendingStartDiscarded},
        keyed=True,
        key=idempotency_key,
    )


def stream_events(
    *,
    type: str | Sequence[str] | None = None,
    source: str | None = None,
    subject: str | None = None,
    last_event_id: str | None = None,
) -> Call[None]:
    """Listen to events as they are logged, those after `last_event_id` first."""
    types = [type] if isinstance(type, str) else list(type or ())
    return Call(
        operation="streamEvents",
        method="GET",
        template="/api/v1/events/stream",
        query=given(type=types or None, source=source, subject=subject),
        headers={"Accept": "text/event-stream", **({"Last-Event-ID": last_event_id} if last_event_id else {})},
        answers={200: None},
    )
