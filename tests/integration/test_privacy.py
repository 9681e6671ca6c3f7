"""Sensitive data: sealed before it is stored, opened for bodies and for those who may, erased with its key."""

import io
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now

from erip.access.scopes import Scope
from erip.ops.stack.state import ROOT
from tests.definitions import publish
from tests.integration.test_secrets import everywhere
from tests.support.api import Api, key
from tests.unit.docs.blocks import blocks_of
from workflows import engine, queries
from workflows.errors import InvalidInput
from workflows.models import StepRun, WorkflowRun
from workflows.privacy import keys, persons
from workflows.privacy.errors import DataErased, HeldForLaw, UnknownSubject
from workflows.privacy.models import DataKey, Erasure, RunKey

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = ROOT / "docs/how-to/sensitive-data.md"
GREETS = """\
name: greets
input:
  type: object
  properties:
    person_id: {type: string, subject: true, title: Customer number}
    name: {type: string, sensitive: true, purpose: to greet, basis: contract}
    case: {type: string}
steps:
  greet: {uses: sample.greet, with: {name: "${{ input.name }}"}}
  each: {uses: sample.greet, foreach: [1, 2], with: {name: "${{ input.name }}"}, needs: [greet]}
  again: {uses: sample.greet, needs: [greet], with: {name: "${{ steps.greet.output.greeting }}"}}
output:
  said: "${{ steps.again.output.greeting }}"
  length: "${{ steps.greet.output.length }}"
  case: "${{ input.case }}"
"""


def about(person: str, name: str) -> dict[str, str]:
    return {"person_id": person, "name": name, "case": "C-1"}


@pytest.fixture
def person() -> tuple[str, str]:
    """What names a person, and their name."""
    return f"customer-{uuid4()}", f"Zebra-{uuid4()}"


def entries() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry ORDER BY id")
        return [orjson.loads(body) for (body,) in cursor.fetchall()]


def test_bodies_get_it_and_nothing_of_it_is_stored(run_to_end, person) -> None:
    publish(GREETS)

    run = run_to_end("greets", about(*person))

    assert run.state == "SUCCEEDED"
    assert (run.output["length"], run.output["case"]) == (len(person[1]), "C-1")
    assert everywhere(person[0]) | everywhere(person[1]) == set()
    assert everywhere("$sealed") >= {"workflows_workflowrun", "workflows_steprun"}
    opened = persons.open_run(run.pk)
    assert opened is not None
    assert opened["input"] == about(*person)
    assert opened["output"]["said"] == f"Hello Hello {person[1]}"
    assert {step["output"]["greeting"] for step in opened["steps"] if step["step"] == "greet"} == {f"Hello {person[1]}"}


def test_an_error_and_an_undeclared_output_hold_none_of_it(run_to_end, person) -> None:
    publish(GREETS.replace("greet, with: {name", "greet, with: {fail: true, name"))
    failed = run_to_end("greets", about(*person))
    publish(GREETS.replace("greet, with: {name", "greet, with: {undeclared: true, name"))
    refused = run_to_end("greets", about(*person))

    steps = [queries.run_detail(str(run.pk))["steps"][0] for run in (failed, refused)]
    assert [step["error"]["message"][:20] for step in steps] == ["nobody is called ***", "the output holds sens"[:20]]
    assert everywhere(person[1]) == set()


def test_what_a_person_says_in_place_of_a_body_is_sealed_like_its_output(executor, person) -> None:
    publish(GREETS)
    run = engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")[0].id
    StepRun.objects.filter(run=run, step="greet").update(state="UNKNOWN", attempt=1, started_at=Now())

    said = {"greeting": f"Hi {person[1]}", "length": 1}
    engine.resolve_step(run, "greet", outcome="succeeded", principal="t", output=said)

    steps = {step["step"]: step for step in persons.open_run(UUID(run))["steps"]}  # type: ignore[index]
    assert steps["greet"]["output"]["greeting"] == f"Hi {person[1]}"
    assert everywhere(person[1]) == set()


def test_who_may_open_a_run_says_why_and_the_audit_log_keeps_it(run_to_end, person) -> None:
    publish(GREETS)
    run = run_to_end("greets", about(*person))
    admin = Api(key(name="dpo"))

    shown = admin.get(f"/runs/{run.pk}")
    for scope in (Scope.VIEWER, Scope.OPERATOR, Scope.AUTHOR):
        assert Api(key(scope)).post(f"/runs/{run.pk}/open", {"reason": "x"}).status_code == 403
    without = admin.post(f"/runs/{run.pk}/open", {})
    opened = admin.post(f"/runs/{run.pk}/open", {"reason": "complaint 7"})

    assert person[1] not in shown.content.decode()
    assert without.status_code == 422
    assert opened.json()["input"] == about(*person)
    entry = entries()[-1]
    assert (entry["action"], entry["principal"], entry["reason"]) == ("openRun", "key:dpo", "complaint 7")
    assert everywhere(person[1]) == set()


def test_a_person_is_exported_erased_and_then_found_nowhere(run_to_end, person) -> None:
    publish(GREETS)
    other = (f"customer-{uuid4()}", f"Mouse-{uuid4()}")
    runs = [run_to_end("greets", about(*person)) for _ in range(2)]
    theirs = run_to_end("greets", about(*other))
    waiting = engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")[0].id
    api = Api(key())

    exported = api.post("/privacy/exports", {"subject": person[0], "reason": "asked for"}).json()
    dry = api.post("/privacy/erasures", {"subject": person[0], "reason": "asked for"}).json()
    assert persons.open_run(runs[0].pk)["input"] == about(*person)  # type: ignore[index]
    done = api.post("/privacy/erasures", {"subject": person[0], "reason": "asked for", "dry_run": False}).json()

    assert [one["input"] for one in exported["runs"]] == [about(*person)] * 3
    assert (dry["runs"], dry["going_on"], dry["certificate"]) == (3, 1, None)
    assert done["certificate"]["runs"] == 3
    assert Erasure.objects.get().certificate["person"] == done["person"] == keys.fingerprint(person[0]).hex()
    for run in runs:
        assert persons.open_run(run.pk)["input"] == {"person_id": None, "name": None, "case": "C-1"}  # type: ignore[index]
        with pytest.raises(DataErased):
            engine.retry_run(str(run.pk), principal="t")
    assert persons.open_run(theirs.pk)["input"] == about(*other)  # type: ignore[index]
    for text in person:
        assert everywhere(text) == set()
    again = api.post("/privacy/erasures", {"subject": person[0], "reason": "asked for", "dry_run": False})
    assert again.status_code == 404
    assert person[0] not in again.content.decode()
    # A new run about them has a new key, and that of the old ones stays destroyed.
    assert run_to_end("greets", about(*person)).state == "SUCCEEDED"
    assert persons.open_run(runs[0].pk)["input"]["name"] is None  # type: ignore[index]
    assert WorkflowRun.objects.get(pk=waiting).state == "PENDING"


def test_a_run_that_goes_on_fails_where_it_needs_what_was_erased(executor, person) -> None:
    publish(GREETS)
    run = engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")[0].id
    persons.erase(person[0], by="t", reason="r", dry_run=False)

    executor.execute([run])

    step = queries.run_detail(run)["steps"][0]
    assert (step["status"], step["error"]["code"]) == ("FAILED", "data_erased")


def test_a_retry_seals_the_same_again(run_to_end, executor, person) -> None:
    publish(GREETS.replace("greet, with: {name", "greet, with: {fail: true, name"))
    run = run_to_end("greets", about(*person))

    new = engine.retry_run(str(run.pk), principal="t").id

    assert persons.open_run(WorkflowRun.objects.get(pk=new).pk)["input"] == about(*person)  # type: ignore[index]
    assert RunKey.objects.get(pk=new).key_id == RunKey.objects.get(pk=run.pk).key_id
    assert everywhere(person[1]) == set()


def test_what_looks_sealed_in_an_input_is_data_like_any_other(run_to_end, person) -> None:
    publish(GREETS)
    first = run_to_end("greets", about(*person))
    stolen = first.input["name"]

    publish(GREETS.replace("{type: string}", "{}").replace("name: greets", "name: copies"))
    copied = run_to_end("copies", {**about("someone-else", "Mouse"), "case": stolen})

    assert copied.state == "SUCCEEDED"
    assert copied.output["case"] == stolen
    # And what was sealed for another workflow is not opened there, not even for those who may open everything.
    assert persons.open_run(copied.pk)["input"]["case"] is None  # type: ignore[index]


def test_a_legal_hold_keeps_the_key(person) -> None:
    publish(GREETS)
    engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")
    persons.hold(person[0], by="law", reason="case 12")

    for dry_run in (True, False):
        with pytest.raises(HeldForLaw):
            persons.erase(person[0], by="t", reason="r", dry_run=dry_run)
    persons.release(person[0], by="law")

    assert persons.erase(person[0], by="t", reason="r", dry_run=False).runs == 1


def test_several_persons_in_one_run_are_refused() -> None:
    publish(GREETS.replace("case: {type: string}", "case: {type: string, subject: true}"))

    with pytest.raises(InvalidInput, match="several persons"):
        engine.start_runs("greets", [engine.StartRequest({"person_id": "a", "case": "b"})], principal="t")


def test_postgresql_brings_no_destroyed_key_back(person) -> None:
    publish(GREETS)
    engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")
    persons.erase(person[0], by="t", reason="r", dry_run=False)

    for change in (
        "UPDATE privacy_datakey SET destroyed_at = NULL, wrapped = 'x' WHERE destroyed_at IS NOT NULL",
        "UPDATE privacy_erasure SET certificate = '{}'",
        "DELETE FROM privacy_erasure",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)


def test_the_key_encryption_key_is_rotated_for_persons_too(settings, tmp_path, person, capsys) -> None:
    file = tmp_path / "keys"
    settings.ERIP_ENCRYPTION_KEYS_FILE = str(file)
    call_command("secrets", "new-key", "k-1")
    first = capsys.readouterr().out
    file.write_text(first)
    publish(GREETS)
    run = engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")[0].id
    call_command("secrets", "new-key", "k-2")
    second = capsys.readouterr().out
    file.write_text(second + first)

    call_command("secrets", "rotate")
    file.write_text(second)

    assert persons.open_run(WorkflowRun.objects.get(pk=run).pk)["input"] == about(*person)  # type: ignore[index]
    assert set(DataKey.objects.values_list("wrapped_by", flat=True)) == {"k-2"}


def test_the_register_says_what_is_handled_and_why() -> None:
    publish(GREETS)

    found = {one["workflow"]: one for one in Api(key()).get("/privacy/register").json()["items"]}["greets"]

    assert {one["where"] for one in found["fields"]} == {
        "input.person_id", "input.name",
        "steps.greet.output.greeting", "steps.each.output.greeting", "steps.again.output.greeting",
    }  # fmt: skip
    name = next(one for one in found["fields"] if one["where"] == "input.name")
    assert (name["purpose"], name["basis"], name["subject"]) == ("to greet", "contract", False)


def test_the_commands_of_the_documentation_run(person, monkeypatch, capsys) -> None:
    publish(GREETS)
    run = engine.start_runs("greets", [engine.StartRequest(about(*person))], principal="t")[0].id
    told = [
        line
        for block in blocks_of(PAGE)
        if "test_privacy.py runs these" in block.comment
        for line in block.text.splitlines()
    ]

    for line in told:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{person[0]}\n"))
        command = line.partition("manage.py ")[2].replace("019abc4e-7b0f-7cc3-98d2-1f0c2a5d9e11", run)
        words = command.replace('"', "").split(" --reason ")
        arguments = [*words[0].split(), *(["--reason", words[1].removesuffix(" --yes")] if len(words) > 1 else [])]
        call_command(*arguments, *(["--yes"] if command.endswith(" --yes") else []))

    assert "certificate" in capsys.readouterr().out or Erasure.objects.exists()
    with pytest.raises(UnknownSubject):
        persons.export(person[0])
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="names no person"):
        call_command("privacy", "erase", "--reason", "r")
