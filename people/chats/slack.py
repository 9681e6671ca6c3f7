"""Slack: slash commands, and buttons whose value is a command.

Source: "Verifying requests from Slack" (signing secrets, version v0), "Enabling interactivity with slash commands" and
"Reference: block_actions payload" at docs.slack.dev.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from people.chats.signed import NotBelieved, Said, check, fresh

_FIELDS = 100


def read(body: bytes, headers: Mapping[str, str], secret: str, *, now: datetime | None = None) -> Said:
    """What was said. who: `<workspace>/<user>`. Raises NotBelieved."""
    stamp, given = headers.get("X-Slack-Request-Timestamp", ""), headers.get("X-Slack-Signature", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise NotBelieved("it has no timestamp")
    at = datetime.fromtimestamp(int(stamp), UTC)
    fresh(at, now)
    mac = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
    digest = check(b"v0=" + mac.hexdigest().encode(), given.encode("utf-8", "replace"))
    who, text = _said(body)
    return Said(who, text, at, digest)


def answer(text: str) -> dict[str, Any]:
    """As a message that the one who asked sees, and nobody else."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"response_type": "ephemeral", "text": escaped, "mrkdwn": False}


def _said(body: bytes) -> tuple[str, str]:
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=_FIELDS)
        if "payload" in fields:
            return _pressed(orjson.loads(fields["payload"][0]))
        return f"{fields['team_id'][0]}/{fields['user_id'][0]}", fields.get("text", [""])[0]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise NotBelieved("it is no command") from None


def _pressed(payload: Any) -> tuple[str, str]:
    if payload["type"] != "block_actions":
        raise ValueError(payload["type"])
    (action,) = payload["actions"]
    return f"{payload['team']['id']}/{payload['user']['id']}", str(action["value"])
