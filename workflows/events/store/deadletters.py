"""Events that could not take effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from workflows.events.errors import DeadLetterResolved, UnknownDeadLetter
from workflows.events.models import DeadLetter

#: characters of an error's message that are kept
MAX_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter to be written."""

    partition: int
    position: int | None
    logged_at: datetime | None
    block: int | None
    offset: int | None
    type: str
    source: str
    subject: str | None
    id: str
    text: str
    effect: str
    target: str | None
    code: str
    message: str
    attempts: int
    sender: str | None = None


def bury(dead: Sequence[Dead]) -> list[int]:
    """Write the dead letters, in the transaction of the round. Returns their ids."""
    letters = DeadLetter.objects.bulk_create(
        DeadLetter(
            partition=one.partition,
            position=one.position,
            logged_at=one.logged_at,
            block=one.block,
            offset=one.offset,
            type=one.type,
            source=one.source,
            subject=one.subject,
            event_id=one.id,
            event=one.text,
            effect=one.effect,
            target=one.target,
            code=one.code[:60],
            message=one.message.replace("\0", "")[:MAX_MESSAGE],
            attempts=one.attempts,
            sender=one.sender,
        )
        for one in dead
    )
    return [letter.pk for letter in letters]


def resolve(letter_id: int, resolution: str, *, by: str) -> DeadLetter:
    """Mark a dead letter as retried or discarded, once. Needs a transaction. Raises UnknownDeadLetter,
    DeadLetterResolved."""
    changed = DeadLetter.objects.filter(pk=letter_id, resolved_at=None).update(
        resolution=resolution, resolved_at=timezone.now(), resolved_by=by
    )
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise UnknownDeadLetter
    if not changed:
        raise DeadLetterResolved(f"The dead letter {letter_id} was {letter.resolution} by {letter.resolved_by}.")
    return letter
