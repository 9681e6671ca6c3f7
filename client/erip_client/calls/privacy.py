"""Sensitive data: that of a run, of an event, and of a person."""

from collections.abc import Sequence
from datetime import datetime

from erip_client.models import (
    LegalHold,
    Listing,
    OpenedEvent,
    OpenedRun,
    PersonErased,
    PersonExported,
    RetentionReport,
)
from erip_client.models.base import Json

from .base import Call, given, moment, to_json


def open_run(run_id: str, *, reason: str) -> Call[OpenedRun]:
    """A run with its sensitive data. reason: the audit log keeps it."""
    return Call(
        operation="openRun",
        method="POST",
        template="/api/v1/runs/{id}/open",
        path={"id": run_id},
        content=to_json({"reason": reason}),
        answers={200: OpenedRun},
        safe=True,  # it reads; each time has its entry in the audit log
    )


def open_event(position: str, *, reason: str) -> Call[OpenedEvent]:
    """An event of the log with its sensitive data. position: as lists tell it, `7-1234`."""
    return Call(
        operation="openEvent",
        method="POST",
        template="/api/v1/events/{position}/open",
        path={"position": position},
        content=to_json({"reason": reason}),
        answers={200: OpenedEvent},
        safe=True,  # as open_run
    )


def export_person(subject: str, *, reason: str) -> Call[PersonExported]:
    """Everything that runs and events say about a person. subject: what they have where it says `subject: true`."""
    return Call(
        operation="exportPerson",
        method="POST",
        template="/api/v1/privacy/exports",
        content=to_json({"subject": subject, "reason": reason}),
        answers={200: PersonExported},
        safe=True,  # as open_run
    )


def erase_person(subject: str, *, reason: str, dry_run: bool = True) -> Call[PersonErased]:
    """Erase a person's data for good; a dry run only says what would be erased.

    An erasure is not repeated if the answer is lost: if it happened, the platform does not know the person any more.
    """
    return Call(
        operation="erasePerson",
        method="POST",
        template="/api/v1/privacy/erasures",
        content=to_json({"subject": subject, "reason": reason, "dry_run": dry_run}),
        answers={200: PersonErased},
        safe=dry_run,
    )


def get_privacy_register() -> Call[Listing[Json]]:
    """The sensitive data that workflows handle, by workflow."""
    return Call(
        operation="getPrivacyRegister",
        method="GET",
        template="/api/v1/privacy/register",
        answers={200: Listing[Json]},
    )


def list_holds() -> Call[Listing[LegalHold]]:
    """The legal holds in force."""
    return Call(
        operation="listHolds",
        method="GET",
        template="/api/v1/privacy/holds",
        answers={200: Listing[LegalHold]},
    )


def put_hold(
    reason: str,
    *,
    subject: str | None = None,
    workflow: str | None = None,
    run: str | None = None,
    classes: Sequence[str] = (),
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    ends_at: datetime | str | None = None,
    idempotency_key: str | None = None,
) -> Call[LegalHold]:
    """Keep data for the law: of a person, a workflow or a run; without any of them, everything."""
    body = {
        "reason": reason,
        **given(subject=subject, workflow=workflow, run=run, classes=list(classes) or None),
        **given(since=moment(since), until=moment(until), ends_at=moment(ends_at)),
    }
    return Call(
        operation="putHold",
        method="POST",
        template="/api/v1/privacy/holds",
        content=to_json(body),
        answers={201: LegalHold},
        keyed=True,
        key=idempotency_key,
    )


def release_hold(number: int, *, reason: str, idempotency_key: str | None = None) -> Call[LegalHold]:
    """Lift a legal hold."""
    return Call(
        operation="releaseHold",
        method="POST",
        template="/api/v1/privacy/holds/{number}/release",
        path={"number": number},
        content=to_json({"reason": reason}),
        answers={200: LegalHold},
        keyed=True,
        key=idempotency_key,
    )


def preview_retention() -> Call[RetentionReport]:
    """What is past its time, and what a legal hold keeps. Nothing is removed."""
    return Call(
        operation="previewRetention",
        method="GET",
        template="/api/v1/privacy/retention",
        answers={200: RetentionReport},
    )


def apply_retention(*, reason: str, idempotency_key: str | None = None) -> Call[RetentionReport]:
    """Remove what is past its time now."""
    return Call(
        operation="applyRetention",
        method="POST",
        template="/api/v1/privacy/retention",
        content=to_json({"reason": reason}),
        answers={200: RetentionReport},
        keyed=True,
        key=idempotency_key,
    )
