"""`Idempotency-Key`: a request that is sent again is done once, and answered as it was the first time.

Note [Idempotent requests]
The key is written together with the answer, in the transaction that does the work. So either both exist or
neither does, whatever fails in between, and a transaction that is run again after a failover finds its own answer. A
second request under the key waits in PostgreSQL until the first has ended; if that exceeds the limit for locks,
it is answered with 409. A request that was refused (4xx, 5xx) leaves no key behind: nothing was done under it.
Starting one run has a shorter way of its own, in the statement that inserts the run, and so has a bulk start.
Secrets are not kept (they are derived, Note [Webhook secrets] in `workflows.events.secrets`): the operation puts them
back.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from django.db import transaction
from rest_framework.response import Response

from erip.foundation.db import retry
from erip.foundation.http.headers import request_hash
from erip.foundation.http.incoming import Incoming
from erip.foundation.http.reading import principal_of
from erip.foundation.http.renderers import dumps
from workflows import store
from workflows.errors import IdempotencyMismatch, RequestUnderWay

#: marks an answer to a request that was done before
REPLAYED = "Idempotent-Replayed"
#: the field that is removed before an answer is kept
SECRET = "secret"  # noqa: S105  (the name of a field)
#: puts SECRET back into an answer's document
Restore = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def once(request: Incoming, key: str, do: Callable[[], Response], *, restore: Restore | None = None) -> Response:
    """The answer of `do`, or the answer that it gave to the same request before.

    restore: for an operation that answers with a secret. Raises IdempotencyMismatch, RequestUnderWay, and what `do`
    raises.
    """
    taken = store.StartKey(principal_of(request), key, request_hash(request))
    return retry.run(lambda _: _once(taken, do, restore))


def _once(key: store.StartKey, do: Callable[[], Response], restore: Restore | None) -> Response:
    with transaction.atomic():
        if store.take_key(key):
            response = do()
            store.keep_answer(key, _kept(response, without_secret=restore is not None))
            return response
    found = store.answer_of_key(key.principal, key.key)
    if found is None:
        raise RequestUnderWay  # the other request has just failed, and its key was rolled back
    known_hash, answer = found
    if known_hash != key.request_hash or not answer:
        raise IdempotencyMismatch
    return _again(answer, restore)


def _kept(response: Response, *, without_secret: bool) -> str:
    """A line with status and headers, then the body as it is sent."""
    data = response.data
    if without_secret:
        data = {name: value for name, value in data.items() if name != SECRET}
    headers = {name: value for name, value in response.items() if name != "Content-Type"}
    head = orjson.dumps({"status": response.status_code, "headers": headers})
    return b"\n".join([head, b"" if data is None else dumps(data)]).decode()


def _again(answer: str, restore: Restore | None) -> Response:
    head, _, body = answer.partition("\n")
    known = orjson.loads(head)
    data: Any = orjson.Fragment(body) if body else None
    if restore is not None:
        data = restore(orjson.loads(body))
    return Response(data, status=known["status"], headers={**known["headers"], REPLAYED: "true"})
