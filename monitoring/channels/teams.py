"""Microsoft Teams: an Adaptive Card to a webhook of Workflows ("When a Teams webhook request is received").

The envelope and the card: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/
connectors-using and https://adaptivecards.io/explorer. A message may have 28 KB. `TextBlock` and `FactSet` read
Markdown, a `TextRun` does not: so all texts are text runs.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from monitoring.channels.sending import post_json, url_fault
from monitoring.channels.text import alert_lines, cause_lines, impact_lines, runbooks, title

#: bytes that a message may have; documented are 28 KB, with what Teams puts around it
MOST = 24_000
#: buttons that a card shows
BUTTONS = 5
_COLOURS = {"firing": "Attention", "resolved": "Good", "acknowledged": "Warning"}


def send(url: str, key: str, message: UUID, body: Mapping[str, Any]) -> None:
    post_json(url, document(body))


def fault(url: str, key: str) -> str | None:
    return url_fault(url)


def document(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is posted."""
    pages = runbooks(body)
    heading = _line(
        f"[{body['severity']}] {title(body, 300)}",
        weight="Bolder",
        size="Large",
        color=_COLOURS.get(body["state"], "Default"),
    )
    alerts = [_line(line) for line in alert_lines(body)]
    rest = [
        *(_line(line) for line in cause_lines(body)),
        *(_line(line, isSubtle=True) for line in impact_lines(body["impact"])),
        *(_line(f"What to do: runbooks/{page}") for page in pages if not page.startswith("https://")),
    ]
    buttons = [
        {"type": "Action.OpenUrl", "title": "What to do", "url": page} for page in pages if page.startswith("https://")
    ][:BUTTONS]
    while len(orjson.dumps(found := _envelope([heading, *alerts, *rest], buttons))) > MOST and alerts:
        alerts.pop()
    return found


def _envelope(body: list[dict[str, Any]], buttons: list[dict[str, Any]]) -> dict[str, Any]:
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }
    if buttons:
        card["actions"] = buttons
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def _line(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}
