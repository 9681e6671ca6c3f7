"""A person's data: which runs and events are about them, what they say, how it is kept for the law, and how it is
erased.

Note [Erasure]
Erasing destroys the key that seals the person's data, in the transaction that records it. What is left in rows, events,
the archive, logs of changes and files is ciphertext that nobody can read. The audit log is not touched, so its chain
verifies: it never held the data. The certificate names the person by a fingerprint, as everything here does.

A backup from before holds the key, wrapped; so do, for a while, the database's own files and its write-ahead log, where
the row was. They are as unreadable once the key-encryption keys are gone that it may have been wrapped with, which the
certificate names (`remains`): rotate after erasures, and destroy the old one when the oldest backup that you keep is
younger. Where a backup is restored, the journal is applied again (Note [Erasures and backups] in `journal`); without
one, `repeat` destroys again what a certificate names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from erip.audit.operation import describe
from erip.foundation.db.retry import retry_transaction
from workflows.models import ArchivedRun, WorkflowRun, find_run
from workflows.privacy import classes, events, holds, journal, remains, sealing
from workflows.privacy.errors import HeldForLaw, UnknownSubject
from workflows.privacy.keys import fingerprint
from workflows.privacy.models import DataKey, Erasure, RunKey

#: runs in one export
MOST_RUNS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, or would be. certificate: None of a dry run."""

    person: str
    keys: Sequence[int]
    runs: int
    #: events in the log
    events: int
    #: runs that have not ended: their next steps that need the data fail
    going_on: int
    certificate: dict[str, Any] | None


@retry_transaction
def erase(subject: str, *, by: str, reason: str, dry_run: bool) -> Erased:
    """Destroy a person's key (Note [Erasure]). Raises UnknownSubject, and HeldForLaw also if it is dry."""
    return _erase(fingerprint(subject), by=by, reason=reason, dry_run=dry_run)


@retry_transaction
def repeat(person: str, *, by: str, reason: str) -> Erased:
    """Destroy again what a certificate names, after a backup was restored. person: of the certificate. Raises
    UnknownSubject, HeldForLaw."""
    return _erase(bytes.fromhex(person), by=by, reason=reason, dry_run=False)


def _erase(person: bytes, *, by: str, reason: str, dry_run: bool) -> Erased:
    with transaction.atomic():
        holds.turn()
        # As in `keys.wrap_anew`: runs that begin meanwhile do not wait for it.
        living = list(DataKey.objects.select_for_update(no_key=True).filter(subject=person, destroyed_at__isnull=True))
        if not living:
            raise UnknownSubject
        if holds.holding_person(person):
            raise HeldForLaw
        numbers = [key.pk for key in living]
        runs = RunKey.objects.filter(key__in=numbers)
        going_on = WorkflowRun.objects.filter(pk__in=runs.values("run_id"), finished_at__isnull=True).count()
        erased = Erased(person.hex(), numbers, runs.count(), events.count(numbers), going_on, None)
        describe(
            object=f"person:{person.hex()[:16]}", keys=numbers, runs=erased.runs, events=erased.events, dry_run=dry_run
        )
        if dry_run:
            return erased
        classes.forget_in_audit(runs=list(runs.values_list("run_id", flat=True)), keys=numbers)
        DataKey.objects.filter(pk__in=numbers).update(wrapped=None, wrapped_by="", destroyed_at=Now())
        certificate = {
            "person": person.hex(),
            "keys": numbers,
            "runs": erased.runs,
            "events": erased.events,
            "at": datetime.now(UTC).isoformat(),
            "by": by,
            "reason": reason,
            "key_encryption_keys": remains.openers(),
            "says": "The keys that sealed this person's data were destroyed. What they sealed cannot be read.",
        }
        number = Erasure.objects.create(certificate=certificate).pk
        transaction.on_commit(journal.write_soon)
        return replace(erased, certificate={"number": number, **certificate})


def hold(subject: str, *, by: str, reason: str) -> None:
    """Keep a person's data for the law. Raises AlreadyHeld."""
    holds.put(holds.Wanted(reason=reason, person=subject), by=by)


def release(subject: str, *, by: str) -> None:
    """Lift a legal hold. Raises NotHeld."""
    holds.release_person(subject, by=by)


def export(subject: str) -> dict[str, Any]:
    """All that the runs and the events about a person say, opened: at most MOST_RUNS runs and `events.MOST` events, the
    newest. Raises UnknownSubject."""
    person = fingerprint(subject)
    numbers = list(DataKey.objects.filter(subject=person, destroyed_at__isnull=True).values_list("pk", flat=True))
    ids = list(
        RunKey.objects.filter(key__in=numbers).order_by("-run_id").values_list("run_id", flat=True)[: MOST_RUNS + 1]
    )
    places = events.places(numbers)
    if not ids and not places:
        raise UnknownSubject
    told = events.read(places[: events.MOST])
    describe(object=f"person:{person.hex()[:16]}", runs=len(ids[:MOST_RUNS]), events=len(told))
    found = [opened for id_ in ids[:MOST_RUNS] if (opened := open_run(id_)) is not None]
    complete = len(ids) <= MOST_RUNS and len(places) <= events.MOST
    return {"person": person.hex(), "runs": found, "events": told, "complete": complete}


def open_run(id_: UUID) -> dict[str, Any] | None:
    """A run with everything opened that can be; None if there is no such run. What was erased is null."""
    run = find_run(id_)
    return None if run is None else sealing.opened_as_far(run.workflow, _document(run))


def _document(run: WorkflowRun | ArchivedRun) -> dict[str, Any]:
    names = ("workflow", "business_key", "state", "input", "output", "error", "started_by")
    return {
        "id": str(run.pk),
        **{name: getattr(run, name) for name in names},
        "created_at": run.created_at.isoformat(),
        "steps": list(_steps(run)),
    }


def _steps(run: WorkflowRun | ArchivedRun) -> Iterator[dict[str, Any]]:
    for step in run.steps.order_by("step", "item"):
        names = ("step", "item", "state", "input", "output", "error")
        yield {name: getattr(step, name) for name in names}
