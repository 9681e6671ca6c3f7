"""E-mail, in plain text."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from erip.foundation.os_errors import in_words
from monitoring.channels.sending import NotSent
from monitoring.channels.text import cause_lines, impact_lines, plain, title


def send(address: str, key: str, message: UUID, body: Mapping[str, Any]) -> None:
    # A summary of a rule may hold a line break, which is no subject.
    subject = f"[ERIP {body['severity']}] {title(body, 180)}"
    mail = EmailMessage(subject, text(body), None, [address], headers={"Message-ID": f"<{message}@erip>"})
    try:
        sent = mail.send()
    except (OSError, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {in_words(error)}"[:300]) from error
    if not sent:
        raise NotSent("no mail server is set (ERIP_EMAIL_URL)", lasting=True)


def fault(address: str, key: str) -> str | None:
    try:
        validate_email(address)
    except ValidationError:
        return "the address is no e-mail address"
    return None


def text(body: Mapping[str, Any]) -> str:
    """What the mail says."""
    lines = [title(body, 500), ""]
    for alert in body["alerts"]:
        labels = ", ".join(f"{name} {value}" for name, value in alert["labels"].items())
        lines += [f"- {alert['state']}: {plain(alert['summary'], 300)} {f'[{plain(labels, 500)}]' if labels else ''}"]
        lines[-1] = lines[-1].rstrip()
        value = "unknown" if alert["value"] is None else alert["value"]
        lines += [f"  rule {alert['rule']}, value {value}, since {alert['since']}"]
        if alert["runbook"]:
            lines += [f"  what to do: {alert['runbook']}"]
    likely = cause_lines(body)
    return "\n".join([*lines, *(["", *likely] if likely else []), "", *impact_lines(body["impact"])])
