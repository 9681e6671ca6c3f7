"""What every request has, however it comes in: a time for which it may wait for the database, and a scope."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from erip.foundation.db import consistency, retry
from erip.foundation.db.consistency import Scope

#: the token of API clients, in requests and answers
HEADER = "ERIP-Consistency-Token"
#: says `stale` of an answer that may lack what the caller has written, because the primary was away
MARK = "ERIP-Consistency"


@contextmanager
def serving(token: str | None, left: threading.Event | None = None) -> Iterator[Scope]:
    """This block serves one request, whose caller sent `token` (a checked one, or None).

    left: is set when the caller has left
    """
    with retry.within(settings.ERIP_DB_REQUEST_SECONDS, left), consistency.scope(token) as scope:
        yield scope


def answer_headers(scope: Scope) -> dict[str, str]:
    """The headers for the answer. Call it inside `serving`, after everything the request writes is committed."""
    headers: dict[str, str] = {}
    if settings.ERIP_REPLICAS and scope.wrote:
        headers[HEADER] = consistency.token_after_writing()
    if scope.stale:
        headers[MARK] = "stale"
    return headers
