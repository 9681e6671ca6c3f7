"""Requests from logs: HAProxy's (`[balancer] log_requests`), and the platform's own JSON lines `request_finished`.

Logs hold what strangers sent. Of a line only the minute, the method, the operation and the status are used; memory is
bounded by operations and minutes, whatever the lines are. A line that is cut off, broken, too long or something else is
counted.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final, NamedTuple

import orjson

#: bytes of a line; of a longer one nothing is read
LONGEST: Final = 64 * 1024
NO_REQUEST: Final = "lines were no request, broken, or too long"
_HAPROXY: Final = re.compile(
    rb"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d):\d\d(?:\.\d{1,6})?\] \S{1,200} \S{1,200} \S{1,100} (\d{3}) "
)


class Line(NamedTuple):
    #: minutes since the epoch
    minute: int
    method: str
    path: str
    status: int


def lines(file: BinaryIO) -> Iterator[Line | None]:
    """Each line of a log; None for one that is no request."""
    while line := file.readline(LONGEST):
        if not line.endswith(b"\n") and len(line) == LONGEST:
            while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield None
        elif line.strip():
            yield read(line)


def read(line: bytes) -> Line | None:
    """None: it is no request."""
    line = line.strip()
    return _json(line) if line.startswith(b"{") else _haproxy(line)


def _json(line: bytes) -> Line | None:
    try:
        found = orjson.loads(line)
        if found.get("event") not in ("request_finished", "request_failed"):
            return None
        method, _, path = found["request"].partition(" ")
        at = datetime.fromisoformat(found["timestamp"])
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return Line(int(at.timestamp()) // 60, method, path, _status(found["code"]))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        return None


def _haproxy(line: bytes) -> Line | None:
    if (found := _HAPROXY.search(line)) is None:
        return None
    words = line.rsplit(b" ", 2)
    try:
        at = datetime.strptime(found[1].decode(), "%d/%b/%Y:%H:%M").replace(tzinfo=UTC)
        return Line(
            int(at.timestamp()) // 60, words[1].decode("ascii"), words[2].decode("ascii"), _status(int(found[2]))
        )
    except ValueError:
        return None


def _status(code: object) -> int:
    if type(code) is not int or not 100 <= code <= 599:
        raise ValueError(code)
    return code
