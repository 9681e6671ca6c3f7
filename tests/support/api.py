"""What the tests of the API share: a step, a definition that uses it, and clients that hold a key."""

from typing import Any

import orjson
from django.test import Client
from pydantic import BaseModel

from erip.access import keys
from erip.access.scopes import Scope
from workflows import engine
from workflows.registry import step


class LookUp(BaseModel):
    cves: list[str]


class Found(BaseModel):
    count: int


@step("test.look_up", summary="Count a list of vulnerabilities.")
def look_up(data: LookUp) -> Found:
    return Found(count=len(data.cves))


DEFINITION = """\
name: look-up
lane: high
description: Look a list of vulnerabilities up.
input:
  type: object
  required: [cves]
  additionalProperties: true
  properties: {cves: {type: array, items: {type: string}}}
steps:
  enrich: {uses: test.look_up, with: {cves: "${{ input.cves }}"}}
output: "${{ steps.enrich.output }}"
"""
INPUT = {"cves": ["CVE-2021-44228"]}


def publish() -> None:
    """The definition above, as version 1 of `look-up`."""
    engine.publish(None, DEFINITION, "yaml", author="test")


def key(scope: Scope = Scope.ADMIN, name: str = "") -> str:
    """A new key's token."""
    return keys.create(name=name or f"test {scope}", scope=scope).token


class Api:
    """A client with an API key, that speaks JSON."""

    def __init__(self, token: str | None = None) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1{path}", query, headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        return self.send("POST", path, content, **headers)

    def send(self, method: str, path: str, content: bytes, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        media = named.pop("Content-Type", "application/json")
        return self.client.generic(
            method, f"/api/v1{path}", content, content_type=media, headers={**self.headers, **named}
        )
