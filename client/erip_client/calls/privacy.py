"""Sensitive data: that of a run, and that of a person."""

from erip_client.models import Listing, OpenedRun, PersonErased, PersonExported
from erip_client.models.base import Json

from .base import Call, to_json


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


def export_person(subject: str, *, reason: str) -> Call[PersonExported]:
    """Everything that runs say about a person. subject: what their input has where it says `subject: true`."""
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
