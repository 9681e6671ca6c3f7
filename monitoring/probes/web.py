"""GET for probes: bounded in time for each step and in size, and over TLS 1.3 with a certificate of one's own."""

import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from erip.foundation.process.trust import context_of
from monitoring.conf import Conf
from monitoring.probes import Unanswered

#: seconds for each step of one answer, and its bytes
_ANSWER_WITHIN, _MOST = 1.0, 1_000_000


def get(url: str, path: str, conf: Conf) -> tuple[int, Any]:
    """Status and JSON of what stands at this path of the server. Raises Unanswered."""
    status, body = _read(url, path, conf)
    try:
        return status, json.loads(body) if body else {}
    except ValueError as error:
        raise Unanswered(f"{_where(url)} answers something that is not JSON") from error


def text(url: str, path: str, conf: Conf) -> str:
    """The text at this path. Raises Unanswered, also for any other status than 200."""
    status, body = _read(url, path, conf)
    if status != 200:
        raise Unanswered(f"{_where(url)} answers {status}")
    return body.decode("utf-8", "replace")


def _where(url: str) -> str:
    split = urlsplit(url)
    return f"{split.hostname}:{split.port}" if split.port else str(split.hostname)


def _read(url: str, path: str, conf: Conf) -> tuple[int, bytes]:
    split = urlsplit(url)
    where = _where(url)
    try:
        with closing(_connection(split.scheme, split.hostname or "", split.port, conf)) as connection:
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST)
    except TimeoutError as error:
        raise Unanswered(f"{where} did not answer within {_ANSWER_WITHIN:.0f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{where} does not answer: {type(error).__name__}") from error


def _connection(scheme: str, host: str, port: int | None, conf: Conf) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=_ANSWER_WITHIN)
    context = context_of(conf.ca, conf.certificate)
    return http.client.HTTPSConnection(host, port, timeout=_ANSWER_WITHIN, context=context)
