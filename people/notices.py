"""Who is told of an approval, and when: at its beginning, at each rung of its ladder, and in writing.

Note [Notices]
A message to a person is a row, written in the transaction that climbs the rung, so none is lost with a process that is
killed. Every leader process looks; a rung is climbed under the run's lock, once. A message is claimed by putting off
when it is due next, and sent outside of any transaction: a process that is killed in between leaves it to be sent
again, under the same Message-ID. An approval of a paused run is not reminded of.
"""

import time
from datetime import UTC, timedelta

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from erip.foundation.os_errors import in_words
from erip.foundation.process.background import database_service
from people import links, persons
from people.models import Notice
from people.voting import approval_of
from workflows import store
from workflows.core.definition import DefinitionInvalid
from workflows.core.kinds.approval import Rung
from workflows.core.states import StepState
from workflows.models import ApprovalTask, StepRun

log = structlog.get_logger(__name__)

#: seconds between two looks, approvals and messages of one look, and seconds that sending may take of it
EVERY, LIMIT, SECONDS = 2.0, 100, 20.0
#: attempts to send a message, and seconds for which one is claimed
ATTEMPTS, CLAIMED_FOR = 8, 60


def begin() -> None:
    """Look in this process from now on."""
    database_service("approvals", look, keeps=False, every=EVERY, back_off=(1.0, 10.0)).start()


def look() -> None:
    """Climb what is due, and send what is due."""
    for number in due():
        climb(number)
    send_due()


def due() -> list[int]:
    """Approvals of which a rung is due, and whose run is not paused."""
    waits = StepRun.objects.filter(run=OuterRef("run_id"), step=OuterRef("step"), item=-1, state=StepState.WAITING)
    found = ApprovalTask.objects.filter(Exists(waits), closed_at__isnull=True, next_at__lte=Now())
    return list(found.order_by("next_at").values_list("pk", flat=True)[:LIMIT])


def climb(number: int) -> None:
    """Write the messages of the rung that is due, once."""
    with transaction.atomic():
        task = ApprovalTask.objects.get(pk=number)
        store.lock_run(str(task.run_id))
        task.refresh_from_db()
        if task.closed_at is not None or task.next_at is None or task.next_at > timezone.now():
            return
        try:
            ladder = (Rung(0.0, None), *approval_of(task).ladder)
        except DefinitionInvalid:
            # A newer release published it. A process of that release climbs.
            return
        rung = ladder[task.rung] if task.rung < len(ladder) else None
        if rung is not None:
            _tell(task, rung)
        following = ladder[task.rung + 1].after if task.rung + 1 < len(ladder) else None
        store.climb(task.pk, following)


def _tell(task: ApprovalTask, rung: Rung) -> None:
    if rung.to is not None:
        kind, people = "escalated", persons.members_of([rung.to])
    else:
        kind = "opened" if task.rung == 0 else "reminded"
        done = {one for vote in task.votes.all() for one in (vote.voter, vote.on_behalf_of)} | set(task.barred)
        people = {who: mail for who, mail in persons.members_of(task.roles).items() if who not in done}
    Notice.objects.bulk_create(
        Notice(task=task, person=who, kind=kind, **({} if mail else {"due_at": None, "error": "no e-mail address"}))
        for who, mail in people.items()
    )
    if kind != "opened":
        detail = {"to": rung.to or ", ".join(task.roles), "people": len(people)}
        store.note(str(task.run_id), f"approval.{kind}", task.step, store.to_json(detail) or "{}")


def send_due() -> int:
    """Send what is due. Returns how many messages a mail server took."""
    until, count = time.monotonic() + SECONDS, 0
    for notice in _claimed():
        if time.monotonic() > until:
            break
        address = persons.addresses_of([notice.person]).get(notice.person, "")
        error = _sent(notice, address) if address else "no e-mail address"
        if error is None:
            count += 1
            Notice.objects.filter(pk=notice.pk).update(sent_at=Now(), due_at=None, error="")
            continue
        given_up = not address or notice.attempts >= ATTEMPTS
        log.error("approval_notice_not_sent", notice=notice.pk, error=error, given_up=given_up)
        wait = timedelta(seconds=min(3_600, 2**notice.attempts * 5))
        Notice.objects.filter(pk=notice.pk).update(due_at=None if given_up else Now() + wait, error=error[:300])
    return count


def _claimed() -> list[Notice]:
    with transaction.atomic():
        found = list(
            Notice.objects.select_for_update(skip_locked=True).filter(due_at__lte=Now()).order_by("due_at")[:LIMIT]
        )
        for one in found:
            one.attempts += 1
            one.due_at = timezone.now() + timedelta(seconds=CLAIMED_FOR)
        Notice.objects.bulk_update(found, ["attempts", "due_at"])
    tasks = {task.pk: task for task in ApprovalTask.objects.filter(pk__in={one.task_id for one in found})}
    for one in found:
        one.task = tasks[one.task_id]
    return found


_SUBJECTS = {
    "opened": "Your approval is asked for",
    "reminded": "Still waits for you",
    "escalated": "Nobody has decided",
}


def _by_link(notice: Notice) -> str:
    """How the person votes without signing in, if they can. Who is only notified cannot."""
    if notice.kind not in ("opened", "reminded"):
        return ""
    task = notice.task
    due = StepRun.objects.filter(run=task.run_id, step=task.step, item=-1).values_list("due_at", flat=True).first()
    made = links.token_for(task, notice.person, due_at=due)
    if made is None:
        return ""
    token, ends_at = made
    address = f"{settings.ERIP_PUBLIC_URL.rstrip('/')}{reverse('console:by-link')}?t={token}"
    return (
        f"\nOr vote without signing in, once, until {ends_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC. The link is yours"
        f" alone: whoever has it votes as you. Do not pass it on.\n{address}\n"
    )


def _sent(notice: Notice, address: str) -> str | None:
    """Why it was not sent; None: it was."""
    task = notice.task
    title = " ".join(task.title.split())[:180]
    page = f"{settings.ERIP_PUBLIC_URL.rstrip('/')}{reverse('console:approval', args=[task.pk])}"
    text = (
        f"{title}\n\n{task.workflow}{f' {task.business_key}' if task.business_key else ''}, since "
        f"{task.opened_at:%Y-%m-%d %H:%M} UTC.\n\nRead it, and decide: {page}\n{_by_link(notice)}"
    )
    headers = {"Message-ID": f"<approval-{task.pk}-{notice.pk}@erip>"}
    try:
        EmailMessage(f"{_SUBJECTS[notice.kind]}: {title}", text, None, [address], headers=headers).send()
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {in_words(error)}"
    return None
