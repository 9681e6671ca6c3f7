"""Which requests of a chat are believed.

Note [Requests of a chat]
Anybody can send a request to a public address. One is believed only if it is signed with the secret that the chat and
this installation share, if the moment that is signed with it is at most WINDOW seconds away, and if it was not believed
before: its signature is kept for as long as it could be sent again. Without a secret there is no such address at all.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import connection

#: seconds that the moment of a request may be away from now, both ways: what Slack asks for
WINDOW: Final = 300
#: bytes of the longest request
LONGEST: Final = 65_536


class NotBelieved(Exception):
    """The request is not one of the chat's, is too old, or came before. The sender is not told which."""


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody typed. who: an id in the chat, which `people` knows as a person; at: when, by the chat's clock;
    digest: of its signature."""

    who: str
    text: str
    at: datetime
    digest: bytes


def check(expected: bytes, given: bytes) -> bytes:
    """The digest of a signature that is right. Raises NotBelieved."""
    if not hmac.compare_digest(expected, given):
        raise NotBelieved("the signature is another one")
    return hashlib.sha256(given).digest()


def fresh(at: datetime, now: datetime | None = None) -> None:
    """Raises NotBelieved for a moment that is too far away."""
    if abs(((now or datetime.now(UTC)) - at).total_seconds()) > WINDOW:
        raise NotBelieved("it is too old, or too early")


def take(said: Said) -> None:
    """Believe this request, once. Raises NotBelieved if it was before. One statement; it also forgets old ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH old AS (DELETE FROM people_chatrequest WHERE at < clock_timestamp() - make_interval(secs => %s))
            INSERT INTO people_chatrequest (digest, at) VALUES (%s, clock_timestamp()) ON CONFLICT DO NOTHING
            """,
            [3 * WINDOW, said.digest],
        )
        if not cursor.rowcount:
            raise NotBelieved("it came before")
