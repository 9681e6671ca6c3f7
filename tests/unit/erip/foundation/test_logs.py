"""What a log says of an error: where, of what class, and never with the value that was wrong."""

import ast
import json
import logging
from pathlib import Path

import psycopg2
import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, IntegrityError, OperationalError
from pydantic import BaseModel, ValidationError

from erip.foundation.logs import Formatter, WithoutData, shown, summary, trace_of, without_data
from erip.foundation.outbound.addresses import Unresolved
from erip.ops.stack.state import ROOT

MARK = "zebra-stripes"


class Sized(BaseModel):
    size: int


def caught(error):
    try:
        raise error
    except type(error) as found:
        return found


def invalid():
    try:
        Sized(size=MARK)
    except ValidationError as error:
        return error
    raise AssertionError


def from_psycopg2(kind, state, text):
    error = kind(text)
    source = type("Source", (psycopg2.DatabaseError,), {"pgcode": state})(text)
    error.__cause__ = source
    return error


QUOTING = [
    ValueError(f"invalid literal: {MARK}"),
    KeyError(MARK),
    TypeError(MARK),
    invalid(),
    json.JSONDecodeError(MARK, MARK, 0),
    UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, MARK),
    Unresolved(f"{MARK}.example cannot be resolved"),
    from_psycopg2(IntegrityError, "23505", f"duplicate key\nDETAIL:  Key (business_key)=({MARK})"),
    from_psycopg2(DataError, "22P02", f'invalid input syntax for type integer: "{MARK}"'),
    AssertionError(MARK),
    RuntimeError(MARK),
    Exception(MARK),
]
TELLING = [
    (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
    (OperationalError("could not connect to server"), "could not connect"),
    (from_psycopg2(OperationalError, "57P01", "terminating connection"), "terminating connection"),
    (from_psycopg2(OperationalError, "53300", "too many connections"), "too many connections"),
    (ImproperlyConfigured("set ERIP_SECRET_KEY"), "set ERIP_SECRET_KEY"),
    (AttributeError("no attribute 'x'"), "no attribute"),
]


@pytest.mark.parametrize("error", QUOTING, ids=lambda error: type(error).__name__)
def test_an_error_that_may_quote_a_value_is_named_without_its_text(error):
    found = caught(error)
    assert MARK not in summary(found)
    assert type(error).__name__ in summary(found)
    whole = trace_of(type(found), found, found.__traceback__)
    assert MARK not in whole
    assert "in caught" in whole


@pytest.mark.parametrize(("error", "text"), TELLING, ids=lambda one: type(one).__name__)
def test_an_error_about_the_machine_keeps_its_text(error, text):
    assert text in summary(error)


def test_what_an_error_came_of_is_shown_in_the_same_way():
    try:
        try:
            raise ValueError(MARK)
        except ValueError as first:
            raise KeyError(MARK) from first
    except KeyError as error:
        whole = trace_of(type(error), error, error.__traceback__)
    assert MARK not in whole
    assert "ValueError" in whole
    assert "KeyError" in whole


def test_addresses_are_shown_without_query_login_and_token():
    for text in (
        f"GET /reports/{MARK}",
        f"GET /reports/{MARK}.md",
        f"https://hooks.example/x?token={MARK}",
        f"redis://user:{MARK}@h:1/0",
        f"GET /api/v1/runs?cursor={MARK}",
    ):
        assert MARK not in shown(text), text
    assert shown("https://hooks.example/x") == "https://hooks.example/x"


def test_structlogs_events_hold_no_error_text():
    event = without_data(None, "error", {"event": "x", "error": ValueError(MARK), "exc_info": caught(KeyError(MARK))})
    assert MARK not in json.dumps(event)
    assert event["error"] == "ValueError"
    assert "in caught" in event["exception"]


def test_messages_of_libraries_that_quote_callers_are_patterns():
    def record(name, message, *args):
        made = logging.LogRecord(name, logging.WARNING, "file", 1, message, args, None)
        assert WithoutData().filter(made)
        return made.getMessage()

    assert MARK not in record("axes.handlers.database", "Login failure by %s", MARK)
    assert MARK not in record("celery.worker.consumer.consumer", "Received unknown message.\n\nBody: %s", MARK)
    assert MARK not in record("django.security.DisallowedHost", "Invalid HTTP_HOST header: %r", MARK)
    assert MARK not in record("any", "failed: %s", ValueError(MARK))
    assert record("any", "started %s", "worker") == "started worker"


def test_gunicorns_log_is_the_same():
    made = logging.LogRecord("gunicorn.error", logging.ERROR, "file", 1, "failed: %s", (ValueError(MARK),), None)
    found = caught(ValueError(MARK))
    made.exc_info = (type(found), found, found.__traceback__)
    text = Formatter("%(message)s").format(made)
    assert MARK not in text
    assert "in caught" in text


def test_the_settings_use_it_for_everything():
    from erip.settings.logs import LOGGING

    assert without_data in LOGGING["formatters"]["json"]["processors"]
    assert structlog.processors.format_exc_info not in LOGGING["formatters"]["json"]["processors"]
    assert all("without_data" in handler["filters"] for handler in LOGGING["handlers"].values())


def test_no_code_hands_the_text_of_an_error_to_a_log():
    """The sweep: `error=error`, never `error=str(error)`, at any level of any logger."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    found = []
    for package in ("erip", "workflows", "monitoring"):
        for path in Path(ROOT, package).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                    continue
                logger = ast.unparse(call.func.value).rpartition(".")[2]
                if call.func.attr not in levels or logger not in {"log", "logger", "_log", "LOG"}:
                    continue
                words = [*call.args, *(keyword.value for keyword in call.keywords)]
                if any("str(error" in ast.unparse(word) or "str(failure" in ast.unparse(word) for word in words):
                    found.append(f"{path}:{call.lineno}")
    assert found == []
