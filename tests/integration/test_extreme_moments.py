"""The first and the last moments that there are cause no server error, whatever an address does with them.

The sweep goes over every operation of the OpenAPI document that takes a moment, so it also checks new ones.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from erip.foundation.http.documents import _document
from schedules import stored
from tests.support.api import INPUT, Api, key, publish

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
SAYS: dict[str, Any] = {"workflow": "look-up", "input": INPUT, "catch_up": "all", "overlap": "allow"}
RULE = {"summary": "s", "severity": "page", "metric": "erip_component_up", "below": 1}
#: the schedules that the sweep finds: cron, moved by closed days, with jitter, of another day than UTC's
KEPT: dict[str, dict[str, Any]] = {
    "moved": {"cron": "0 7 * * *", "timezone": "Europe/Berlin", "calendar": "DE", "on_holiday": "next"},
    "west": {"cron": "0 7 * * *", "timezone": "America/New_York", "jitter": "1h"},
    "east": {"cron": "0 0 31 12 *", "timezone": "Asia/Tokyo", "jitter": "24h"},
    "interval": {"every": "1d", "jitter": "24h"},
}
DOCUMENT = orjson.loads(_document())


def moments(schema: Any, at: str = "") -> Iterator[str]:
    """The dotted paths of all moments in a body."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if schema.get("format") == "date-time":
            yield at
        for part in schema.get("allOf", []):
            yield from moments(part, at)
        for name, inner in schema.get("properties", {}).items():
            yield from moments(inner, f"{at}.{name}" if at else name)


def doors() -> Iterator[tuple[str, str, str, list[str]]]:
    """Each operation that takes moments: (method, path, "query" or "body", their names)."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method not in ("get", "post", "put") or "/stream" in path:
                continue
            query = [
                each["name"]
                for each in operation.get("parameters", [])
                if each["in"] == "query" and each["schema"].get("format") == "date-time"
            ]
            if query:
                yield method, path, "query", query
            content = operation.get("requestBody", {}).get("content", {})
            if body := list(moments(content.get("application/json", {}).get("schema", {}))):
                yield method, path, "body", body


def document(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in values.items():
        *above, last = path.split(".")
        inner = found
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return found


@pytest.mark.parametrize("at", [FIRST, LAST])
def test_no_moment_causes_a_server_error(at: str) -> None:
    publish()
    api = Api(key())
    for name, says in KEPT.items():
        stored.put(name, document={**SAYS, **says}, author="test")
    assert api.send("PUT", "/alerts/rules/moved", orjson.dumps({"rule": RULE})).status_code == 201
    found = list(doors())
    assert len(found) >= 8
    for method, path, kind, names in found:
        named = (
            ["look-up"] if "workflow" in path else list(KEPT) if "{name}" in path and "schedules" in path else ["moved"]
        )
        for name in named:
            address = re.sub(r"\{[^}]*\}", name, path).removeprefix("/api/v1")
            for values in (
                dict.fromkeys(names, at),
                dict(zip(names, [FIRST, "2026-01-01T00:00:00Z"], strict=False)),
            ):
                if kind == "query":
                    extra = (
                        "&metric=erip_component_up" if "metrics" in path else "&count=400" if "preview" in path else ""
                    )
                    answer = api.get(f"{address}?{'&'.join(f'{one}={value}' for one, value in values.items())}{extra}")
                else:
                    extra_values = {"dry_run": True} if path.startswith("/api/v1/runs/") else {}
                    answer = api.send(method.upper(), address, orjson.dumps({**document(values), **extra_values}))
                assert answer.status_code < 500, (method, address, values)


@pytest.mark.parametrize("at", [FIRST, LAST])
@pytest.mark.parametrize("says", [{"every": "10s", "from": "?"}, {"at": "?"}], ids=["interval", "once"])
def test_a_schedule_may_name_any_moment(says: dict[str, Any], at: str) -> None:
    publish()
    api = Api(key())
    says = {name: at if value == "?" else value for name, value in says.items()}
    body = orjson.dumps({"schedule": {**SAYS, **says, "jitter": "24h"}})
    assert api.send("PUT", "/schedules/s", body).status_code == 201
    assert api.send("POST", "/schedule-previews", body).status_code == 200
    assert api.get("/schedules/s").status_code == 200
    assert api.get(f"/schedules/s/preview?after={at}").status_code == 200


def test_a_silence_and_a_rule_take_what_they_name_and_nothing_else() -> None:
    api = Api(key())
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for labels in ({"": "x"}, {"k" * 5_000: "x"}, {"a b": "x"}, {"\u202e": "x"}):
        body = {"rule": "a", "reason": "r", "ends_at": ends, "labels": labels}
        answer = api.send("POST", "/alerts/silences", orjson.dumps(body))
        (fault,) = orjson.loads(answer.content)["faults"]
        assert (answer.status_code, fault["path"].partition(".")[0]) == (422, "labels"), labels
        assert len(answer.content) < 2_000
    answer = api.send("PUT", "/alerts/rules/mine", orjson.dumps({"rule": RULE, "enabled": "yes"}))
    assert (answer.status_code, orjson.loads(answer.content)["faults"][0]["path"]) == (422, "enabled")
