"""Ways around the sealing of events: what a sender writes, what a schema leaves open, what a rule mixes up. Nothing of
a marked person is stored in the clear, nor sealed with a key that is not theirs, nor quoted in an error."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.definitions import publish
from tests.integration.test_sealed_events import (
    HANDS_ON,
    SCHEMA,
    TEXT,
    TYPE,
    answers,
    complaint,
    consume,
    fresh,
    marked,
    opened,
    registered,
    send,
    take,
)
from tests.integration.test_secrets import everywhere
from tests.support.api import Api, key
from tests.support.events import event
from workflows import engine
from workflows.events import janitor, types
from workflows.events.effects import LoggedEvent, Round
from workflows.events.errors import SchemaIncompatible, TypeInvalid
from workflows.events.models import Block, DeadLetter, Event
from workflows.events.sealing import KeysEffect
from workflows.models import RunSignal, StepRun, WorkflowRun
from workflows.privacy import keys, persons
from workflows.privacy.models import EventKey, RunKey

__all__ = ["fresh", "marked", "registered"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = f"""\
name: waits
input: {{type: object, properties: {{customer: {{type: string, subject: true}}, skip: {{type: boolean}}}}}}
steps:
  told:
    if: "!has(input.skip)"
    wait: {{signal: facts, schema: {{type: object, properties: {{name: {{type: string, sensitive: true}}}}}}}}
  rest: {{wait: {{signal: rest}}}}
on:
  - event: {TYPE}
    action: signal
    signal: facts
    run: "${{{{ event.data.severity }}}}"
    payload: {{name: "${{{{ event.data.name }}}}"}}
"""


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ({"subject": "$sealed"}, {}),
        ({}, {"note": "$sealed"}),
        ({}, {"name": "$sealed"}),
    ],
)
def test_no_text_of_the_sender_switches_sealing_off(
    registered: None, marked: str, attributes: dict[str, str], data: dict[str, str]
) -> None:
    sent = {**complaint(marked, **data), **attributes}

    take(sent, complaint(marked))

    assert everywhere(marked) == set()
    row = Event.objects.get(event_id=sent["id"], source=sent["source"])
    assert opened(row) == sent["data"]


@pytest.mark.parametrize(
    ("schema", "sent", "path"),
    [
        ({"type": ["object", "null", "number"], "properties": {"name": TEXT}}, {"data_base64": "QW5u"}, "data_base64"),
        ({"type": ["object", "null", "number"], "properties": {"name": TEXT}}, {"data": 4711}, "data"),
        (
            {"type": "object", "properties": {"who": {"properties": {"name": TEXT}}}},
            {"data": {"who": "Zebra"}},
            "data.who",
        ),
        (
            {"type": "object", "properties": {"all": {"type": "array", "items": {"properties": {"name": TEXT}}}}},
            {"data": {"all": [{"name": "x"}, "Zebra"]}},
            "data.all[1]",
        ),
        (TEXT | {"type": ["string", "null"]}, {"data_base64": "QW5u"}, "data_base64"),
    ],
)
def test_data_of_another_shape_is_not_taken_unsealed(schema: Any, sent: dict[str, Any], path: str) -> None:
    types.register("acme.open", schema, author="t")
    one = {name: value for name, value in event(type="acme.open").items() if name != "data"} | sent

    answer = send(one)

    assert answer.status_code == 422, answer.content
    assert [fault["path"] for fault in answer.json()["faults"]] == [f"[0].{path}"]
    assert not Block.objects.exists()


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"name": TEXT}},
        {"type": ["object", "string"], "properties": {"name": TEXT}},
        {"anyOf": [{"type": "string"}, {"type": "array", "items": TEXT}]},
    ],
)
def test_a_type_does_not_accept_a_text_in_place_of_what_is_sealed(schema: Any) -> None:
    with pytest.raises(TypeInvalid):
        types.register("acme.open", schema, author="t")


def test_a_version_unmarks_nothing_and_what_it_marks_anew_is_found(registered: None, marked: str) -> None:
    assert send(complaint(marked)).status_code == 202
    properties = {**SCHEMA["properties"], "name": {"type": "string"}}  # type: ignore[dict-item]
    with pytest.raises(SchemaIncompatible) as refused:
        types.register(TYPE, {**SCHEMA, "properties": properties}, author="t")
    assert ["data.name" in fault.message for fault in refused.value.faults] == [True]
    types.register(TYPE, {**SCHEMA, "sensitive": True}, author="t")

    consume()  # what came in before it, sealed part by part
    take(complaint(marked))

    assert EventKey.objects.count() == 2
    assert everywhere(marked) == set()
    assert len(persons.export(f"c-{marked}")["events"]) == 2


def waiting(**input: Any) -> str:
    """A run that waits for the signal; about somebody only if the input says so."""
    publish(WAITS if "customer" in input else WAITS.replace(", subject: true", ""))
    return engine.start_runs("waits", [engine.StartRequest(input)], principal="t")[0].id


def test_a_signal_about_another_person_than_the_run_is_not_given(registered: None, marked: str) -> None:
    run = waiting(customer="b")

    take(complaint(marked, severity=run))

    letter = DeadLetter.objects.get()
    assert (letter.code, "another person" in letter.message) == ("input_invalid", True)
    assert marked not in letter.message + letter.event
    assert StepRun.objects.get(step="told").state == "WAITING"
    assert not RunSignal.objects.exists()
    take(complaint(marked, customer="b", severity=run))
    assert StepRun.objects.get(step="told").state == "SUCCEEDED"


def test_a_run_that_is_about_nobody_yet_is_erased_with_whom_a_signal_is_about(registered: None, marked: str) -> None:
    run = waiting()
    take(complaint(marked, severity=run))
    assert StepRun.objects.get(step="told").state == "SUCCEEDED"
    assert [one["id"] for one in persons.export(f"c-{marked}")["runs"]] == [run]

    persons.erase(f"c-{marked}", by="t", reason="r", dry_run=False)

    read = persons.open_run(WorkflowRun.objects.get().pk)
    assert read is not None
    assert marked not in str(read)


def test_a_signal_that_nobody_wants_leaves_the_run_about_nobody(registered: None, marked: str) -> None:
    run = waiting(skip=True)

    take(complaint(marked, severity=run))

    assert DeadLetter.objects.get().code == "signal_not_wanted"
    assert not RunKey.objects.exists()


def test_an_input_that_names_another_person_than_the_event_starts_nothing(registered: None, marked: str) -> None:
    answers({**HANDS_ON, "customer": "b"})

    take(complaint(marked), complaint(marked, customer="b"))

    letter = DeadLetter.objects.get()
    assert (letter.code, "another person" in letter.message) == ("input_invalid", True)
    assert marked not in letter.message + letter.event
    assert WorkflowRun.objects.count() == RunKey.objects.count() == 1
    assert persons.export("b")["runs"][0]["input"]["name"] == marked


def test_the_sensitive_values_of_a_request_are_bounded(
    registered: None, marked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(types, "MOST_SEALED_AT_ONCE", 8)  # two events

    refused = send(*(complaint(marked) for _ in range(3)))
    taken = send(*(complaint(marked) for _ in range(2)))

    (fault,) = refused.json()["faults"]
    assert (refused.status_code, fault["path"]) == (422, "[2].data")
    assert "send fewer events" in fault["message"]
    assert taken.status_code == 202


def test_errors_do_not_quote_what_is_sensitive(marked: str) -> None:
    short = {"type": "object", "properties": {"name": {**TEXT, "maxLength": 5}}}
    types.register("acme.short", short, author="t")
    answers()
    waiting()
    run = str(WorkflowRun.objects.get().pk)
    publish(WAITS.replace("sensitive: true", "sensitive: true, maxLength: 5").replace("name: waits", "name: short"))
    other = engine.start_runs("short", [engine.StartRequest({})], principal="t")[0].id
    api = Api(key())

    told = [
        send(event(type="acme.short", data={"name": marked})),
        api.post("/workflows/answers/runs", {"input": {"name": marked * 2}}),
        api.post(f"/runs/{run}/signals/facts", {"payload": {"name": [marked]}}),
        api.post(f"/runs/{other}/signals/facts", {"payload": {"name": marked}}),
    ]

    for answer in told:
        assert answer.status_code == 422, answer.content
        assert marked not in answer.content.decode()
        assert "sensitive" in answer.content.decode()


def test_rows_of_keys_are_locked_so_that_runs_may_refer_to_them(registered: None, marked: str) -> None:
    take(complaint(marked))
    with CaptureQueriesContext(connection) as asked:
        keys.wrap_anew()
        persons.erase(f"c-{marked}", by="t", reason="r", dry_run=False)

    locks = [one["sql"] for one in asked.captured_queries if "privacy_datakey" in one["sql"] and " FOR " in one["sql"]]
    assert len(locks) == 2
    assert all("FOR NO KEY UPDATE" in one for one in locks)


def test_an_event_that_is_retried_is_noted_of_its_person(registered: None, marked: str) -> None:
    take(complaint(marked))
    EventKey.objects.all().delete()
    row = Event.objects.get()
    again = LoggedEvent(row.partition, row.position, row.logged_at, row.logged_at, row.type, row.source, row.subject,
                        row.event_id, str(row.event).encode(), "privacy")  # fmt: skip

    with transaction.atomic():
        KeysEffect().apply(Round([again], 1))

    assert EventKey.objects.count() == 1


def test_an_event_of_no_registered_type_does_not_have_all_types_compiled_anew(
    registered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(types, "LOOK_AGAIN", -1.0)
    before = types.sealed()

    assert types.known_as_sealed("acme.free") is None
    assert types.sealed() is before
    types.register("acme.late", {"type": "object", "properties": {"name": TEXT}}, author="t")
    assert types.known_as_sealed("acme.late") is not None


def test_places_are_forgotten_when_the_log_is_free_again(
    registered: None, marked: str, event_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(complaint(marked))
    with connection.cursor() as cursor:
        cursor.execute("SELECT events_make_log_month('2020-01-01')")
    within: list[bool] = []
    monkeypatch.setattr("workflows.events.janitor.events.forget", lambda *_: within.append(connection.in_atomic_block))
    event_settings(ERIP_KEEP_EVENT_MONTHS=1)

    janitor.tidy_log.do()

    assert within == [False]
