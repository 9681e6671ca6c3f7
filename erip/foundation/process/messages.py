"""Messages from the broker are checked before Celery sees them.

Note [Messages]
Celery trusts its broker: one message that is no JSON ends every worker that takes it, and one with wrong headers or
arguments is logged with a traceback and its whole content. Here a message is a hint and nothing more, so nothing in it
has to be trusted. `read` takes out what is needed: the task's name, its id, and the arguments, which are checked by the
module that defines the task (`expect`). From these it makes a new message, as ERIP would have sent it; everything else
(callbacks, an ETA, another content type) is dropped. An unreadable message is dropped too, with a line in the log that
gives the reason but not the content: the work is found without it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import orjson

#: bytes of a message, at most: far above what ERIP sends
MOST_BYTES = 2 * 1024 * 1024
#: headers that stay on the message: texts written by ERIP
_OWN = re.compile(r"erip_[a-z_]{1,40}")
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

#: takes the keyword arguments of a message and returns those for the task. Raises Refused
Check = Callable[[Mapping[str, Any]], dict[str, Any]]

_expected: dict[str, Check] = {}


class Refused(Exception):
    """The message is none of ERIP's; why, without what was in it."""


def expect(task: str, check: Check) -> None:
    """Accept messages for this task. Call it where the task is defined."""
    _expected[task] = check


def write(task: str, keywords: Mapping[str, Any], queue: str) -> bytes:
    """A message for this task as it stands in `queue`, which any Celery worker can take. keywords: JSON values.

    Celery's own way to it costs four times the processor time: it asks for options, routes and representations that no
    message here has.
    """
    return orjson.dumps(_made(task, str(uuid4()), keywords, queue, {}))


def read(raw: bytes, queue: str) -> dict[str, Any]:
    """A message as kombu takes it, made from one that came out of `queue`. Raises Refused."""
    message = _object(_json(raw, "the message"), "the message")
    headers = _object(message.get("headers"), "its headers")
    name = headers.get("task")
    check = _expected.get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or check is None:
        raise Refused("no task of that name is known here")
    for late in ("eta", "expires"):
        if headers.get(late) is not None:
            raise Refused(f"it has the header {late}, which no message here has")
    keywords = check(_keywords(message))
    id_ = headers.get("id")
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise Refused("its id is none")
    kept = {
        key: value
        for key, value in headers.items()
        if _OWN.fullmatch(key) and isinstance(value, str) and len(value) <= 200
    }
    return _made(name, id_, keywords, queue, kept)


def _keywords(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keyword arguments: of protocol 2, `[arguments, keywords, embedded]`."""
    body = message.get("body")
    if message.get("content-type") != "application/json" or not isinstance(body, str):
        raise Refused("its body is not JSON")
    properties = _object(message.get("properties"), "its properties")
    if properties.get("body_encoding") != "base64":
        raise Refused("its body is not in base64")
    try:
        decoded = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("its body is not in base64") from None
    parts = _json(decoded, "its body")
    if not isinstance(parts, list) or len(parts) != 3:
        raise Refused("its body is not a list of arguments, keywords and what is embedded")
    if parts[0] != []:
        raise Refused("it has arguments without a name")
    return _object(parts[1], "its keywords")


def _made(name: str, id_: str, keywords: Mapping[str, Any], queue: str, kept: Mapping[str, str]) -> dict[str, Any]:
    body = orjson.dumps([[], keywords, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            **kept, "lang": "py", "task": name, "id": id_, "root_id": id_, "parent_id": None, "group": None,
            "eta": None, "expires": None, "retries": 0, "timelimit": [None, None], "argsrepr": "()",
            "kwargsrepr": "{}", "origin": "", "ignore_result": True,
        },
        "properties": {
            "correlation_id": id_, "reply_to": None, "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": queue}, "delivery_tag": str(uuid4()),
        },
    }  # fmt: skip


def _json(text: bytes, what: str) -> Any:
    if len(text) > MOST_BYTES:
        raise Refused(f"{what} has {len(text)} bytes")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Refused(f"{what} is not JSON") from None


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{what} is no object")
    return value
