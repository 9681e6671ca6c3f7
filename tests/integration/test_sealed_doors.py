"""What comes to a run later is sealed like its input: signals, forms of approvals, and business keys. A marked person
is in no table, whichever door they came through."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, User

from erip.audit.models import Entry
from people import voting
from tests.definitions import publish
from tests.integration.test_secrets import everywhere
from tests.support.api import Api, key
from workflows import engine, queries
from workflows.core import definition
from workflows.errors import DefinitionInvalid
from workflows.models import ApprovalTask, RunSignal, StepRun, WorkflowRun
from workflows.privacy import persons
from workflows.privacy.errors import DataErased
from workflows.store import RunFilter

pytestmark = pytest.mark.django_db(transaction=True)

DOORS = """\
name: doors
business_key: {sensitive: true}
input:
  type: object
  properties: {person_id: {type: string, subject: true}}
steps:
  told:
    wait:
      signal: facts
      schema: {type: object, properties: {name: {type: string, sensitive: true}, case: {type: string}}}
  both:
    needs: [told]
    wait:
      all:
        - {signal: more, schema: {type: object, properties: {name: {type: string, sensitive: true}}}}
        - {signal: rest}
  ask:
    needs: [both]
    approval:
      title: Go on
      quorum: [{role: board}]
      form: {type: object, properties: {name: {type: string, sensitive: true}, score: {type: integer}}}
  greet: {uses: sample.greet, needs: [ask], with: {name: "${{ steps.told.output.payload.name }}"}}
output: {case: "${{ steps.told.output.payload.case }}", said: "${{ steps.greet.output.greeting }}"}
"""


@pytest.fixture
def marked() -> str:
    return f"Zebra-{uuid4()}"


def board() -> str:
    member = User.objects.create_user("ada", password="a-long-password")
    member.groups.add(Group.objects.get_or_create(name="board")[0])
    return "user:ada"


def by_signal(run: str, marked: str) -> None:
    engine.signal_run(run, "facts", {"name": marked, "case": "C-1"}, principal="t")


def by_kept_signal(run: str, marked: str) -> None:
    """It comes before the step waits for it."""
    engine.signal_run(run, "more", {"name": marked}, principal="t")


def by_key_over_the_api(run: str, marked: str) -> None:
    answer = Api(key()).post(
        "/workflows/doors/signals/facts", {"business_key": marked, "payload": {"name": marked, "case": "C-1"}}
    )
    assert answer.status_code in (200, 202), answer.content


DOORS_OF_SIGNALS: list[Callable[[str, str], None]] = [by_signal, by_kept_signal, by_key_over_the_api]


@pytest.mark.parametrize("door", DOORS_OF_SIGNALS)
def test_a_signal_is_sealed_before_it_is_stored(door: Callable[[str, str], None], marked: str) -> None:
    publish(DOORS)
    run = engine.start_runs("doors", [engine.StartRequest({"person_id": marked}, marked)], principal="t")[0].id

    door(run, marked)

    assert everywhere(marked) == set()
    stored = StepRun.objects.filter(run=run, state="SUCCEEDED").count() + RunSignal.objects.filter(run=run).count()
    assert stored == 1
    assert everywhere("$sealed") >= {"workflows_steprun" if door is not by_kept_signal else "workflows_runsignal"}


def test_all_that_comes_later_is_sealed_opened_for_bodies_and_erased(executor: Any, marked: str) -> None:
    publish(DOORS)
    run = engine.start_runs("doors", [engine.StartRequest({"person_id": marked}, marked)], principal="t")[0].id
    by_kept_signal(run, marked)
    by_signal(run, marked)
    engine.signal_run(run, "rest", {}, principal="t")
    task = ApprovalTask.objects.get()
    voting.vote(task.pk, voting.Ballot(board(), "approve", task.content_hash, "api", form={"name": marked, "score": 3}))
    executor.execute([run])
    ended = WorkflowRun.objects.get(pk=run)

    assert (ended.state, ended.output["case"]) == ("SUCCEEDED", "C-1")
    assert everywhere(marked) == set()
    assert marked not in "".join(Entry.objects.values_list("body", flat=True))
    for shown in (queries.run_detail(run), queries.run_events(run)):
        assert marked not in str(shown)
    read = persons.open_run(UUID(run))
    assert read is not None
    outputs = {step["step"]: step["output"] for step in read["steps"]}
    assert outputs["told"]["payload"] == {"name": marked, "case": "C-1"}
    assert (
        outputs["both"]["results"]["more"]["payload"]["name"] == marked
        if isinstance(outputs["both"]["results"], dict)
        else marked in str(outputs["both"])
    )
    assert (outputs["ask"]["votes"][0]["form"], read["output"]["said"]) == (
        {"name": marked, "score": 3}, f"Hello {marked}",
    )  # fmt: skip

    persons.erase(marked, by="t", reason="r", dry_run=False)

    assert marked not in str(persons.open_run(UUID(run)))


def test_nothing_is_sealed_for_a_person_who_was_erased(marked: str) -> None:
    publish(DOORS)
    run = engine.start_runs("doors", [engine.StartRequest({"person_id": marked})], principal="t")[0].id
    persons.erase(marked, by="t", reason="r", dry_run=False)

    with pytest.raises(DataErased):
        by_signal(run, marked)
    assert everywhere(marked) == set()


def test_a_run_is_found_by_its_hidden_key_and_shows_its_hash(marked: str) -> None:
    publish(DOORS)
    publish("name: plain\nsteps: {a: {wait: {signal: go}}}\n")
    run = engine.start_runs("doors", [engine.StartRequest({"person_id": marked}, marked)], principal="t")[0]
    engine.start_runs("plain", [engine.StartRequest({}, "B-1")], principal="t")
    many = engine.start_runs(
        "doors", [engine.StartRequest({"person_id": marked}, marked) for _ in range(3)], principal="t"
    )

    shown = Api(key()).get(f"/runs?business_key={marked}").json()["items"]

    assert {one["id"] for one in shown} == {run.id, *(one.id for one in many)}
    assert {one["business_key"] for one in shown} == {run.business_key}
    assert run.business_key is not None
    assert run.business_key.startswith("hidden:")
    assert len(run.business_key) == 50
    # What a list shows finds the same runs, and is not hashed once more.
    assert len(queries.list_runs(RunFilter(business_key=run.business_key)).items) == 4
    assert len(queries.list_runs(RunFilter(business_key="B-1")).items) == 1
    assert engine.runs_for([("doors", None, marked), ("plain", None, "B-1")])[1] != marked
    assert everywhere(marked) == set()


@pytest.mark.parametrize(
    "step",
    [
        "x: {uses: sample.echo, needs: [told], if: \"steps.told.output.payload.name == 'x'\", with: {value: 1}}",
        'x: {uses: sample.echo, needs: [ask], with: {value: "by ${{ steps.ask.output.votes[0].form.name }}"}}',
        'x: {uses: sample.echo, needs: [both], with: {value: "a ${{ steps.both.output.results }}"}}',
    ],
)
def test_no_expression_looks_into_it(step: str) -> None:
    with pytest.raises(DefinitionInvalid, match="sensitive"):
        publish(DOORS.replace("output: {case", f"  {step}\noutput: {{case"))


def test_levels() -> None:
    def level(**more: Any) -> int:
        return definition.validate({"name": "w", "steps": {"a": {"wait": {"for": "1s"}}}, **more}, {}).level

    assert (level(business_key={"sensitive": True}), level(business_key={"sensitive": False}), level()) == (8, 2, 2)
