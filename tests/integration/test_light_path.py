"""The light path answers as the ordinary views do: each request of a table is sent both ways."""

import gzip
import http.client
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
import zstandard
from django.db import connection

from erip.access import callers, keys
from erip.access.authentication import principal_of_bearer
from erip.access.scopes import Scope
from erip.foundation.http.answers import SafeAnswers
from erip.foundation.http.door import Door
from erip.foundation.http.light import middleware
from erip.foundation.http.light.app import Light
from tests.support.api import INPUT, key, publish
from tests.support.events import event
from tests.support.server import serving, without_light_path
from workflows.api.hot import ROUTES
from workflows.core.cloudevents import BATCH, STRUCTURED
from workflows.events.api.light import ROUTES as EVENT_ROUTES
from workflows.graphs import graph_of
from workflows.models import WorkflowVersion

pytestmark = pytest.mark.django_db(transaction=True)
START = "/api/v1/workflows/look-up/runs"
GOOD = json.dumps({"input": INPUT}).encode()


@dataclass(frozen=True)
class Case:
    """One request. In headers, {way} stands for the way it is sent, in the path {run} for a new run's id. None: leave
    the header out."""

    name: str
    body: bytes = GOOD
    status: int = 202
    path: str = START
    method: str = "POST"
    headers: dict[str, str | None] = field(default_factory=dict)


def start(**body: Any) -> bytes:
    return json.dumps({"input": INPUT, **body}).encode()


#: answered by the light path itself
LIGHT = [
    Case("a good request"),
    Case("with all fields", start(business_key="INC-7", lane="critical", version=1)),
    Case("with fields that are null", start(business_key=None, lane=None, version=None)),
    Case("a version as 1.0", start(version=1.0)),
    Case("another case of the scheme", headers={"Authorization": "bearer {token}"}),
    Case("a query string", path=f"{START}?wait=1"),
    Case("a charset", headers={"Content-Type": "application/json; charset=utf-8"}),
    Case("a wait that ends without the run", headers={"Prefer": "wait=1"}),
    Case("a wait that is malformed", headers={"Prefer": "wait=soon"}),
    Case("first under a key", headers={"Idempotency-Key": "k-{way}"}),
    Case("again under the key", headers={"Idempotency-Key": "k-{way}"}),
    Case("another under the key", start(lane="bulk"), 422, headers={"Idempotency-Key": "k-{way}"}),
    Case("a key that is none", status=400, headers={"Idempotency-Key": "x" * 256}),
    Case("an empty key", status=400, headers={"Idempotency-Key": ""}),
    Case("an unknown API key", status=401, headers={"Authorization": "Bearer erip_00000000_" + "a" * 40}),
    Case("a malformed API key", status=401, headers={"Authorization": "Bearer nonsense"}),
    Case("an API key that is not ASCII", status=401, headers={"Authorization": "Bearer erip_\xe9"}),
    Case("too small a scope", status=403, headers={"Authorization": "Bearer {reader}"}),
    Case("too small a scope, and no JSON", b"{", 403, headers={"Authorization": "Bearer {reader}"}),
    Case("no such workflow", status=404, path="/api/v1/workflows/nobody/runs"),
    Case("no such version", start(version=7), 404),
    Case("input that does not fit", b'{"input": {"cves": ["ok", 1, 2]}}', 422),
    Case("all faults at once", b'{"input": [], "business_key": 5, "lane": "fast", "version": "1", "x": 1}', 422),
    Case("an unknown key", start(inptu=1), 422),
    Case("an empty business key", start(business_key=""), 422),
    Case("too long a business key", start(business_key="x" * 201), 422),
    Case("a surrogate", b'{"input": {"cves": []}, "business_key": "\\ud800"}', 400),
    Case("no body", b"", 422),
    Case("no body and no media type", b"", 422, headers={"Content-Type": None}),
    Case("null", b"null", 422),
    Case("a list", b"[]", 422),
    Case("a text", b'"text"', 422),
    Case("no JSON", b"{", 400),
    Case("no UTF-8", b"\xff", 400),
    Case("U+0000", b'{"input": {"cves": ["\\u0000"], "\\u0000": 1}}', 422),
    Case("a number without end", b'{"input": {"n": 1e999}}', 400),
    Case("a number of 400 digits", b'{"input": {"n": ' + b"9" * 400 + b"}}", 400),
    Case("NaN", b'{"input": {"n": NaN}}', 400),
    Case("too deep", b'{"input": {"cves": ' + b"[" * 900 + b"]" * 900 + b"}}", 422),
    Case("a version of 11 digits", start(version=99999999999), 422),
    Case("another media type", b"input=1", 415, headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Case("no media type", status=415, headers={"Content-Type": None}),
    Case("nonsense for a media type", status=415, headers={"Content-Type": "json"}),
]

BINARY = {"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "/scanner", "ce-type": "nexus.threat.detected"}


def sent(name: str, body: object, status: int = 202, media: str | None = STRUCTURED, **headers: str) -> Case:
    """One request to the event bus."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named: dict[str, str | None] = {"Content-Type": media, **{n.replace("_", "-"): v for n, v in headers.items()}}
    return Case(f"events: {name}", content, status, "/api/v1/events", headers=named)


LIGHT += [
    sent("one, structured", event()),
    sent("with a charset", event(), media=f"{STRUCTURED}; charset=utf-8"),
    sent("with another charset", event(), 400, media=f"{STRUCTURED}; charset=latin1"),
    sent("a batch", [event(), event()], media=BATCH),
    sent("a batch with the same event twice", [event(id="twice"), event(id="twice")], media=BATCH),
    sent("an empty batch", [], media=BATCH),
    sent("binary, JSON", {"severity": "high"}, media="application/json", **BINARY),
    sent("binary, text", b"plain words", media="text/plain", **BINARY),
    sent("binary, other bytes", b"\x00\xff\xfe", media="application/octet-stream", **BINARY),
    sent("binary, a form", b"a=1&b=2", media="application/x-www-form-urlencoded", **BINARY),
    sent("binary, without data", b"", media=None, **BINARY),
    sent("binary, with an extension", {}, media="application/json", **BINARY, ce_traceparent="00-1-2-03"),
    sent("binary, without a source", {}, 422, "application/json", **{**BINARY, "ce-source": ""}),
    sent("binary, no JSON", b"{", 400, "application/json", **BINARY),
    sent("gzip", gzip.compress(json.dumps(event()).encode()), Content_Encoding="gzip"),
    sent(
        "zstd", zstandard.ZstdCompressor().compress(json.dumps([event()]).encode()), 202, BATCH, Content_Encoding="zstd"
    ),
    sent("gzip that is cut short", gzip.compress(json.dumps(event()).encode())[:-9], 400, Content_Encoding="gzip"),
    sent("gzip that is none", event(), 400, Content_Encoding="gzip"),
    sent("a bomb", gzip.compress(b" " * 100_000_000), 413, Content_Encoding="gzip"),
    sent("an encoding that nobody reads", event(), 415, Content_Encoding="br"),
    sent("a batch with faults", [event(), event(source=""), event(id=7, type=None)], 422, BATCH),
    sent("a batch as one", [event()], 422),
    sent("one as a batch", event(), 422, BATCH),
    sent("another version", event(specversion="0.3"), 422),
    sent("no JSON", b"{", 400),
    sent("no UTF-8", b"\xff", 400),
    sent("a surrogate", b'{"specversion": "1.0", "id": "\\ud800", "source": "/a", "type": "b"}', 400),
    sent("no body", b"", 400),
    sent("an ordinary media type", event(), 415, "application/json"),
    sent("no media type", event(), 415, None),
    sent("XML", b"<x/>", 415, "application/cloudevents+xml"),
    sent("too small a scope", event(), 403, Authorization="Bearer {reader}"),
    sent("an unknown API key", event(), 401, Authorization="Bearer erip_00000000_" + "a" * 40),
]

RUN = "/api/v1/runs/{run}"
NOBODYS = "/api/v1/runs/01890000-0000-7000-8000-000000000000"


def reading(name: str, path: str, status: int = 200, **headers: str) -> Case:
    return Case(name, b"", status, path, "GET", {"Content-Type": None, **headers})


LIGHT += [
    reading("a run", RUN),
    reading("a run that nobody knows", NOBODYS, 404),
    reading("a run, by a reader", RUN, Authorization="Bearer {reader}"),
    reading("a run, by an unknown key", RUN, 401, Authorization="Bearer erip_00000000_" + "a" * 40),
    reading("a run, with a query", f"{RUN}?x=1", 400),
    reading("all runs", "/api/v1/runs"),
    reading("runs of a workflow", "/api/v1/runs?workflow=look-up&limit=1"),
    reading("runs by all filters", "/api/v1/runs?workflow=look-up&status=FAILED&lane=bulk&business_key=%C3%A4+b"),
    reading("runs since a time", "/api/v1/runs?created_after=2026-01-01T00:00:00Z&limit=200"),
    reading("runs after a cursor", "/api/v1/runs?cursor=01890000-0000-7000-8000-000000000000"),
    reading("runs, all faults at once", "/api/v1/runs?status=x&lane=y&limit=0&cursor=z&created_after=soon&no=1", 400),
    reading("runs, a filter that comes twice", "/api/v1/runs?limit=1&limit=x", 400),
    reading("runs, a filter that is empty", "/api/v1/runs?business_key=&workflow=", 400),
    reading("runs, a filter that is no UTF-8", "/api/v1/runs?business_key=%FF"),
    reading("runs, U+0000", "/api/v1/runs?business_key=%00", 400),
    Case("cancel", b'{"reason": "no longer needed"}', 200, f"{RUN}/cancel"),
    Case("cancel without a body", b"", 200, f"{RUN}/cancel"),
    Case("cancel what nobody knows", b"", 404, f"{NOBODYS}/cancel"),
    Case("cancel with a fault", b'{"reason": 7, "x": 1}', 422, f"{RUN}/cancel"),
    Case("cancel without JSON", b"{", 400, f"{RUN}/cancel"),
    Case("cancel, too small a scope", b"", 403, f"{RUN}/cancel", headers={"Authorization": "Bearer {reader}"}),
]

#: left to Django
ORDINARY = [
    reading("another scheme for a list", "/api/v1/runs", 401, Authorization="Basic YTpi"),
    reading("a query of 2,000 fields", "/api/v1/runs?" + "&".join(f"a{n}=1" for n in range(2_000)), 400),
    reading("an id in capitals", "/api/v1/runs/01890000-0000-7000-8000-00000000000A", 404),
    Case("another method for a run", b"", 405, NOBODYS, "DELETE"),
    Case("no key", b"", status=401, headers={"Authorization": None}),
    Case("another scheme", b"", status=401, headers={"Authorization": "Basic YTpi"}),
    Case("another method", b"", 405, method="GET"),
    Case("a name that is none", status=404, path="/api/v1/workflows/Look_Up/runs"),
    Case("a slash at the end", status=404, path=f"{START}/"),
    Case("another method for events", b"", 200, "/api/v1/events", "GET"),
    Case("an empty form", b"", 422, headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Case("a media type without end", status=415, headers={"Content-Type": "application/" + "x" * 300}),
]


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    """Stands behind the light path in place of Django, where the light path has to answer by itself."""
    await send({"type": "http.response.start", "status": 599, "headers": []})
    await send({"type": "http.response.body", "body": b"null"})


class Ways:
    """One server for each path, and a client that compares their answers."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        self.tokens = {"token": key(), "reader": key(Scope.VIEWER)}

    def send(self, case: Case, way: str) -> tuple[int, dict[str, str], Any]:
        path = case.path
        if "{run}" in path:
            path = path.replace("{run}", self.send(Case("a run to ask for"), "ordinary")[2]["id"])
        web = http.client.HTTPConnection(urlsplit(self.urls[way]).netloc, timeout=30)
        headers = {"Authorization": "Bearer {token}", "Content-Type": "application/json", **case.headers}
        sent = {name: value.format(way=way, **self.tokens) for name, value in headers.items() if value is not None}
        try:
            web.request(case.method, path, case.body, sent)
            answer = web.getresponse()
            return answer.status, dict(answer.headers), json.loads(answer.read() or "null")
        finally:
            web.close()


def comparable(answer: tuple[int, dict[str, str], Any]) -> tuple[int, dict[str, str], Any]:
    """Without what belongs to one run only."""
    status, headers, body = answer
    text = json.dumps([{name: value for name, value in headers.items() if name not in ("date", "server")}, body])
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "(id)", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "(time)", text)
    text = re.sub(r"(?i)(\"content-length\": )\"\d+\"", r'\1"(length)"', text)
    headers, body = json.loads(text)
    return status, headers, body


@pytest.fixture
def ways(settings: Any) -> Iterator[Ways]:
    # Nothing takes the runs, and on a busy machine this takes longer than a lane may wait.
    settings.ERIP_LANE_BOUNDS = dict.fromkeys(settings.ERIP_LANE_BOUNDS, 1e6)
    keys.forget_cached()
    publish()
    from erip.asgi import application

    apps = {
        "light": SafeAnswers(Door(Light(nobody, [*ROUTES, *EVENT_ROUTES], principal_of_bearer), callers)),
        "ordinary": SafeAnswers(without_light_path()),
        "whole": application,
    }
    with ExitStack() as servers:
        yield Ways({way: servers.enter_context(serving(app)) for way, app in apps.items()})


def test_the_light_path_answers_as_the_ordinary_one(ways):
    different = {}
    for case in LIGHT:
        light, ordinary = ways.send(case, "light"), ways.send(case, "ordinary")
        if comparable(light) != comparable(ordinary) or light[0] != case.status:
            different[case.name] = (case.status, comparable(light), comparable(ordinary))

    assert not different


def test_the_light_path_leaves_what_is_not_plainly_its_own_to_the_ordinary_one(ways):
    for case in ORDINARY:
        assert ways.send(case, "light")[0] == 599, case.name
        whole, ordinary = ways.send(case, "whole"), ways.send(case, "ordinary")
        assert comparable(whole) == comparable(ordinary), case.name
        assert whole[0] == case.status, case.name


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer erip_00000000_" + "a" * 40])
def test_the_door_refuses_a_stranger_with_a_body_as_the_view_refuses_one_without(ways, authorization):
    headers: dict[str, str | None] = {"Authorization": authorization}
    at_the_door = ways.send(Case("with a body", headers=headers), "whole")
    by_the_view = ways.send(Case("without", b"", headers=headers), "ordinary")
    assert (at_the_door[0], at_the_door[2]) == (by_the_view[0], by_the_view[2])
    assert at_the_door[0] == 401
    said, says = ({n.lower(): v for n, v in one[1].items()} for one in (at_the_door, by_the_view))
    assert said.pop("connection") == "close"
    # The view adds the headers Allow and Vary.
    assert {name: says[name] for name in said if name != "date"} == {n: v for n, v in said.items() if n != "date"}
    assert says.keys() - said.keys() <= {"allow", "vary"}


def test_a_middleware_that_the_light_path_does_not_know_turns_it_off(ways, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "somebody.elses.Middleware"]

    with serving(Door(Light(nobody, ROUTES, principal_of_bearer), callers)) as url:
        ways.urls["off"] = url
        assert ways.send(Case("a good request"), "off")[0] == 599
    assert middleware.unknown() == ["somebody.elses.Middleware"]


def test_the_light_path_knows_every_middleware_that_is_installed():
    from erip.asgi import application

    assert middleware.unknown() == []
    assert application.app.app._app.app.app.app.routes == [*ROUTES, *EVENT_ROUTES]


def test_over_https_and_for_other_hosts_the_rules_of_the_middlewares_hold(ways, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 60
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    apps = {"light": Door(Light(nobody, ROUTES, principal_of_bearer), callers), "ordinary": fresh_django()}
    secure: dict[str, str | None] = {"X-Forwarded-Proto": "https"}
    with ExitStack() as servers:
        ways.urls = {way: servers.enter_context(serving(app)) for way, app in apps.items()}
        case = Case("over HTTPS", headers=secure)
        light, ordinary = ways.send(case, "light"), ways.send(case, "ordinary")
        assert comparable(light) == comparable(ordinary)
        assert light[1]["strict-transport-security"] == "max-age=60"

        # Redirected, or refused: by Django
        assert ways.send(Case("over HTTP"), "light")[0] == 599
        assert ways.send(Case("a strange host", headers={**secure, "Host": "elsewhere.example"}), "light")[0] == 599


def fresh_django() -> Any:
    """Middlewares read their settings when they are made."""
    from django.core.handlers.asgi import ASGIHandler

    return Door(ASGIHandler(), callers)


def test_an_error_that_nobody_foresaw_is_logged_with_the_requests_id_and_not_told(ways, caplog):
    # Given a version whose source can no longer be read
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_workflowversion DISABLE TRIGGER USER")
        WorkflowVersion.objects.update(source="steps: [")
        cursor.execute("ALTER TABLE workflows_workflowversion ENABLE TRIGGER USER")
    graph_of.cache_clear()

    status, _, problem = ways.send(Case("a good request"), "light")

    assert (status, problem["code"]) == (500, "internal-error")
    assert "steps" not in problem["detail"]
    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    (failed,) = [line for line in logged if line["event"] == "request_failed"]
    assert UUID(failed["request_id"])
    assert (failed["user_id"], failed["code"]) == ("key:test admin", 500)
    assert failed["request"] == f"POST {START}"
