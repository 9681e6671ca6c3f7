"""notify.send"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from email.utils import parseaddr
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder

from erip.foundation.os_errors import in_words
from erip.foundation.outbound.addresses import Refused, Unresolved
from erip.foundation.outbound.webhook import DeliveryFailed, post
from workflows.core.graph import Retry
from workflows.errors import PermanentStepError, StepError
from workflows.library.notify import data as store
from workflows.library.notify.addresses import email_of
from workflows.library.notify.contract import DeliveryResult, NotifyInput, NotifyOutput
from workflows.registry import StepContext, step

log = structlog.get_logger(__name__)

#: (kind, address)
Recipient = tuple[str, str]
#: how many recipients are sent to at a time, and the seconds for all: less than the step's timeout
AT_ONCE: Final = 8
SECONDS: Final = 50.0


@step(
    "notify.send",
    timeout=60.0,
    retry=Retry(max_attempts=5, backoff=2.0, max_delay=300.0),
    summary="Tell people by e-mail and systems by signed webhook",
)
def send(data: NotifyInput, ctx: StepContext) -> NotifyOutput:
    """Every recipient is tried at every attempt, by itself, but one that was reached is not notified again.

    Where some cannot be reached at the moment, the step fails and is tried again; what it says names the outcome of
    each. Where the others never can be, the step succeeds if it reached anybody, and names those it did not.
    """
    wanted = [("email", address) for address in data.email] + [("webhook", url) for url in data.webhook]
    wanted = list(dict.fromkeys(wanted or store.targets(ctx.workflow)))
    if not wanted:
        return NotifyOutput(note="no recipient is given, and no notification target is entered: nobody was notified")
    before = store.delivered(ctx.idempotency_key)
    results = {
        one: DeliveryResult(target=one[1], kind=one[0], detail=before[_key(*one)], already_sent=True)
        for one in wanted
        if _key(*one) in before
    }
    failures: dict[Recipient, DeliveryFailed] = {}
    for one, outcome in _each([one for one in wanted if one not in results], data, ctx):
        if isinstance(outcome, DeliveryFailed):
            failures[one] = outcome
        else:
            store.record(ctx.idempotency_key, _key(*one), outcome)
            results[one] = DeliveryResult(target=one[1], kind=one[0], detail=outcome)
    if failures and (not results or any(failure.retryable for failure in failures.values())):
        _fail(results, failures)
    refused = {
        one: DeliveryResult(target=one[1], kind=one[0], status="refused", detail=str(failure)[:1000])
        for one, failure in failures.items()
    }
    outcomes = results | refused
    return NotifyOutput(
        delivered=len(results),
        refused=len(refused),
        deliveries=[outcomes[one] for one in wanted],
        note=f"{len(refused)} of {len(wanted)} recipients cannot be reached" if refused else "",
    )


def _key(kind: str, address: str) -> str:
    """The form in which a recipient is recorded: a long address is cut, with a digest in place of its end."""
    text = f"{kind}:{address}"
    return text if len(text) <= 500 else f"{text[:450]}…{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _each(
    recipients: list[Recipient], data: NotifyInput, ctx: StepContext
) -> Iterator[tuple[Recipient, str | DeliveryFailed]]:
    """(recipient, detail or failure), as they come in. A few at a time: a recipient that hangs delays no other."""
    if not recipients:
        return
    pool = ThreadPoolExecutor(max_workers=min(AT_ONCE, len(recipients)), thread_name_prefix="notify")
    try:
        futures = {pool.submit(_one, one, data, ctx): one for one in recipients}
        try:
            for future in as_completed(futures, timeout=SECONDS):
                yield futures.pop(future), future.result()
        except TimeoutError:
            for one in futures.values():
                yield one, DeliveryFailed(f"{one[1]}: no answer within {SECONDS:g} s", retryable=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _one(recipient: Recipient, data: NotifyInput, ctx: StepContext) -> str | DeliveryFailed:
    kind, address = recipient
    try:
        return _email(address, data, ctx) if kind == "email" else _webhook(address, data, ctx)
    except DeliveryFailed as failure:
        return failure
    except Exception as error:
        # Whatever a mail library does with one address, the others must still be reached. The error may quote the
        # message, so it goes into the outcome, and not into the log.
        log.error("delivery_broke", kind=kind, error=type(error).__name__)
        return DeliveryFailed(f"{kind} {address[:200]}: {type(error).__name__}: {error}"[:500], retryable=False)


def _fail(results: Mapping[Recipient, DeliveryResult], failures: Mapping[Recipient, DeliveryFailed]) -> None:
    """Raises, with the outcome of each recipient in the message."""
    said = [str(failure)[:300] for failure in failures.values()]
    said += [f"{kind} {address[:200]}: delivered" for kind, address in results]
    message = "; ".join(said)
    if not any(failure.retryable for failure in failures.values()):
        raise PermanentStepError(message, code="delivery_refused")
    waits = [failure.retry_after for failure in failures.values() if failure.retry_after is not None]
    raise StepError(message, code="delivery_failed", retry_after=max(waits, default=None))


def _subject(data: NotifyInput, ctx: StepContext) -> str:
    subject = data.subject or " ".join(part for part in ("ERIP:", ctx.workflow, ctx.business_key) if part)
    # A line break in a header would start another header.
    return " ".join(subject.split())[:200]


def _email(address: str, data: NotifyInput, ctx: StepContext) -> str:
    lines = [data.message or f"The workflow {ctx.workflow} (run {ctx.run_id}) sends this message."]
    if data.data:
        lines.append("")
        lines.extend(f"{name}: {_shown(value)}" for name, value in data.data.items())
    try:
        to = email_of(address)
    except ValueError as error:
        raise DeliveryFailed(f"e-mail {address[:200]!r}: {error}", retryable=False) from error
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    local = "".join(letter if letter.isalnum() or letter in "-_" else "." for letter in ctx.idempotency_key)
    message = EmailMessage(
        _subject(data, ctx),
        "\n".join(lines),
        to=[to],
        # The id is the same at every attempt, so that mail systems recognise a repetition.
        headers={"Message-ID": f"<{local.strip('.')}@{domain}>", "Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except SMTPRecipientsRefused as error:
        # 5xx: this mailbox does not exist. 4xx: not now.
        codes = [code for code, _ in error.recipients.values()]
        forever = bool(codes) and all(500 <= code < 600 for code in codes)
        raise DeliveryFailed(f"e-mail to {address}: {error}", retryable=not forever) from error
    except (SMTPException, OSError) as error:
        raise DeliveryFailed(f"e-mail to {address}: {in_words(error)}", retryable=True) from error
    return "handed to the mail server"


def _webhook(url: str, data: NotifyInput, ctx: StepContext) -> str:
    if not settings.ERIP_WEBHOOK_SECRET:
        raise DeliveryFailed("ERIP_WEBHOOK_SECRET is not set; webhooks are signed or not sent", retryable=False)
    body = json.dumps(
        {
            "type": data.event,
            "timestamp": ctx.run_created_at.astimezone(UTC).isoformat(),
            "data": {
                **data.data,
                "subject": _subject(data, ctx),
                "message": data.message,
                "run_id": ctx.run_id,
                "workflow": ctx.workflow,
                "business_key": ctx.business_key,
            },
        },
        cls=DjangoJSONEncoder,
        ensure_ascii=False,
    )
    try:
        return post(
            url,
            body,
            message_id=ctx.idempotency_key,
            secret=settings.ERIP_WEBHOOK_SECRET,
            now=datetime.now(UTC),
            allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE,
        )
    except Refused as error:
        raise DeliveryFailed(str(error), retryable=False) from error
    except Unresolved as error:
        raise DeliveryFailed(str(error), retryable=True) from error


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
