"""The OpenAPI document, the page that shows it, the probes, and the headers that go with every answer."""

import re

import jsonschema
import pytest
from django.db import OperationalError, connection, connections
from django.test import Client
from django.urls import get_resolver

from erip import health

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def document():
    import orjson

    from erip.foundation.http.documents import _document

    return orjson.loads(_document())


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_openapi_3_1_and_needs_no_key():
    answer = Client().get("/api/schema")

    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1")


def addresses(patterns, before="/"):
    """The API's endpoints, as the router knows them."""
    for pattern in patterns:
        address = before + re.sub("<[^>]*?([^:>]+)>", r"{\1}", str(pattern.pattern))
        if hasattr(pattern, "url_patterns"):
            yield from addresses(pattern.url_patterns, address)
        elif address.startswith("/api/v1/"):
            yield pattern, address


def test_every_operation_says_how_it_fails(document):
    for name, operation in operations(document):
        answers = operation["responses"]
        assert {"400", "401", "403", "503"} <= set(answers), name
        assert "{" not in name or "404" in answers, name
        for status, answer in answers.items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
                assert answer["description"]


def test_every_operation_has_a_name_a_summary_and_its_scope(document):
    names = [operation["operationId"] for _, operation in operations(document)]

    assert len(names) == len(set(names))
    for name, operation in operations(document):
        assert operation["summary"], name
        assert re.search(r"; scope `(viewer|operator|author|admin)`", operation["description"]), name


def test_every_address_of_the_api_is_in_the_document(document):
    there = set()
    for pattern, address in addresses(get_resolver().url_patterns):
        view = pattern.callback.view_class
        for method in ("get", "post", "put", "patch", "delete"):
            # A file for download is no operation: its address is in the document of what it is a file of.
            if hasattr(view, method) and not address.endswith(".{suffix}"):
                there.add(f"{method.upper()} {address}")

    assert len(there) > 40
    assert {name for name, _ in operations(document)} == there


def test_the_schemas_are_json_schemas(document):
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema), name


def test_the_docs_page_loads_nothing_from_elsewhere():
    page = Client().get("/api/docs")

    assert page.status_code == 200
    assert re.findall(r'(?:src|href)="(https?:)?//', page.content.decode()) == []
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy


def test_only_the_admin_may_evaluate_scripts():
    assert "'unsafe-eval'" in Client().get("/admin/login/").headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/api/docs", "/admin/login/", "/api/v1/runs", "/health/live"])
def test_every_answer_has_the_security_headers(path):
    headers = Client().get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.fixture
def nothing_known():
    health.forget()
    yield
    health.forget()


def test_a_live_process_says_so():
    answer = Client().get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_ready_process_names_its_database_and_broker(nothing_known):
    answer = Client().get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "database": "ok", "broker": "ok"}


def test_a_broker_that_is_away_is_a_degraded_process(nothing_known, monkeypatch):
    monkeypatch.setattr(health.celery.conf, "broker_url", "redis://127.0.0.1:1/0")

    answer = Client().get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "database": "ok", "broker": "unreachable"}


def refuse(*_):
    raise OperationalError("the server closed the connection unexpectedly")


def test_a_database_that_is_away_is_503_everywhere_and_never_500(nothing_known, monkeypatch):
    monkeypatch.setitem(connections.databases["default"], "PORT", "1")
    monkeypatch.setattr(connection, "cursor", refuse)
    monkeypatch.setattr(connection, "ensure_connection", refuse)
    client = Client(raise_request_exception=False)

    probe = client.get("/health/ready")
    call = client.get("/api/v1/runs", headers={"Authorization": "Bearer erip_abcdefgh_" + "a" * 40})

    assert (probe.status_code, probe.json()["database"]) == (503, "unreachable")
    assert (call.status_code, call.json()["code"]) == (503, "database-unavailable")
    assert call.headers["Retry-After"] == "2"
