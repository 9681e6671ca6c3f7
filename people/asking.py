"""What people say about an approval besides voting: questions and answers, and who looks after it."""

import orjson
from django.db import transaction

from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from people import persons
from people.errors import ApprovalEnded, OnlyPeopleVote
from people.models import Question
from people.voting import task_of
from workflows import store


def ask(number: int, *, by: str, text: str) -> Question:
    """Ask or answer something before the approval is decided. Raises UnknownApproval, ApprovalEnded, OnlyPeopleVote."""
    if not persons.is_person(by):
        raise OnlyPeopleVote

    def add(attempt: Attempt) -> Question:
        with transaction.atomic():
            task = task_of(number)
            store.lock_run(str(task.run_id))
            task.refresh_from_db()
            if attempt.unknown and (done := task.questions.filter(by=by, text=text).last()):
                return done
            if task.closed_at is not None:
                raise ApprovalEnded
            detail = orjson.dumps({"by": by, "text": text}).decode()
            store.note(str(task.run_id), "approval.asked", task.step, detail)
            return Question.objects.create(task=task, by=by, text=text)

    return retry.run(add)


def claim(number: int, *, by: str) -> None:
    """Say that somebody looks after it; '' for nobody. It keeps nobody from voting.

    Raises UnknownApproval, ApprovalEnded.
    """

    def take(_: Attempt) -> None:
        task_of(number)
        if not store.claim_task(number, by):
            raise ApprovalEnded

    retry.run(take)
