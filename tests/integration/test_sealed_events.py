"""Sensitive data of events: sealed when they are accepted, opened for the runs that they start, erased with its person.
A marked person is in no table, whatever the event's shape and whatever rules do with it."""

import base64
import logging
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from erip.access.scopes import Scope
from erip.foundation import keyring
from tests.definitions import publish
from tests.integration.test_privacy import entries
from tests.integration.test_secrets import everywhere
from tests.support.api import Api, key
from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows import engine
from workflows.core.blocks import decode
from workflows.core.cloudevents import Batch, read_batch
from workflows.errors import NotYetReadable
from workflows.events import active, gathering, sealing, subscriptions, types
from workflows.events.conf import conf
from workflows.events.effects import LoggedEvent, Round, Unavailable
from workflows.events.errors import SchemaIncompatible
from workflows.events.janitor import tidy_log
from workflows.events.models import Block, DeadLetter, Event, PendingEvent, PendingStart
from workflows.events.sealing import KeysEffect
from workflows.events.store.deliveries import claim_deliveries
from workflows.events.subscriptions import SubscriptionsEffect
from workflows.events.triggers import Triggers
from workflows.models import StepRun, Worker, WorkflowRun
from workflows.privacy import holds, persons
from workflows.privacy.errors import HeldForLaw, UnknownSubject
from workflows.privacy.models import DataKey, EventKey

pytestmark = pytest.mark.django_db(transaction=True)

TYPE = "acme.complaint"
TEXT = {"type": "string", "sensitive": True}
SCHEMA = {
    "type": "object",
    "properties": {
        "customer": {"type": ["string", "integer", "null", "object", "boolean"], "subject": True},
        "name": TEXT,
        "tags": {"type": "array", "items": TEXT},
        "deep": {"type": "object", "additionalProperties": {"type": "array", "prefixItems": [{}, TEXT]}},
        "any": {"sensitive": True},
        "severity": {"type": "string"},
        "others": {"type": "array", "items": {"type": "string", "subject": True}},
    },
}
INPUT = """\
input:
  type: object
  properties:
    customer: {type: string, subject: true}
    name: {type: string, sensitive: true, maxLength: 60}
    tags: {type: array, items: {type: string, sensitive: true}}
    severity: {type: string}
"""
ANSWERS = f"""\
name: answers
{INPUT}steps:
  greet: {{uses: sample.greet, with: {{name: "${{{{ input.name }}}}"}}}}
output: {{said: "${{{{ steps.greet.output.greeting }}}}", severity: "${{{{ input.severity }}}}"}}
on:
  - event: {TYPE}
    if: event.data.severity != 'low'
"""
HANDS_ON = {name: f"${{{{ event.data.{name} }}}}" for name in ("customer", "name", "tags", "severity")}


def answers(given: Any = None, more: str = "", **rule: Any) -> str:
    lines = [f"    {name}: {orjson.dumps(value).decode()}\n" for name, value in rule.items()]
    start = f"    input: {orjson.dumps(HANDS_ON if given is None else given).decode()}\n" if given != {} else ""
    return publish(ANSWERS + start + "".join(lines) + more)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    active.forget()
    types.forget()
    yield
    active.forget()
    types.forget()


@pytest.fixture
def marked() -> str:
    return f"Zebra-{uuid4()}"


@pytest.fixture
def registered() -> None:
    types.register(TYPE, SCHEMA, author="t")


def complaint(marked: str, **data: Any) -> dict[str, Any]:
    told = {"customer": f"c-{marked}", "name": marked, "tags": [marked, f"2 {marked}"], "severity": "high"}
    return event(type=TYPE, subject="case-1", data={**told, **data})


def send(*events: Mapping[str, Any]) -> Any:
    return Api(key(Scope.OPERATOR, f"sender {uuid4()}")).send(
        "POST", "/events", orjson.dumps(list(events)), Content_Type="application/cloudevents-batch+json"
    )


def take(*events: Mapping[str, Any]) -> None:
    """Send these events, and let them take effect."""
    answer = send(*events)
    assert answer.status_code == 202, answer.content
    consume()


def consume() -> None:
    with consuming(Triggers(), SubscriptionsEffect(), KeysEffect()):
        until(lambda: not Block.objects.exists(), seconds=60, what="the events have taken effect")


def stored() -> dict[str, Any]:
    return dict(orjson.loads(Event.objects.get().event))


def opened(row: Event) -> Any:
    answer = Api(key(Scope.ADMIN, f"dpo {uuid4()}")).post(
        f"/events/{row.partition}-{row.position}/open", {"reason": "complaint 7"}
    )
    assert answer.status_code == 200, answer.content
    return answer.json()["event"]["data"]


def test_it_is_sealed_opened_for_its_run_and_erased(
    registered: None, executor: Any, marked: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers()
    made = subscriptions.subscribe(url="https://hooks.example.com/x", types=["acme.*"], principal="t").subscription
    sent = complaint(marked, deep={"a": [1, marked]}, any={"x": [marked, {"y": marked}]})
    assert send(sent).status_code == 202
    (block,) = Block.objects.all()
    assert marked not in decode(bytes(block.body))[0].text.decode()
    assert everywhere(marked) == set()

    consume()
    assert marked not in caplog.text
    run = WorkflowRun.objects.get()
    executor.execute([str(run.pk)])

    row = Event.objects.get()
    data = stored()["data"]
    assert data["severity"] == "high"
    assert [*data["any"]] == [*data["name"]] == [*data["tags"][1]] == [*data["deep"]["a"][1]] == ["$sealed"]
    run.refresh_from_db()
    assert (run.state, run.output["severity"]) == ("SUCCEEDED", "high")
    read = persons.open_run(run.pk)
    assert read is not None
    assert read["output"]["said"] == f"Hello {marked}"
    assert read["input"] == {name: sent["data"][name] for name in HANDS_ON}
    (claimed,) = claim_deliveries(limit=9, in_flight=9, lease=60.0, limits={})
    assert (claimed.subscription_id, "$sealed" in (claimed.body or "")) == (str(made.pk), True)
    api = Api(key())
    place = f"{row.partition}-{row.position}"
    of_run = f"/runs/{run.pk}"
    pages = [f"/events/{place}", "/events", "/runs", of_run, f"{of_run}/event", f"{of_run}/events"]
    told = "".join(api.get(page).content.decode() for page in pages)
    assert "$sealed" in told
    assert marked not in told + (claimed.body or "")
    assert everywhere(marked) == set()
    assert opened(row) == sent["data"]

    dry = persons.erase(f"c-{marked}", by="t", reason="r", dry_run=True)
    assert (dry.runs, dry.events, dry.certificate) == (1, 1, None)
    assert persons.export(f"c-{marked}")["events"][0]["event"] == sent
    done = persons.erase(f"c-{marked}", by="t", reason="r", dry_run=False)
    assert done.certificate is not None
    assert (done.certificate["runs"], done.certificate["events"]) == (1, 1)
    assert opened(row) == {"customer": None, "name": None, "tags": [None, None], "severity": "high",
                           "deep": {"a": [None, None]}, "any": None}  # fmt: skip
    assert marked not in str(persons.open_run(run.pk))
    with pytest.raises(UnknownSubject):
        persons.export(f"c-{marked}")


def test_who_opens_an_event_may_do_so_says_why_and_is_in_the_audit_log(registered: None, marked: str) -> None:
    take(complaint(marked))
    row = Event.objects.get()
    place = f"/events/{row.partition}-{row.position}/open"

    for scope in (Scope.VIEWER, Scope.OPERATOR, Scope.AUTHOR):
        assert Api(key(scope, f"{scope}")).post(place, {"reason": "x"}).status_code == 403
    admin = Api(key(name="dpo"))
    assert admin.post(place, {}).status_code == 422
    assert admin.post("/events/0-99999/open", {"reason": "x"}).status_code == 404
    assert admin.post(place, {"reason": "complaint 7"}).json()["event"]["data"]["name"] == marked

    entry = entries()[-1]
    assert (entry["action"], entry["principal"], entry["reason"]) == ("openEvent", "key:dpo", "complaint 7")
    assert everywhere(marked) == set()


#: what a rule does with it; the code of its dead letter, and what that says
REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"if": "event.data.name != 'x'"}, "rule_failed", "event.data.name is sensitive"),
    ({"business_key": "${{ event.data.name }}"}, "rule_failed", "is sensitive"),
    ({"input": {"severity": "by ${{ event.data.name }}"}}, "rule_failed", "is sensitive"),
    ({"input": {"severity": "${{ event.data.any.x }}"}}, "rule_failed", "event.data.any is sensitive"),
    ({"input": {"severity": "${{ event.data.name }}"}}, "input_invalid", "only where the schema says"),
    ({"input": {"case": "${{ event }}"}}, "input_invalid", "only where the schema says"),
    ({"input": {"tags": "${{ event.data.name }}"}}, "input_invalid", "only where the schema says"),
    ({"input": {"name": "${{ event.data.any }}"}}, "input_invalid", "what is wrong is not said"),
)


def test_rules_that_would_show_it_make_dead_letters_that_do_not(registered: None, marked: str) -> None:
    text = ANSWERS.replace("    if: event.data.severity != 'low'\n", "")
    for number, (rule, _, _) in enumerate(REFUSED):
        lines = {"input": HANDS_ON, **rule}
        on = "".join(f"    {name}: {orjson.dumps(value).decode()}\n" for name, value in lines.items())
        publish(text.replace("name: answers", f"name: answers-{number}", 1) + on)

    take(complaint(marked, any={"x": marked * 3}))

    letters = {letter.target: letter for letter in DeadLetter.objects.all()}
    assert len(letters) == len(REFUSED)
    for number, (rule, code, said) in enumerate(REFUSED):
        letter = letters[f"answers-{number}"]
        assert (letter.code, said in letter.message) == (code, True), (rule, letter.message)
        assert marked not in letter.message + letter.event
    assert not WorkflowRun.objects.exists()
    assert everywhere(marked) == set()


def test_a_run_that_names_nobody_is_sealed_with_the_key_of_the_events_person(registered: None, marked: str) -> None:
    answers({"name": "${{ event.data.name }}"})
    take(complaint(marked))
    run = WorkflowRun.objects.get()

    assert persons.export(f"c-{marked}")["runs"][0]["input"] == {"name": marked}
    persons.erase(f"c-{marked}", by="t", reason="r", dry_run=False)

    read = persons.open_run(run.pk)
    assert read is not None
    assert read["input"] == {"name": None}


def test_an_event_waits_while_the_key_encryption_key_is_away(
    registered: None, marked: str, settings: Any, tmp_path: Any
) -> None:
    answers()
    file = tmp_path / "keys"
    file.write_text(f"one:{base64.b64encode(keyring.new_key()).decode()}\n")
    settings.ERIP_ENCRYPTION_KEYS_FILE = str(file)
    assert send(complaint(marked)).status_code == 202
    kept = file.read_text()
    file.write_text(f"two:{base64.b64encode(keyring.new_key()).decode()}\n")
    refused = send(complaint(marked))
    assert (refused.status_code, refused.json()["code"]) == (503, "encryption-key-missing")

    entry, now = decode(bytes(Block.objects.get().body))[0], timezone.now()
    logged = LoggedEvent(0, 0, now, now, entry.type, entry.source, entry.subject, entry.id, entry.text)
    with pytest.raises(Unavailable):
        Triggers().apply(Round([logged], 1))

    file.write_text(kept)
    consume()
    assert (WorkflowRun.objects.count(), DeadLetter.objects.count()) == (1, 0)


def test_an_event_of_an_erased_person_starts_nothing(registered: None, marked: str) -> None:
    answers()
    assert send(complaint(marked)).status_code == 202
    persons.erase(f"c-{marked}", by="t", reason="r", dry_run=False)

    consume()

    assert DeadLetter.objects.get().code == "data_erased"
    assert not WorkflowRun.objects.exists()
    assert everywhere(marked) == set()


def test_gathered_events_are_opened_when_their_run_starts(registered: None, marked: str) -> None:
    given = {"tags": "${{ events }}"}
    answers(given, collect={"for": "1h", "max": 9, "each": "${{ event.data.name }}"})

    take(complaint(marked), complaint(marked, name=f"second {marked}"))

    assert (PendingStart.objects.get().count, PendingEvent.objects.count()) == (2, 2)
    assert everywhere(marked) == set()
    PendingStart.objects.update(due_at="2020-01-01T00:00:00Z")
    gathering.start_due(until=float("inf"))
    read = persons.open_run(WorkflowRun.objects.get().pk)
    assert read is not None
    assert read["input"]["tags"] == [marked, f"second {marked}"]
    assert everywhere(marked) == set()


def test_events_about_several_persons_start_no_run_together(registered: None, marked: str) -> None:
    answers({"tags": "${{ events }}"}, collect={"for": "1h", "max": 9, "each": "${{ event.data.name }}"})
    take(complaint(marked), complaint(marked, customer="another"))
    PendingStart.objects.update(due_at="2020-01-01T00:00:00Z")

    gathering.start_due(until=float("inf"))

    assert {letter.code for letter in DeadLetter.objects.all()} == {"input_invalid"}
    assert "several persons" in DeadLetter.objects.all()[0].message
    assert everywhere(marked) == set()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_signal_of_an_event_is_opened_where_the_wait_seals_it(registered: None, marked: str, sealed: bool) -> None:
    told = "{type: string, sensitive: true}" if sealed else "{}"
    publish(
        "name: waits\ninput: {type: object}\nsteps:\n  told: {wait: {signal: facts, schema: {type: object, properties: "
        f"{{name: {told}}}}}}}}}\non:\n  - {{event: {TYPE}, action: signal, signal: facts, run: "
        '"${{ event.data.severity }}", payload: {name: "${{ event.data.name }}"}}\n'
    )
    run = engine.start_runs("waits", [engine.StartRequest({})], principal="t")[0].id

    take(complaint(marked, severity=run))

    assert everywhere(marked) == set()
    if not sealed:
        assert DeadLetter.objects.get().code == "input_invalid"
        return
    assert StepRun.objects.get().state == "SUCCEEDED"
    read = persons.open_run(WorkflowRun.objects.get().pk)
    assert read is not None
    assert read["steps"][0]["output"]["payload"] == {"name": marked}


def test_who_names_nobody_has_it_sealed_with_the_key_of_the_type(registered: None, marked: str) -> None:
    missing = complaint(marked)
    del missing["data"]["customer"]

    take(missing, *(complaint(marked, customer=nobody) for nobody in (None, True, {"id": "x"}, {})))

    assert DataKey.objects.get().subject is None
    assert not EventKey.objects.exists()
    assert everywhere(marked) == set()
    assert [opened(row)["name"] for row in Event.objects.all()] == [marked] * 5
    take(complaint(marked, customer=""))  # a text names somebody, even an empty one
    assert DataKey.objects.exclude(subject=None).count() == EventKey.objects.count() == 1


#: data, and what is said of it
SHAPES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": {"$sealed": "1.x"}}, "data.name"),
    ({"any": [{"deep": {"$sealed": "1.x"}}]}, "has a key $sealed"),
    ({"severity": "x", "more": {"$sealed": "1.x"}}, "has a key $sealed"),
    ({"tags": ["x"] * 1_000}, "sensitive values"),
    ({"tags": ["x", 7]}, "data.tags[1]"),
    ({"others": ["a", "b"]}, "several persons"),
    ({"name": ["nested"]}, "data.name"),
    ({"deep": []}, "data.deep"),
)


def test_shapes_that_cannot_be_sealed_are_refused_and_leave_nothing(registered: None, marked: str) -> None:
    api = Api(key(Scope.OPERATOR))
    for data, said in SHAPES:
        body = orjson.dumps([complaint(marked), complaint(marked, **data)])
        answer = api.send("POST", "/events", body, Content_Type="application/cloudevents-batch+json")
        assert (answer.status_code, said in answer.content.decode()) == (422, True), (data, answer.content)
        assert "[1]." in answer.json()["faults"][0]["path"]
    assert not Block.objects.exists()
    assert not DataKey.objects.exists()
    assert everywhere(marked) == set()


def test_data_that_is_not_an_object_is_sealed_as_a_whole(marked: str) -> None:
    types.register("acme.note", TEXT, author="t")
    types.register("acme.names", {"type": "array", "items": {"type": "string", "subject": True}}, author="t")

    take(event(type="acme.note", data=marked), event(type="acme.names", data=[marked]))

    assert everywhere(marked) == set()
    assert persons.export(marked)["events"][0]["event"]["data"] == [marked]
    (refused,) = send(event(type="acme.names", data=[marked, "another"])).json()["faults"]
    assert refused["path"] == "[0].data"


def test_what_is_copied_from_another_event_is_not_opened(registered: None, marked: str) -> None:
    """Whoever sees a sealed text sends it once more, in a type that nobody sealed."""
    take(complaint(marked))
    text = stored()["data"]["name"]
    publish(ANSWERS.replace(TYPE, "acme.free") + '    input: {name: "${{ event.data.name }}"}\n')
    active.forget()

    take(event(type="acme.free", data={"name": text, "severity": "high"}))

    assert not WorkflowRun.objects.exists()  # it fits no schema as it is
    assert DeadLetter.objects.get().code == "input_invalid"
    assert EventKey.objects.count() == 1
    (free,) = Event.objects.filter(type="acme.free")
    assert opened(free)["name"] is None
    assert everywhere(marked) == set()


def test_an_event_that_is_sent_again_is_the_same_event(registered: None, marked: str) -> None:
    answers()
    one = complaint(marked)
    take(one)
    take(one)

    assert (Event.objects.count(), WorkflowRun.objects.count(), EventKey.objects.count()) == (1, 1, 1)


def test_a_hold_on_everything_keeps_a_person_of_whom_there_are_events_alone(registered: None, marked: str) -> None:
    take(complaint(marked))
    number = holds.put(holds.Wanted("proceedings"), by="t").pk

    for dry_run in (True, False):
        with pytest.raises(HeldForLaw):
            persons.erase(f"c-{marked}", by="t", reason="r", dry_run=dry_run)
    holds.release(number, by="t")

    assert persons.erase(f"c-{marked}", by="t", reason="r", dry_run=False).events == 1


def test_where_an_event_was_is_forgotten_with_its_month(registered: None, marked: str, event_settings: Any) -> None:
    take(complaint(marked))
    with connection.cursor() as cursor:
        cursor.execute("SELECT events_make_log_month('2020-01-01')")
    EventKey.objects.update(logged_at="2020-01-07T00:00:00Z")
    event_settings(ERIP_KEEP_EVENT_MONTHS=1)

    tidy_log.do()

    assert not EventKey.objects.exists()


def test_events_of_other_types_ask_nothing_more(registered: None, marked: str) -> None:
    def batch(*events: Mapping[str, Any]) -> Batch:
        return read_batch(orjson.dumps(events), partitions=conf().partitions, most=100)

    many = batch(*(event() for _ in range(50)))
    before = {number: list(one) for number, one in many.partitions.items()}
    with CaptureQueriesContext(connection) as asked:
        sealing.seal(many)
    assert [one["sql"] for one in asked.captured_queries if "privacy" in one["sql"]] == []
    assert many.partitions == before
    first = batch(*(complaint(f"{marked}-{number}") for number in range(50)))
    sealing.seal(first)
    once = {number: list(one) for number, one in first.partitions.items()}
    sealing.seal(first)  # after a refusal for load
    assert first.partitions == once
    with CaptureQueriesContext(connection) as asked:
        sealing.seal(batch(*(complaint(f"{marked}-{number}") for number in range(50))))
    assert sum("privacy" in one["sql"] for one in asked.captured_queries) == 1  # fifty persons who are known


def test_the_register_of_processing_has_the_type(registered: None) -> None:
    types.register("acme.free", {"type": "object"}, author="t")

    found = {one.get("event_type"): one for one in Api(key()).get("/privacy/register").json()["items"]}

    assert found.keys() == {TYPE}
    where = {field["where"]: field["subject"] for field in found[TYPE]["fields"]}
    assert where.items() >= {"data.customer": True, "data.name": False, "data.tags[]": False, "data.any": False}.items()


def test_a_type_is_not_registered_while_a_worker_lives_that_cannot_open_it() -> None:
    with consuming():
        Worker.objects.update(level=8)
        with pytest.raises(NotYetReadable):
            types.register(TYPE, SCHEMA, author="t")
        types.register("acme.free", {"type": "object"}, author="t")
    Worker.objects.all().delete()
    types.register(TYPE, SCHEMA, author="t")


def test_a_version_that_says_sensitive_seals_from_then_on(marked: str) -> None:
    before = {"type": "object", "properties": {"name": {"type": "string"}}}
    types.register(TYPE, before, author="t")
    accept([event(type=TYPE, data={"name": "before"})])
    types.register(TYPE, {"type": "object", "properties": {"name": TEXT}}, author="t")
    take(event(type=TYPE, data={"name": marked}))

    assert everywhere(marked) == set()
    with pytest.raises(SchemaIncompatible) as refused:
        types.register(TYPE, before, author="t")
    assert "sensitive" in refused.value.faults[0].message
