"""What a broker could bring: messages in Celery's queues that Celery never sent."""

import base64
import json
import random
from typing import Any

from tests.fuzz import hostile

QUEUES = ["critical", "high", "standard", "bulk"]


def envelope(body: str, **changes: Any) -> dict[str, Any]:
    """A message as kombu puts it into Redis. body: in base64. changes: of its members."""
    message: dict[str, Any] = {
        "body": base64.b64encode(body.encode("utf-8", "surrogatepass")).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py", "task": "workflows.execute", "id": "5f0c8d0e-2f0f-4a9e-9d53-0f8f5f3c1a11",
            "root_id": "5f0c8d0e-2f0f-4a9e-9d53-0f8f5f3c1a11", "parent_id": None, "group": None, "eta": None, "expires": None,
            "retries": 0, "timelimit": [None, None], "argsrepr": "()", "kwargsrepr": "{}", "origin": "x", "ignore_result": True,
        },
        "properties": {
            "correlation_id": "5f0c8d0e-2f0f-4a9e-9d53-0f8f5f3c1a11", "reply_to": "x", "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "standard"}, "priority": 0, "body_encoding": "base64",
            "delivery_tag": "5f0c8d0e-2f0f-4a9e-9d53-0f8f5f3c1a12",
        },
    }  # fmt: skip
    return {**message, **changes}


_RIGHT = '[[], {"run_ids": []}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'


def _with(part: str, **changes: Any) -> str:
    message = envelope(_RIGHT)
    return json.dumps({**message, part: {**message[part], **changes}})


def _without(part: str, name: str) -> str:
    message = envelope(_RIGHT)
    return json.dumps({**message, part: {key: value for key, value in message[part].items() if key != name}})


def all_kinds() -> list[tuple[str, bytes]]:
    """Each with its name: the ways in which a message can be wrong."""
    kinds: dict[str, str | bytes] = {
        "no JSON": b"not json",
        "empty": b"",
        "bytes": bytes(range(256)),
        "null": "null",
        "a list": "[]",
        "a number": "5",
        "an empty object": "{}",
        "huge": b"[" + b"1," * 500_000 + b"1]",
        "deep": b"[" * 100_000,
        "bad base64": json.dumps({**envelope(""), "body": "%%%"}),
        "a body that is no text": json.dumps({**envelope(""), "body": 5}),
        "no body": json.dumps({key: value for key, value in envelope(_RIGHT).items() if key != "body"}),
        "pickle": json.dumps(envelope("gASV", **{"content-type": "application/x-python-serialize", "content-encoding": "binary"})),
        "yaml": json.dumps(envelope("a: b", **{"content-type": "application/x-yaml"})),
        "unknown content type": json.dumps(envelope(_RIGHT, **{"content-type": "application/x-unknown"})),
        "no content type": json.dumps(envelope(_RIGHT, **{"content-type": None})),
        "unknown encoding": json.dumps(envelope(_RIGHT, **{"content-encoding": "klingon"})),
        "no headers": json.dumps(envelope(_RIGHT, headers={})),
        "headers null": json.dumps(envelope(_RIGHT, headers=None)),
        "headers a list": json.dumps(envelope(_RIGHT, headers=[])),
        "properties null": json.dumps(envelope(_RIGHT, properties=None)),
        "properties empty": json.dumps(envelope(_RIGHT, properties={})),
        "no delivery info": _without("properties", "delivery_info"),
        "delivery info null": _with("properties", delivery_info=None),
        "delivery info a text": _with("properties", delivery_info="x"),
        "no delivery tag": _without("properties", "delivery_tag"),
        "delivery tag a list": _with("properties", delivery_tag=[1]),
        "unknown body encoding": _with("properties", body_encoding="rot13"),
        "unknown task": _with("headers", task="nobody.knows"),
        "task null": _with("headers", task=None),
        "task a list": _with("headers", task=["x"]),
        "no id": _without("headers", "id"),
        "id a number": _with("headers", id=5),
        "eta": _with("headers", eta="tomorrow"),
        "eta far": _with("headers", eta="9999-12-31T23:59:59+00:00"),
        "expires": _with("headers", expires="yesterday"),
        "expires a list": _with("headers", expires=[1]),
        "retries a text": _with("headers", retries="many"),
        "time limit": _with("headers", timelimit="x"),
        "compression": _with("headers", compression="application/x-gzip"),
        "unknown compression": _with("headers", compression="application/x-nothing"),
        "a body of three numbers": json.dumps(envelope("[1, 2, 3]")),
        "a body of one": json.dumps(envelope("[1]")),
        "a body that is an object": json.dumps(envelope('{"a": 1}')),
        "a body that is null": json.dumps(envelope("null")),
        "a body that is no JSON": json.dumps(envelope("{")),
        "arguments": json.dumps(envelope('[[1, 2], {}, {}]')),
        "no run ids": json.dumps(envelope('[[], {}, {}]')),
        "run ids null": json.dumps(envelope('[[], {"run_ids": null}, {}]')),
        "run ids a text": json.dumps(envelope('[[], {"run_ids": "abc"}, {}]')),
        "run ids no ids": json.dumps(envelope('[[], {"run_ids": ["x", 5, null, {}, [], "\\u0000"]}, {}]')),
        "run ids unknown": json.dumps(envelope('[[], {"run_ids": ["00000000-0000-0000-0000-000000000000"]}, {}]')),
        "run ids in upper case": json.dumps(envelope('[[], {"run_ids": ["FFFFFFFF-0000-0000-0000-000000000000"]}, {}]')),
        "many run ids": json.dumps(envelope(json.dumps([[], {"run_ids": ["x"] * 50_000}, {}]))),
        "keywords null": json.dumps(envelope("[[], null, {}]")),
        "embed null": json.dumps(envelope('[[], {"run_ids": []}, null]')),
        "callbacks": json.dumps(envelope('[[], {"run_ids": []}, {"callbacks": [{"task": "x"}], "chain": [1], "chord": 5}]')),
        "kwargs unhashable": json.dumps(envelope('[[], {"run_ids": [[]]}, {}]')),
        "a half pair": json.dumps(envelope('[[], {"run_ids": ["\\ud800"]}, {}]')),
        "protocol 1": json.dumps({**envelope('{"task": "workflows.execute", "id": "x", "args": [], "kwargs": {}}'), "headers": {}}),
        "protocol 1 bare": json.dumps({**envelope('{"task": "x"}'), "headers": {}}),
        "control": json.dumps(envelope('{"method": "shutdown", "arguments": {}}')),
    }  # fmt: skip
    return [
        (name, text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text) for name, text in kinds.items()
    ]


def any_message(chance: random.Random) -> bytes:
    content = chance.choice(all_kinds())[1]
    if chance.randrange(3) == 0:
        part = chance.choice(["headers", "properties"])
        message = envelope(_RIGHT)
        name = chance.choice(list(message[part]))
        value = chance.choice([None, 5, "x", [], {}, True, 1e22, "\x00", "x" * 3000, chance.choice(hostile.TIMES)])
        return json.dumps({**message, part: {**message[part], name: value}}).encode()
    return hostile.broken(chance, content[:5000]) if chance.randrange(3) == 0 else content
