"""Microsoft Teams: outgoing webhooks.

Source: "Create Outgoing Webhooks" at learn.microsoft.com: the header Authorization has `HMAC ` and the base64 of the
HMAC-SHA256 of the body, with the security token (base64) as its key.
"""

import base64
import binascii
import hashlib
import hmac
import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from people.chats.signed import NotBelieved, Said, check, fresh

#: the bot that is spoken to
_MENTION = re.compile(r"<at[^>]{0,100}>[^<]{0,200}</at>")
_TAG = re.compile(r"<[^>]{0,200}>")


def key_of(secret: str) -> bytes:
    """Raises ValueError for what is no base64."""
    return base64.b64decode(secret, validate=True)


def read(body: bytes, headers: Mapping[str, str], secret: str, *, now: datetime | None = None) -> Said:
    """What was said. who: the object id of the user in Entra ID. Raises NotBelieved."""
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    if scheme != "HMAC":
        raise NotBelieved("it is not signed")
    try:
        decoded = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise NotBelieved("its signature is no base64") from None
    digest = check(hmac.new(key_of(secret), body, hashlib.sha256).digest(), decoded)
    try:
        message = orjson.loads(body)
        at = datetime.fromisoformat(message["timestamp"])
        if message["type"] != "message" or at.tzinfo is None:
            raise ValueError(message["type"])
        who, text = str(message["from"]["aadObjectId"]), str(message["text"])
    except (ValueError, KeyError, TypeError):
        raise NotBelieved("it is no message") from None
    fresh(at, now)
    return Said(who, html.unescape(_TAG.sub(" ", _MENTION.sub(" ", text))), at, digest)


def answer(text: str) -> dict[str, Any]:
    """As a message in the conversation, which everybody in it sees."""
    return {"type": "message", "textFormat": "plain", "text": text}
