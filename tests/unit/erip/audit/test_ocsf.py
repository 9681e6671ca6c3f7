"""Entries of the audit log as events of OCSF 1.3.0."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erip.audit.ocsf import event, ocsf_lines
from erip.audit.reading import Found

AT = datetime(2026, 11, 26, 20, 30, tzinfo=UTC)
#: https://schema.ocsf.io/1.3.0/classes/api_activity and .../authentication: what an event must have
REQUIRED = {
    6003: {
        "activity_id",
        "actor",
        "api",
        "category_uid",
        "class_uid",
        "metadata",
        "severity_id",
        "src_endpoint",
        "time",
    },
    3002: {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "user", "service"},
}
MEMBERS = ("kind", "door", "action", "principal", "object", "from", "request", "reason", "outcome", "status", "runs")


def found(**body: Any) -> Found:
    return Found(7, AT, "erip", orjson.dumps(body).decode(), None)


@given(
    st.sampled_from(["sign-in: provider", "sign-out", "createApiKey", 5, ""]),
    st.dictionaries(st.sampled_from(MEMBERS), st.text(max_size=30) | st.integers(0, 9), max_size=len(MEMBERS)),
)
def test_whatever_an_entry_holds_its_event_has_what_the_class_requires_and_loses_nothing(action, body):
    body.setdefault("action", action)
    (line,) = ocsf_lines([found(**body)])
    assert line.count("\n") == 1
    told = orjson.loads(line)
    assert REQUIRED[told["class_uid"]] <= told.keys()
    assert told["type_uid"] == told["class_uid"] * 100 + told["activity_id"]
    assert told["metadata"]["product"]["vendor_name"]
    assert told["metadata"]["version"] == "1.3.0"
    assert told["actor"]["user"]["name"]
    assert told["time"] == 1_795_725_000_000
    for name in ("kind", "door", "runs"):
        assert body.get(name) == told.get("unmapped", {}).get(name)
    for name in ("principal", "object", "from", "request", "reason", "action"):
        if body.get(name):
            assert str(body[name]) in _texts(told)


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    if isinstance(value, list):
        return set().union(*map(_texts, value))
    return {str(value)}


@pytest.mark.parametrize(
    ("action", "activity"),
    [
        ("createApiKey", 1),
        ("startRun", 1),
        ("admin:access_apikey_add", 1),
        ("searchAudit", 2),
        ("putSecret", 3),
        ("admin:access_apikey_change", 3),
        ("deleteSpace", 4),
        ("command:audit export", 99),
        ("cancelRun", 99),
        ("", 99),
    ],
)
def test_the_name_of_an_operation_says_what_it_does_or_it_is_other(action, activity):
    told = event(found(action=action, principal="key:ci"))
    assert told["activity_id"] == activity
    assert activity != 99 or told["activity_name"] == action
    assert told["api"]["operation"] == action


def test_a_refused_sign_in_is_a_failed_logon():
    told = event(found(action="sign-in", principal="user:ada", outcome="refused", status=403, **{"from": "192.0.2.7"}))
    assert (told["class_uid"], told["type_uid"]) == (3002, 300201)
    assert (told["status"], told["status_detail"], told["status_code"]) == ("Failure", "refused", "403")
    assert told["user"] == {"name": "ada", "uid": "user:ada", "type_id": 1, "type": "User"}
    assert told["src_endpoint"] == {"ip": "192.0.2.7"}


def test_what_the_log_says_of_itself_is_severe():
    assert event(found(kind="finding", action="audit.forged", principal="platform"))["severity_id"] == 4
