"""What people do with dead letters: retry them or give them up. The API, the command and the admin call these
functions."""

from django.db import transaction

from workflows.core.blocks import Entry
from workflows.events.effects import LoggedEvent
from workflows.events.models import DeadLetter
from workflows.events.store import deadletters, replays


def retry(letter_id: int, *, by: str) -> None:
    """Try again what failed: it comes back as a new dead letter if it fails again. by: the principal.

    Raises UnknownDeadLetter, DeadLetterResolved.
    """
    with transaction.atomic():
        letter = deadletters.resolve(letter_id, "retried", by=by)
        text = letter.event.encode()
        if letter.position is None or letter.logged_at is None:
            entry = Entry(letter.type, letter.source, letter.subject, letter.event_id, text, None, letter.sender)
            replays.insert_again(letter.partition, [entry])
        else:
            replays.insert_replays([_logged(letter, text)], target_of(letter))


def discard(letter_id: int, *, by: str) -> None:
    """Give it up. by: the principal. Raises UnknownDeadLetter, DeadLetterResolved."""
    with transaction.atomic():
        deadletters.resolve(letter_id, "discarded", by=by)


def target_of(letter: DeadLetter) -> str:
    """What a retry is addressed to: the effect, and its part that failed."""
    return letter.effect if letter.target is None else f"{letter.effect}:{letter.target}"


def _logged(letter: DeadLetter, text: bytes) -> LoggedEvent:
    assert letter.position is not None
    assert letter.logged_at is not None
    # The log has the time when it was accepted; for a retry that makes no difference.
    return LoggedEvent(
        letter.partition,
        letter.position,
        letter.logged_at,
        letter.logged_at,
        letter.type,
        letter.source,
        letter.subject,
        letter.event_id,
        text,
        None,
        letter.sender,
    )
