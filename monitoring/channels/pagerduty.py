"""PagerDuty: Events API v2 (https://developer.pagerduty.com/docs/events-api-v2/overview).

An incident is a group of alerts that were announced together: its `dedup_key` is made of the group, so every event
about it, whoever sends it and however often, is about the same incident. The group is resolved when its last alert is.
Limits: 1,024 characters in `summary`, 255 in `dedup_key`, 512 KB in all.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings

from monitoring.channels.sending import post_json, url_fault
from monitoring.channels.text import alert_lines, cause_lines, impact_lines, plain, runbooks, title

ADDRESS = "https://events.pagerduty.com/v2/enqueue"
SUMMARY = 1_024
_SEVERITY = {"page": "critical", "ticket": "warning"}


def send(url: str, key: str, message: UUID, body: Mapping[str, Any]) -> None:
    for event in events(key, message, body):
        post_json(url or ADDRESS, event)


def fault(url: str, key: str) -> str | None:
    if not (len(key) == 32 and key.isascii() and key.isalnum()):
        return "the key is no integration key of PagerDuty: 32 letters and digits"
    return url_fault(url or ADDRESS)


def events(key: str, message: UUID, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is posted, one after the other. A message in which some alerts of a group ended and others did not, has
    none."""
    firing = [alert for alert in body["alerts"] if alert["state"] == "firing"]
    groups = dict.fromkeys(alert.get("group") or str(message) for alert in firing)
    if body["state"] == "test":
        yield {**_trigger(key, str(message), body)}
        yield {"routing_key": key, "event_action": "resolve", "dedup_key": f"erip-{message}"}
        return
    if body["state"] == "acknowledged":
        for group in groups:
            yield {"routing_key": key, "event_action": "acknowledge", "dedup_key": f"erip-{group}"}
        return
    for group in groups:
        yield _trigger(key, group, body)
    for group in body.get("closes", ()):
        if group not in groups:
            yield {"routing_key": key, "event_action": "resolve", "dedup_key": f"erip-{group}"}


def _trigger(key: str, group: str, body: Mapping[str, Any]) -> dict[str, Any]:
    links = [{"href": page, "text": "What to do"} for page in runbooks(body) if page.startswith("https://")]
    return {
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": f"erip-{group}",
        "client": "ERIP",
        "payload": {
            "summary": title(body, SUMMARY),
            "source": plain(settings.ERIP_PUBLIC_URL, 200) or "erip",
            "severity": "info" if body["state"] == "test" else _SEVERITY.get(body["severity"], "error"),
            "timestamp": body["at"],
            "component": plain(body["cause"], 200),
            "group": "erip",
            "custom_details": {
                "alerts": alert_lines(body),
                "causes": cause_lines(body),
                "impact": impact_lines(body["impact"]),
                "runbooks": [page for page in runbooks(body) if not page.startswith("https://")],
            },
        },
        **({"links": links} if links else {}),
    }
