"""What is sent over HTTP: to each operation of the OpenAPI document, to every page of the admin, and as raw bytes."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fuzz import hostile, wire

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "X" * 40, "PROPFIND"]
#: addresses outside of the document
OTHERS = ["/", "/health/live", "/health/ready", "/health/startup", "/api/schema", "/api/docs", "/reports/", "/reports/x/",
          "/admin/", "/admin/login/", "/static/x", "/api/v1", "/api/v1/", "/metrics", "/favicon.ico", "//", "/api//v1/runs"]  # fmt: skip
_PARAMETER = re.compile(r"\{([^}]+)\}")
EVENT = {"specversion": "1.0", "source": "/fuzz", "type": "fuzz.happened"}


@dataclass
class Doors:
    """document: OpenAPI. known: values of path parameters that lead somewhere. pages: addresses of the admin."""

    document: Mapping[str, Any]
    known: Mapping[str, list[str]]
    key: str
    session: str
    pages: list[str]

    def any(self, chance: random.Random) -> bytes:
        """One request."""
        kind = chance.randrange(20)
        if kind == 0:
            return self.raw(chance)
        if kind < 5:
            return self.admin(chance)
        if kind == 5:
            return self.other(chance)
        return self.operation(chance)

    def operation(self, chance: random.Random) -> bytes:
        path, item = chance.choice(list(self.document["paths"].items()))
        method, operation = chance.choice(list(item.items()))
        target = _PARAMETER.sub(lambda found: self._place(chance, found[1]), path)
        parameters = [each for each in operation.get("parameters", []) if each["in"] == "query"]
        target += self._query(chance, [each["name"] for each in parameters])
        headers = self._headers(chance)
        for each in operation.get("parameters", []):
            if each["in"] == "header" and chance.randrange(3) == 0:
                headers.append((each["name"], hostile.header_value(chance)))
        body = b""
        if "requestBody" in operation and chance.randrange(8):
            media, content = chance.choice(list(operation["requestBody"]["content"].items()))
            body = self._body(chance, media, self._resolved(content.get("schema", {})))
            if chance.randrange(8) == 0:
                media = hostile.header_value(chance)
            headers.append(("Content-Type", media))
        if chance.randrange(12) == 0:
            method = chance.choice(METHODS)
        return self._send(chance, method.upper(), target, headers, body)

    def admin(self, chance: random.Random) -> bytes:
        page = chance.choice(self.pages)
        names = ["q", "o", "p", "e", "all", "_changelist_filters", "_popup", "_to_field", "id", "id__in", "state", "state__exact",
                 "created_at__gte", "created_at__year", "at__month", "pk", "lane__exact", "workflow__icontains", "ot", "next",
                 "name__isnull", "version__id__exact", "scope__exact", "x__y__z"]  # fmt: skip
        tail = chance.choice(["", "", "", "add/", f"{hostile.url_text(chance)}/change/", f"{hostile.url_text(chance)}/history/",
                              f"{hostile.url_text(chance)}/", "1/change/", f"{hostile.url_text(chance)}/delete/"])  # fmt: skip
        target = page + tail + self._query(chance, names, often=True)
        headers = [("Host", "localhost"), ("Cookie", f"sessionid={self.session}")]
        method = chance.choice(["GET", "GET", "GET", "GET", "HEAD", "OPTIONS"])
        return self._send(chance, method, target, headers, b"")

    def other(self, chance: random.Random) -> bytes:
        target = (
            chance.choice(OTHERS) + chance.choice(["", hostile.url_text(chance)]) + self._query(chance, ["a", "next"])
        )
        return self._send(chance, chance.choice(METHODS), target, self._headers(chance), b"")

    def raw(self, chance: random.Random) -> bytes:
        """What is hardly HTTP any more."""
        kind = chance.randrange(4)
        if kind == 0:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(1, 300))) + b"\r\n\r\n"
        whole = self.operation(chance)
        if kind == 1:
            return hostile.broken(chance, whole)
        if kind == 2:
            return (
                hostile.broken(chance, hostile.broken(chance, whole[: chance.randrange(1, len(whole))])) + b"\r\n\r\n"
            )
        return whole.replace(
            b"HTTP/1.1", chance.choice([b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2", b"HTTP/9.9", b"", b"http/1.1"])
        )

    # --- pieces

    def _place(self, chance: random.Random, name: str) -> str:
        if name in self.known and chance.randrange(4):
            found = chance.choice(self.known[name])
            return found.upper() if chance.randrange(10) == 0 else found
        return hostile.url_text(chance)

    def _query(self, chance: random.Random, names: list[str], *, often: bool = False) -> str:
        if (not names and chance.randrange(4)) or (not often and chance.randrange(2)):
            return ""
        pairs = []
        for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 5])):
            name = hostile.url_text(chance) if not names or chance.randrange(10) == 0 else chance.choice(names)
            if "cursor" in name:
                value = hostile.cursor(chance)
            elif "limit" in name or name == "p":
                value = chance.choice(hostile.NUMBERS)
            elif "after" in name or "before" in name or "at__" in name:
                value = chance.choice(hostile.TIMES).replace("+", chance.choice(["%2B", "+"]))
            else:
                value = hostile.url_text(chance)
            pairs.append(f"{name}={value}" if chance.randrange(15) else name)
        return "?" + "&".join(pairs)

    def _headers(self, chance: random.Random) -> list[tuple[str, str]]:
        headers = [("Host", "localhost")]
        if chance.randrange(20):
            headers.append(("Authorization", f"Bearer {self.key}"))
        for _ in range(chance.choice([0, 0, 0, 1, 1, 2])):
            headers.append((chance.choice(hostile.HEADER_NAMES), hostile.header_value(chance)))
        return headers

    def _body(self, chance: random.Random, media: str, schema: Any) -> bytes:
        if media == "application/cloudevents+json":
            text = self._event(chance)
        elif media == "application/cloudevents-batch+json":
            text = "[" + ",".join(self._event(chance) for _ in range(chance.randrange(4))) + "]"
        elif "yaml" in media:
            text = definition(chance)
        else:
            text = hostile.json_text(chance, schema)
        body = text.encode("utf-8", "surrogatepass")
        return hostile.broken(chance, body) if chance.randrange(6) == 0 else body

    def _event(self, chance: random.Random) -> str:
        members = {name: hostile.str_json(value) for name, value in EVENT.items()}
        members["id"] = hostile.str_json(str(chance.randrange(10**9)))
        for _ in range(chance.randrange(4)):
            name = chance.choice(["data", "subject", "time", "id", "type", "source", "datacontenttype", "dataschema",
                                  "partitionkey", "data_base64", "traceparent", "x", "X", "specversion"])  # fmt: skip
            members[name] = hostile.json_text(chance, {"type": "string"} if name != "data" else None)
        return "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"

    def _resolved(self, schema: Any, depth: int = 0) -> Any:
        """The schema with its references followed."""
        if depth > 6:
            return {}
        if isinstance(schema, list):
            return [self._resolved(each, depth) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            found: Any = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            return self._resolved(found, depth + 1)
        return {name: self._resolved(value, depth + 1) for name, value in schema.items()}

    def _send(
        self, chance: random.Random, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> bytes:
        # A wish to wait would be granted, and one answer be all that a minute brings.
        headers = [
            (name, value) for name, value in headers if name != "Prefer" or "wait" not in value or len(value) > 9
        ]
        named = {name.lower() for name, _ in headers}
        if "transfer-encoding" not in named:
            length = str(len(body)) if chance.randrange(60) else chance.choice(hostile.NUMBERS[:4])
            if body or method not in ("GET", "HEAD", "OPTIONS") or not chance.randrange(30):
                headers = [*headers, ("Content-Length", length)]
        return wire.request(method, target, [*headers, ("Connection", "close")], body)


def definition(chance: random.Random) -> str:
    """A definition, in YAML or JSON, that is wrong in some place as often as not."""
    step = '{"uses": "nexus.enrich_threat", "with": {"cvss_vectors": []}}'
    members = {"name": '"fuzz"', "input": '{"type": "object"}', "steps": '{"a": ' + step + "}"}
    for _ in range(chance.randrange(4)):
        name = chance.choice(
            ["name", "input", "steps", "output", "lane", "description", "on", "timeout", "deadline", "x", "sla"]
        )
        members[name] = chance.choice(
            [
                chance.choice(hostile.JSON),
                '{"a": ' + step[:-1] + f', "{chance.choice(["if", "needs", "foreach", "retry", "timeout", "x"])}": '
                f"{chance.choice(hostile.JSON)}}}}}",
                f'[{{"event": {chance.choice(hostile.JSON)}}}]',
                hostile.str_json("${{ " + chance.choice(["input.a", "steps.a.output", "1/0", "input.a[0]", "[1].map(x, x)", "'"]) + " }}"),
            ]
        )  # fmt: skip
    text = "{" + ", ".join(f'"{name}": {value}' for name, value in members.items()) + "}"
    if chance.randrange(4) == 0:
        text = chance.choice(["&a [*a]", "!!python/object:os.system {}", "a: &a [x]\nb: *a", "<<: {a: 1}", "a: 1\na: 2", "- -",
                              "%YAML 9.9\n---\n{}", "\ufeff" + text, "--- a\n--- b\n", "a: 2026-02-30", "? [a]\n: b", "\x00",
                              "x: 1e999", "x: .nan", "x: 0o777777777777777777777777777", "x: !!binary aGk=", "x: !!set {a}"])  # fmt: skip
    return text
