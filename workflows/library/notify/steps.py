"""notify.send"""

import json
from datetime import UTC, datetime
from email.utils import parseaddr
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder

from erip.foundation.outbound.addresses import Refused, Unresolved
from erip.foundation.outbound.webhook import DeliveryFailed, post
from workflows.core.graph import Retry
from workflows.errors import PermanentStepError, StepError
from workflows.library.notify import data as store
from workflows.library.notify.contract import DeliveryResult, NotifyInput, NotifyOutput
from workflows.registry import StepContext, step


@step(
    "notify.send",
    timeout=60.0,
    retry=Retry(max_attempts=5, backoff=2.0, max_delay=300.0),
    summary="Tell people by e-mail and systems by signed webhook",
)
def send(data: NotifyInput, ctx: StepContext) -> NotifyOutput:
    """Every recipient is tried at every attempt, but one that was reached is not told again."""
    wanted = [("email", address) for address in data.email] + [("webhook", url) for url in data.webhook]
    wanted = list(dict.fromkeys(wanted or store.targets(ctx.workflow)))
    if not wanted:
        return NotifyOutput(note="no recipient is given, and no notification target is entered: nobody was told")
    before = store.delivered(ctx.idempotency_key)
    results: list[DeliveryResult] = []
    failures: list[DeliveryFailed] = []
    for kind, address in wanted:
        target = f"{kind}:{address}"
        if target in before:
            results.append(DeliveryResult(target=address, kind=kind, detail=before[target], already_sent=True))
            continue
        try:
            detail = _email(address, data, ctx) if kind == "email" else _webhook(address, data, ctx)
        except DeliveryFailed as failure:
            failures.append(failure)
            continue
        store.record(ctx.idempotency_key, target, detail)
        results.append(DeliveryResult(target=address, kind=kind, detail=detail))
    if failures:
        _fail(failures)
    return NotifyOutput(delivered=len(results), deliveries=results)


def _fail(failures: list[DeliveryFailed]) -> None:
    message = "; ".join(str(failure) for failure in failures)
    if not any(failure.retryable for failure in failures):
        raise PermanentStepError(message, code="delivery_refused")
    waits = [failure.retry_after for failure in failures if failure.retry_after is not None]
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
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    local = "".join(letter if letter.isalnum() or letter in "-_" else "." for letter in ctx.idempotency_key)
    message = EmailMessage(
        _subject(data, ctx),
        "\n".join(lines),
        to=[address],
        # The same at every attempt, so that mail systems can tell a repetition.
        headers={"Message-ID": f"<{local.strip('.')}@{domain}>", "Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except (SMTPException, OSError) as error:
        raise DeliveryFailed(f"e-mail to {address}: {error}", retryable=True) from error
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
