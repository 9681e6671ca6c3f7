"""A vote in the console: its form has fields, and what is typed there is what is voted with."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from people.models import Vote
from tests.definitions import publish
from tests.fuzz import hostile
from tests.integration.test_console import cold, staff
from workflows import engine
from workflows.models import ApprovalTask

pytestmark = pytest.mark.django_db(transaction=True)
ASKS = """
name: learns
input: {type: object}
steps:
  ask:
    approval:
      title: What is learnt
      evidence: {reason: "<b>because</b>", drafts: [{to: "The authority"}], none: null}
      form:
        type: object
        additionalProperties: false
        required: [lessons]
        properties:
          severity: {enum: [low, high]}
          lessons: {type: string, maxLength: 2000}
          affected_records: {type: integer, minimum: 0}
          contained: {type: boolean}
          measures: {type: array, items: {type: object, required: [action]}}
      quorum: [{role: board, count: 3}]
"""


@pytest.fixture(autouse=True)
def nothing_is_known_yet() -> Iterator[None]:
    cold()
    yield
    cold()


@pytest.fixture
def asked() -> ApprovalTask:
    publish(ASKS)
    engine.start_runs("learns", [engine.StartRequest({})], principal="test")
    return ApprovalTask.objects.get()


def member(name: str = "ada") -> Client:
    client = staff("workflows.view_approvaltask", "people.add_vote", name=name)
    User.objects.get(username=name).groups.add(Group.objects.get_or_create(name="board")[0])
    return client


def sent(client: Client, task: ApprovalTask, **given: str) -> Any:
    fields = ("severity", "lessons", "affected_records", "contained", "measures")
    typed = {f"field-{number}": given.pop(name, "") for number, name in enumerate(fields)}
    whole = {"choice": "approve", "content_hash": task.content_hash, "comment": "", "form": "", **typed, **given}
    return client.post(reverse("console:vote", args=[task.pk]), whole)


def test_what_is_typed_into_the_fields_is_the_form_of_the_vote_and_is_shown(asked: ApprovalTask) -> None:
    client = member()
    page = client.get(reverse("console:approval", args=[asked.pk])).content.decode()
    for number, name in enumerate(("Severity", "Lessons", "Affected records", "Contained", "Measures")):
        assert f'<label for="field-{number}">{name}' in page
    assert "&lt;b&gt;because&lt;/b&gt;" in page
    assert "The authority" in page
    given = {"lessons": "Two keys", "affected_records": "12", "contained": "true", "measures": '[{"action": "cut"}]'}
    assert sent(client, asked, **given).status_code == 303
    form = {"lessons": "Two keys", "affected_records": 12, "contained": True, "measures": [{"action": "cut"}]}
    assert Vote.objects.get().form == form
    assert "Two keys" in client.get(reverse("console:approval", args=[asked.pk])).content.decode()
    # As JSON in one piece, which scripts and the pages of the release before send.
    assert sent(member("bob"), asked, form='{"lessons": "None"}').status_code == 303
    assert Vote.objects.last().form == {"lessons": "None"}  # type: ignore[union-attr]


def test_every_fault_is_named_and_what_was_typed_stays(asked: ApprovalTask) -> None:
    client = member()
    answer = sent(client, asked, affected_records="many", contained="maybe", measures="[", lessons="Kept & shown")
    text = answer.content.decode()
    assert answer.status_code == 422
    assert all(f"form.{name} " in text for name in ("affected_records", "contained", "measures"))
    assert "Kept &amp; shown" in text
    text = sent(client, asked, affected_records="-1").content.decode()
    assert "form.affected_records " in text
    assert "form.lessons" in text
    assert Vote.objects.count() == 0


def test_nothing_that_is_sent_breaks_a_vote(asked: ApprovalTask) -> None:
    client = member()
    odd = [
        *hostile.URL_TEXTS[::4],
        '{"lessons": "\\u0000"}',
        '{"lessons": "\\ud800"}',
        "[" * 500,
        '{"lessons": 1e999}',
        "99999999999999999999",
        "a\0b",
    ]
    for number, text in enumerate(odd):
        key = ("form", "measures", "affected_records", "lessons", "comment", "choice")[number % 6]
        for name in {key, "form", "measures"}:
            assert sent(client, asked, choice="maybe", **{name: text} if name != "choice" else {}).status_code == 422, (
                name,
                text,
            )
    for text in ('{"lessons": "\\u0000"}', '{"lessons": "x", "affected_records": 99999999999999999999}'):
        assert sent(client, asked, form=text).status_code == 422, text
    assert Vote.objects.count() == 0
