"""Legal holds: who keeps what for the law, why, and until when. Whatever removes data asks here.

A hold of the audit log (`manage.py audit hold`) counts here as well: it is a span of time from which everything stays.
Putting a hold, and removing anything, take turns (`turn`): once a hold is answered for, nothing that it names goes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from erip.audit import retention as audit
from erip.audit.operation import describe
from erip.foundation.db.retry import retry_transaction
from erip.foundation.faults import Fault
from workflows.core.retention import CLASSES, Held, keeping
from workflows.errors import InvalidInput
from workflows.models import find_run
from workflows.privacy import events
from workflows.privacy.errors import AlreadyHeld, NotHeld, UnknownHold
from workflows.privacy.keys import fingerprint
from workflows.privacy.models import Hold, RunKey

#: the classes that a hold may name. Events of the bus go by whole months
HOLDABLE: Final = (*CLASSES, "events")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a hold keeps. At most one of person, workflow and run; none of them: everything. person: as runs name them.
    classes: () is all. since, until: of the data. ends_at: when the hold ends by itself."""

    reason: str
    person: str | None = None
    workflow: str = ""
    run: UUID | None = None
    classes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    ends_at: datetime | None = None


#: in a transaction: of those who put a hold, here or in the audit log, and those who remove, one is first
turn = audit.turn


@retry_transaction
def put(wanted: Wanted, *, by: str) -> Hold:
    """Put a hold. Raises InvalidInput with everything that is wrong with it, and AlreadyHeld."""
    if faults := _faults(wanted):
        raise InvalidInput(faults=faults)
    subject = None if wanted.person is None else fingerprint(wanted.person)
    with transaction.atomic():
        turn()
        end_what_is_over()
        if subject is not None and Hold.objects.in_force().filter(subject=subject).exists():
            raise AlreadyHeld
        hold: Hold = Hold.objects.create(
            subject=subject, workflow=wanted.workflow, run_id=wanted.run, classes=list(wanted.classes),
            data_since=wanted.since, data_until=wanted.until, reason=wanted.reason, by=by, ends_at=wanted.ends_at,
        )  # fmt: skip
        describe(object=f"hold:{hold.pk}", reason=wanted.reason)
    return hold


def end_what_is_over() -> None:
    """Note of holds that have ended by themselves that they have: a person has one that has not."""
    over = Hold.objects.filter(ended_at__isnull=True, ends_at__lte=Now())
    over.update(ended_at=F("ends_at"), ended_by="its own end")


def _faults(wanted: Wanted) -> list[Fault]:
    found: list[Fault] = []
    if sum((wanted.person is not None, bool(wanted.workflow), wanted.run is not None)) > 1:
        message = "a hold names one of: a person, a workflow, a run; or none of them, which is everything"
        found.append(Fault("", message))
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        found.append(Fault("until", "is not after since"))
    for index, kind in enumerate(wanted.classes):
        if kind not in HOLDABLE:
            found.append(Fault(f"classes[{index}]", f"no class {kind!r}: there are {', '.join(HOLDABLE)}"))
    return found


@retry_transaction
def release(number: int, *, by: str) -> None:
    """Lift a hold. Raises UnknownHold, NotHeld."""
    with transaction.atomic():
        turn()
        if not Hold.objects.filter(pk=number).exists():
            raise UnknownHold
        if not Hold.objects.in_force().filter(pk=number).update(ended_at=Now(), ended_by=by):
            raise NotHeld
        describe(object=f"hold:{number}")


@retry_transaction
def release_person(person: str, *, by: str) -> None:
    """Lift the hold on a person's data. Raises NotHeld."""
    with transaction.atomic():
        turn()
        held = Hold.objects.in_force().filter(subject=fingerprint(person))
        number = held.values_list("pk", flat=True).first()
        if number is None:
            raise NotHeld
        held.update(ended_at=Now(), ended_by=by)
        describe(object=f"hold:{number}")


def listed(*, all: bool = False) -> list[dict[str, Any]]:
    """The holds in force, the newest first; all: those that have ended as well. A person is a fingerprint."""
    rows = Hold.objects.all() if all else Hold.objects.in_force()
    return [
        {
            "number": one.pk,
            "person": bytes(one.subject).hex() if one.subject is not None else None,
            "workflow": one.workflow or None,
            "run": str(one.run_id) if one.run_id else None,
            "classes": one.classes,
            "data_since": one.data_since,
            "data_until": one.data_until,
            "reason": one.reason,
            "by": one.by,
            "since": one.since,
            "ends_at": one.ends_at,
            "ended_at": one.ended_at,
            "ended_by": one.ended_by or None,
        }
        for one in rows
    ]


def in_force() -> list[Held]:
    """All holds that keep data now, those of the audit log included."""
    found = [
        Held(
            name=str(one.pk), kinds=tuple(one.classes), since=one.data_since, until=one.data_until,
            workflow=one.workflow, run=one.run_id, person=None if one.subject is None else bytes(one.subject),
        )
        for one in Hold.objects.in_force()
    ]  # fmt: skip
    return found + [Held(f"{one.name} of the audit log", since=one.since, until=one.until) for one in audit.holds()]


def holding_person(subject: bytes) -> bool:
    """Whether a hold keeps a person's key from being destroyed: one on the person, or one of which nobody can say that
    it does not concern them: on everything, or on a workflow or a run that is about them."""
    holds = [one for one in in_force() if one.concerns("sensitive")]
    if any(one.person == subject for one in holds):
        return True
    others = [one for one in holds if one.person is None]
    for id_ in runs_about(subject) if others else ():
        run = find_run(id_)
        if run is None:
            continue
        for one in others:
            mine = run.pk == one.run if one.run is not None else one.workflow in ("", run.workflow)
            # One that goes on has data of this moment.
            if mine and one.meets(run.created_at, run.finished_at or timezone.now()):
                return True
    # No hold names an event, but one on everything keeps those about the person, too.
    everything = [one for one in in_force() if one.person is None and one.run is None and not one.workflow]
    everything = [one for one in everything if one.concerns("sensitive") or one.concerns("events")]
    logged = events.span(subject) if everything else None
    return logged is not None and any(one.meets(*logged) for one in everything)


def runs_about(subject: bytes) -> list[UUID]:
    """The runs that are about a person, by their fingerprint."""
    return list(RunKey.objects.filter(key__subject=subject).values_list("run_id", flat=True))


def keeper(kind: str) -> Callable[[datetime, datetime], bool]:
    """Says whether a span of this class must not go as a whole, because a hold may concern some of it. It knows the
    holds of this moment."""
    held = in_force()
    return lambda since, until: keeping(held, kind, since, until) is not None


def spans_of_audit() -> Sequence[audit.Hold]:
    """What the holds here keep of the audit log: whom an entry is about is not known, so every one of them keeps."""
    last = datetime.max.replace(tzinfo=UTC)
    first = datetime.min.replace(tzinfo=UTC)
    return [
        audit.Hold(f"privacy {one.pk}", one.data_since or first, one.data_until or last, one.reason)
        for one in Hold.objects.in_force()
        if not one.classes or "audit" in one.classes
    ]
