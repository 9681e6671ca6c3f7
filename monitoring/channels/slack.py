"""Slack: an incoming webhook with Block Kit (https://api.slack.com/messaging/webhooks).

Limits, by https://api.slack.com/reference/block-kit/blocks: 50 blocks, 150 characters in a header, 3,000 in a section.
Everything that others wrote is `plain_text`, and `&`, `<` and `>` are escaped, as Slack asks for in all texts.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

from monitoring.channels.sending import post_json, url_fault
from monitoring.channels.text import alert_lines, cause_lines, impact_lines, runbooks, title

HEADER, SECTION = 150, 3_000
_MARKS = {"firing": "🔴", "resolved": "🟢", "acknowledged": "🟡"}


def send(url: str, key: str, message: UUID, body: Mapping[str, Any]) -> None:
    post_json(url, document(body))


def fault(url: str, key: str) -> str | None:
    return url_fault(url)


def document(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is posted."""
    head = f"{_MARKS.get(body['state'], '🔵')} [{body['severity']}] "
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _text(head + title(body, HEADER - len(head)), HEADER)},
        *({"type": "section", "text": _text(line, SECTION)} for line in alert_lines(body)),
        *({"type": "section", "text": _text("\n".join(likely), SECTION)} for likely in [cause_lines(body)] if likely),
        {"type": "section", "text": _text("\n".join(impact_lines(body["impact"])), SECTION)},
    ]
    for page in runbooks(body):
        blocks.append({"type": "context", "elements": [_runbook(page)]})
    # Notifications, and clients without blocks, show this.
    return {"text": escaped(head + title(body, 300), SECTION), "blocks": blocks}


def _runbook(page: str) -> dict[str, Any]:
    if not page.startswith("https://"):
        return _text(f"What to do: runbooks/{page}", SECTION)
    link = quote(page, safe=":/?#[]@!$&'()*+,;=%~-._")
    return {"type": "mrkdwn", "text": f"<{escaped(link, SECTION)}|What to do>"}


def _text(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, most), "emoji": False}


def escaped(text: str, most: int) -> str:
    """As Slack takes text, of `most` characters at most; none of the three letters is cut in two."""
    pieces, length = [], 0
    for letter in text:
        piece = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(letter, letter)
        if length + len(piece) > most:
            break
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)
