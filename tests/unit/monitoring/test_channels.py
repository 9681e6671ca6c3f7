"""What each kind of channel is sent: the shapes that the receivers document, whatever others wrote into an alert."""

import json
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.channels import Destination, email, fault_of, pagerduty, slack, teams
from monitoring.messages import impact_of

KEY = "0123456789abcdef0123456789ABCDEF"
HOSTILE = [
    "<!channel> <@U123> <https://evil.example|click> & *bold*",
    "[click](https://evil.example) **bold** `code` # head",
    "line\nbreak\r\n\x00\x1b[31m \u202eright to left\u202c \ud800",
    "x" * 5_000,
    "&" * 5_000,
    "🔥" * 3_000,
]


def message(text: str = "Much waits", *, alerts: int = 1, state: str = "firing", **changes: Any) -> dict[str, Any]:
    alert = {
        "rule": "much-waits", "labels": {"lane": text}, "number": 1, "group": "g1", "state": state, "severity": "page",
        "summary": text, "value": 3.0, "since": "2026-11-26T01:11:59Z", "runbook": "https://wiki.example/a|b>c",
    }  # fmt: skip
    return {
        "type": "erip.alert", "state": state, "severity": "page", "cause": text, "title": text,
        "at": "2026-11-26T01:12:04Z", "impact": impact_of({}), "escalation": None, "closes": [],
        "causes": [{"component": text, "evidence": [text] * 8}] * 3,
        "alerts": [{**alert, "group": f"g{number}"} for number in range(alerts)], **changes,
    }  # fmt: skip


texts = st.sampled_from(HOSTILE) | st.text(max_size=400)
messages = st.builds(
    message,
    texts,
    alerts=st.sampled_from([0, 1, 2, 11, 60]),
    state=st.sampled_from(["firing", "resolved", "acknowledged", "test"]),
)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=40)
@given(messages)
def test_slack_gets_blocks_within_its_limits_that_call_nobody(body: dict[str, Any]) -> None:
    made = json.loads(json.dumps(slack.document(body)))
    assert 0 < len(made["blocks"]) <= 50
    assert made["text"]
    for block in made["blocks"]:
        elements = block["elements"] if block["type"] == "context" else [block["text"]]
        for element in elements:
            limit = 150 if block["type"] == "header" else 3_000
            assert 0 < len(element["text"]) <= limit
            if element["type"] == "mrkdwn":
                # The one link that there is: nothing of it ends it before its end.
                assert re.fullmatch(r"<https://[^<>|\s]+\|What to do>", element["text"])
            else:
                assert element["type"] == "plain_text"
                assert not re.search(r"[<>]", element["text"])
                assert not re.search(r"&(?!amp;|lt;|gt;)", element["text"])
    assert not re.search(r"[<>]", made["text"])


@settings(max_examples=40)
@given(messages)
def test_teams_gets_a_card_within_its_limit_whose_texts_are_no_markdown(body: dict[str, Any]) -> None:
    made = teams.document(body)
    assert len(json.dumps(made, ensure_ascii=False).encode()) <= 28 * 1024
    (attachment,) = made["attachments"]
    assert (made["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    # TextBlock and FactSet would read Markdown.
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert all(action["url"].startswith("https://") for action in card.get("actions", ()))


@settings(max_examples=40)
@given(messages, st.lists(st.sampled_from(["g0", "g500"]), unique=True))
def test_pagerduty_gets_events_within_its_limits(body: dict[str, Any], closes: list[str]) -> None:
    for event in pagerduty.events(KEY, uuid4(), {**body, "closes": closes}):
        assert event["event_action"] in ("trigger", "acknowledge", "resolve")
        assert event["routing_key"] == KEY
        assert 0 < len(event["dedup_key"]) <= 255
        assert len(json.dumps(event)) < 512 * 1024
        if event["event_action"] == "trigger":
            payload = event["payload"]
            assert 0 < len(payload["summary"]) <= 1_024
            assert payload["severity"] in ("critical", "error", "warning", "info")
            assert payload["source"]


def actions(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(event["event_action"], event["dedup_key"]) for event in pagerduty.events(KEY, UUID(int=1), body)]


def test_an_incident_is_a_group_and_ends_with_its_last_alert() -> None:
    one = message(alerts=2)
    for alert in one["alerts"]:
        alert["group"] = "g"
    assert actions(one) == [("trigger", "erip-g")]
    assert actions({**one, "state": "acknowledged"}) == [("acknowledge", "erip-g")]
    ended = message(alerts=1, state="resolved")
    assert actions(ended) == []
    assert actions({**ended, "closes": ["g"]}) == [("resolve", "erip-g")]
    assert actions(message(alerts=0, state="test")) == [
        ("trigger", f"erip-{UUID(int=1)}"), ("resolve", f"erip-{UUID(int=1)}")
    ]  # fmt: skip


@settings(max_examples=40)
@given(messages)
def test_no_control_character_reaches_a_reader(body: dict[str, Any]) -> None:
    made = [*strings(slack.document(body)), *strings(teams.document(body)), email.text(body)]
    made += [text for event in pagerduty.events(KEY, uuid4(), body) for text in strings(event)]
    assert not [text for text in made if re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)]


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert "Steps that wait: unknown" in email.text(message(impact={"database": "away: what waits is unknown"}))
    assert "Steps that wait: none" in email.text(message(impact={"waiting_steps": {"bulk": 0.0}}))


def test_a_call_says_which_one_it_is_also_where_the_title_is_cut() -> None:
    body = message("x" * 500, escalation={"ladder": "default", "rung": 2, "of": 3})
    assert slack.document(body)["blocks"][0]["text"]["text"].endswith("(call 2 of 3)")


@pytest.mark.parametrize(
    "to",
    [
        Destination("slack", "ftp://hooks.slack.com/services/T0/B0/tellnobody"),
        Destination("teams", "https://user:tellnobody@prod.example/x"),
        Destination("webhook", "https://example.org/tellnobody", "no secret: tellnobody"),
        Destination("pagerduty", "", "tellnobody"),
        Destination("mail", "no address"),
        Destination("fax", "tellnobody"),
    ],
)
def test_what_can_never_be_reached_is_named_without_its_secret(to: Destination) -> None:
    fault = fault_of(to)
    assert fault
    assert "tellnobody" not in fault
    assert "tellnobody" not in repr(to)
