"""A breach as a team answers it, on the real engine: votes, measures and their undoing, clocks that are filed."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.management import call_command

from erip.access.scopes import Scope
from people import voting
from tests.integration.test_library_steps import context
from tests.support.api import Api, key
from tests.support.clocks import legal_clock
from tests.unit.erip.foundation.outbound.test_webhooks import SECRET, server
from tests.workers import until
from workflows import engine, registry
from workflows.clocks.models import LegalClock, State
from workflows.core.states import Lane
from workflows.errors import StepError
from workflows.library import cache
from workflows.library.containment.steps import GIVE_UP
from workflows.library.models import Delivery, NotificationTarget
from workflows.library.reference import sample_incident
from workflows.models import ApprovalTask, WorkflowRun
from workflows.registry import StepContext
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

#: who is in which group
PEOPLE = {"sol": "soc-lead", "cara": "ciso", "dan": "dpo", "carl": "ceo", "ines": "incident-commander"}
MEASURES = [{"action": f"Measure {name}", "undo": f"Undo {name}"} for name in "abc"]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
AWAY = b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GONE = b"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LESSONS = {
    "lessons": "Patch sooner.",
    "owner": "user:ines",
    "actions": [{"action": "Patch", "owner": "sol", "due": "2027-01-31"}],
}


@pytest.fixture(autouse=True)
def _shipped(settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.ERIP_REPORT_DIR = tmp_path
    settings.ERIP_WEBHOOK_SECRET = SECRET
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = True
    cache.forget()
    yield
    cache.forget()


def call(name: str, data: dict[str, Any], ctx: StepContext | None = None) -> dict[str, Any]:
    spec = registry.get(name)
    given = spec.input_model.model_validate(data)
    found = spec.body(given, ctx or context()) if spec.takes_context else spec.body(given)
    return dict(json.loads(json.dumps(found.model_dump(mode="json"))))


# --- containment ---------------------------------------------------------------------------------------------------


def test_measures_are_ordered_one_after_another_and_taken_back_from_the_last() -> None:
    with server(OK) as (port, received):
        to = {"webhook": [f"http://127.0.0.1:{port}/"], "subject": "B-1"}
        carried = call("containment.carry_out", {"measures": MEASURES, **to}, context("contain"))
        undone = call("containment.undo", {"carried_out": [None, carried], "reason": "refused", **to}, context("undo"))
    told = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in received]
    assert [(one["type"], one["data"]["action"]) for one in told] == [
        *(("erip.containment.order", f"Measure {name}") for name in "abc"),
        *(("erip.containment.undo", f"Undo {name}") for name in "cba"),
    ]
    assert {one["data"]["reason"] for one in told[3:]} == {"refused"}
    assert [one["state"] for one in carried["measures"]] == ["ordered"] * 3
    assert [(one["place"], one["undoes"]) for one in undone["undone"]] == [
        (2, "Measure c"),
        (1, "Measure b"),
        (0, "Measure a"),
    ]
    assert (carried["note"], undone["note"]) == ("", "")
    assert Delivery.objects.count() == 6, "each is written down"


def test_an_attempt_goes_on_where_the_one_before_it_stopped_and_orders_nothing_twice() -> None:
    with server(OK) as (port, received):
        first = {"measures": MEASURES[:1], "webhook": [f"http://127.0.0.1:{port}/"]}
        call("containment.carry_out", first, context("contain"))
        call("containment.carry_out", {**first, "measures": MEASURES}, replace(context("contain"), attempt=2))
    assert [json.loads(one.partition(b"\r\n\r\n")[2])["data"]["place"] for one in received] == [0, 1, 2]


def test_a_system_that_is_away_holds_up_the_rest_but_not_for_ever_and_what_is_unknown_is_taken_back() -> None:
    with server(AWAY) as (port, received):
        given = {"measures": MEASURES[:2], "webhook": [f"http://127.0.0.1:{port}/"]}
        with pytest.raises(StepError):
            call("containment.carry_out", given, context("contain"))
        assert len(received) == 1, "the second measure waits for the first"
        carried = call("containment.carry_out", given, replace(context("contain"), attempt=GIVE_UP))
    assert [one["state"] for one in carried["measures"]] == ["unknown", "unknown"]
    assert carried["note"].startswith("2 measures")
    undone = call("containment.undo", {"carried_out": [carried]}, context("undo"))
    assert [one["undoes"] for one in undone["undone"]] == ["Measure b", "Measure a"]
    assert [one["state"] for one in undone["undone"]] == ["by_hand", "by_hand"], "nobody is entered"


def test_what_nobody_will_ever_take_was_surely_not_done_and_is_not_taken_back() -> None:
    with server(GONE) as (port, _):
        given = {"measures": MEASURES[:1], "webhook": [f"http://127.0.0.1:{port}/"]}
        carried = call("containment.carry_out", given, context("contain"))
    assert [one["state"] for one in carried["measures"]] == ["refused"]
    undone = call("containment.undo", {"carried_out": [carried]}, context("undo"))
    assert (undone["undone"], [one["action"] for one in undone["left"]]) == ([], ["Measure a"])


def test_without_recipients_of_its_own_the_targets_of_the_workflow_are_asked() -> None:
    NotificationTarget.objects.create(name="soc", kind="email", address="soc@example.org")
    cache.forget()
    carried = call(
        "containment.carry_out", {"measures": [{"action": "Cut it off", "target": "Gateway"}], "subject": "B-1"}
    )
    assert carried["measures"][0]["state"] == "ordered"
    [message] = mail.outbox
    assert message.subject == "B-1: Cut it off"
    assert "Gateway" in message.body
    call("containment.undo", {"carried_out": [carried]}, context("undo"))
    assert mail.outbox[-1].subject == "Take back: Cut it off"


# --- filing --------------------------------------------------------------------------------------------------------


def vote(*filings: dict[str, Any], by: str = "user:dan") -> dict[str, Any]:
    return {
        "by": by,
        "choice": "approve",
        "roles": ["dpo"],
        "comment": "",
        "form": {"filings": list(filings), "note": "x"},
    }


def test_clocks_are_filed_with_the_proofs_of_a_form_by_whoever_gave_them_and_twice_is_once() -> None:
    clock = legal_clock()
    ctx = replace(context("filed"), run_id=str(clock.run_id))
    given = {"votes": [vote({"obligation": "gdpr-33", "reference": "BfDI-1", "document": "doc/1"})]}
    found = call("clocks.file", given, ctx)
    again = call("clocks.file", given, ctx)
    row = LegalClock.objects.get()
    assert row.state == State.FILED
    assert row.filed is not None
    assert (row.filed["reference"], row.filed["document"], row.filed["by"]) == ("BfDI-1", "doc/1", "user:dan")
    assert found == again == {
        "filed": [{"obligation": "gdpr-33", "clock": row.pk, "reference": "BfDI-1"}], "recorded": [],
        "not_filed": [], "open": [],
    }  # fmt: skip
    assert row.filed["updates"] == []
    call("clocks.file", {"filings": [{"obligation": "gdpr-33", "reference": "BfDI-2"}], "by": "user:dan"}, ctx)
    row.refresh_from_db()
    assert [one["reference"] for one in row.filed["updates"]] == ["BfDI-2"], "news of what was filed"
    assert row.filed["reference"] == "BfDI-1", "the first proof stays"


def test_a_vote_that_refuses_files_nothing_plans_nothing_and_answers_nothing() -> None:
    clock = legal_clock()
    ctx = replace(context("filed"), run_id=str(clock.run_id))
    refused = {**vote({"obligation": "gdpr-33", "reference": "BfDI-1"}), "choice": "refuse"}
    found = call("clocks.file", {"votes": [refused]}, ctx)
    assert (found["filed"], [one["state"] for one in found["open"]]) == ([], ["RUNNING"])
    assert found["not_filed"][0]["why"].startswith("user:dan refused")
    measures = [{"action": "Turn it off"}]
    planned = {"votes": [{"choice": "refuse", "form": {"measures": measures}}], "containment": {"measures": MEASURES}}
    assert [one["action"] for one in call("containment.plan", planned)["measures"]] == [
        one["action"] for one in MEASURES
    ]
    asked = {"questions": [{"id": "mfa", "text": "MFA?"}]}
    said = {"form": {"answers": [{"question": "mfa", "answer": "yes"}]}}
    for choice, unanswered in (("approve", []), ("refuse", ["mfa"])):
        checked = call("questionnaire.check", {**asked, "votes": [{**said, "choice": choice}]})
        assert checked["unanswered"] == unanswered, choice


def test_what_was_filed_at_no_named_moment_was_filed_when_it_was_voted() -> None:
    clock = legal_clock()
    voted = datetime.now(UTC) - timedelta(hours=2)
    given = {"votes": [{**vote({"obligation": "gdpr-33", "reference": "x"}), "at": voted.isoformat()}]}
    call("clocks.file", given, replace(context("filed"), run_id=str(clock.run_id)))
    filed = LegalClock.objects.get().filed
    assert filed is not None
    assert datetime.fromisoformat(filed["at"]) == voted, "a step that is late makes no notification late"


def test_a_proof_that_fits_nothing_is_reported_and_costs_nothing_else() -> None:
    clock = legal_clock()
    ctx = replace(context("filed"), run_id=str(clock.run_id))
    wrong = [
        {"obligation": "gdpr-34", "reference": "x"},
        {"obligation": "gdpr-33", "reference": "x", "at": "2999-01-01T00:00:00Z"},
        {"obligation": "gdpr-33", "reference": "x", "at": "yesterday"},
    ]
    found = call("clocks.file", {"filings": wrong}, ctx)
    assert [one["why"].partition(":")[0] for one in found["not_filed"]] == [
        "the run has no legal clock of this duty",
        "at",
        "at",
    ]
    assert found["filed"] == []
    assert [(one["obligation"], one["state"]) for one in found["open"]] == [("gdpr-33", "RUNNING")]
    assert call("clocks.file", {"filings": [*wrong, {"obligation": "gdpr-33", "reference": "y"}]}, ctx)["open"] == []


def test_what_was_sent_for_a_duty_without_a_clock_is_recorded_once_and_not_ahead_of_time() -> None:
    call_command("bootstrap", "--json")
    cache.forget()
    ctx = replace(context("filed"), run_id=str(uuid4()))
    voted = datetime.now(UTC) - timedelta(hours=2)
    given = [
        {"obligation": "gdpr-34", "reference": "Letter-9", "document": "doc/9"},
        {"obligation": "gdpr-34", "reference": "Letter-9"},
        {"obligation": "gdpr-34", "reference": "Letter-10", "at": "2999-01-01T00:00:00Z"},
        {"obligation": "gdpr-34", "reference": "Letter-11", "at": "yesterday"},
        {"obligation": "gdpr-33", "reference": "BfDI-1"},
    ]
    found = call("clocks.file", {"votes": [{**vote(*given), "at": voted.isoformat()}]}, ctx)
    [one] = found["recorded"]
    assert datetime.fromisoformat(one.pop("at")) == voted
    assert one == {"obligation": "gdpr-34", "reference": "Letter-9", "document": "doc/9", "by": "user:dan"}
    assert [(one["obligation"], one["why"].partition(":")[0]) for one in found["not_filed"]] == [
        ("gdpr-34", "at"), ("gdpr-34", "at"), ("gdpr-33", "the run has no legal clock of this duty"),
    ]  # fmt: skip
    refused = call("clocks.file", {"votes": [{**vote(given[0]), "choice": "refuse"}]}, ctx)
    assert (refused["recorded"], len(refused["not_filed"])) == ([], 1)
    # A duty that is none of the run's is named all the same.
    stands = call("clocks.standing", {"recorded": [{**one, "at": voted.isoformat()}]}, ctx)
    assert any("gdpr-34" in line and "Letter-9" in line for line in stands["assumptions"])


# --- the whole course ----------------------------------------------------------------------------------------------


def team() -> None:
    for name, group in PEOPLE.items():
        User.objects.create_user(name, is_staff=True).groups.add(Group.objects.get_or_create(name=group)[0])


def example(language: str) -> str:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "cases.md").read_text("utf-8")
    found = re.search(
        rf"<!-- example: tests/integration/test_breach_team.py .*?-->\n```{language}\n(.*?)```", page, re.S
    )
    assert found
    return found[1]


def begin(given: dict[str, Any], webhook: str, **more: Any) -> str:
    """A response whose measures go to `webhook`."""
    call_command("bootstrap", "--json")
    cache.forget()
    containment = {**given["containment"], "webhook": [webhook]}
    request = engine.StartRequest({**given, "respond": True, "iterations": 1000, "containment": containment}, **more)
    return str(engine.start_runs("breach-response", [request], principal="test")[0].id)


def settled(executor: Executor, run: str, open_: set[str]) -> dict[str, ApprovalTask]:
    """Works until just these approvals are open. Returns them by their step."""

    def fact() -> bool:
        engine.release_due([str(lane) for lane in Lane], limit=9)
        executor.execute([run])
        busy = WorkflowRun.objects.get(pk=run).steps.filter(state__in=["READY", "RUNNING"]).exists()
        return not busy and {one.step for one in asked()} == open_

    def asked() -> list[ApprovalTask]:
        return list(ApprovalTask.objects.filter(run_id=run, closed_at=None))

    until(fact, seconds=120.0, what=f"open approvals: {open_}")
    return {one.step: one for one in asked()}


def votes(task: ApprovalTask, who: str, choice: str = "approve", form: Any = None) -> None:
    comment = "" if choice == "approve" else "not so"
    voting.vote(task.pk, voting.Ballot(f"user:{who}", choice, task.content_hash, "console", "", comment, form))


def test_from_the_report_to_the_lessons(executor: Executor) -> None:
    team()
    with server(OK) as (port, received):
        line, _, text = example("http").partition("\n")
        withdrawal = json.loads(text)
        given = json.loads(example("json"))
        run = begin(given, f"http://127.0.0.1:{port}/", business_key=withdrawal["business_key"])
        votes(settled(executor, run, {"triage"})["triage"], "sol", form={"note": "seen it", "measures": MEASURES})
        asked = settled(executor, run, {"approve_executive", "file", "secure"})
        assert received == [], "below the worst level nothing is done before it is approved"
        shown = asked["approve_executive"].content
        assert [one["action"] for one in shown["runs"]["contain_executive"]["with"]["measures"]] == [
            "Measure a",
            "Measure b",
            "Measure c",
        ]
        assert asked["file"].content["evidence"]["drafts"]["notices"]
        votes(asked["approve_executive"], "cara")
        votes(asked["approve_executive"], "carl")
        settled(executor, run, {"file", "secure"})
        assert [json.loads(one.partition(b"\r\n\r\n")[2])["data"]["action"] for one in received] == [
            "Measure a",
            "Measure b",
            "Measure c",
        ]
        assert LegalClock.objects.get(run_id=run, obligation="gdpr-33").state == State.RUNNING
        proofs = [("gdpr-33", "BfDI-17"), ("gdpr-34", "Letter-9"), ("gdpr-34", "Letter-9"), ("no-such", "x")]
        filings = [{"obligation": code, "reference": reference} for code, reference in proofs]
        votes(asked["file"], "dan", form={"filings": filings})
        settled(executor, run, {"secure"})
        filed = LegalClock.objects.get(run_id=run, obligation="gdpr-33")
        assert filed.filed is not None
        assert (filed.state, filed.filed["reference"], filed.filed["by"]) == (State.FILED, "BfDI-17", "user:dan")
        # Somebody finds that it was the wrong machine.
        answer = Api(key(Scope.OPERATOR)).post(line.partition("/api/v1")[2], withdrawal)
        assert answer.status_code == 200, answer.content
        settled(executor, run, {"secure"})
        assert [json.loads(one.partition(b"\r\n\r\n")[2])["data"]["action"] for one in received[3:]] == [
            "Undo c",
            "Undo b",
            "Undo a",
        ]
    votes(asked["secure"], "sol", form={"evidence": [{"what": "Disk image", "kept_at": "vault 3"}]})
    votes(settled(executor, run, {"lessons"})["lessons"], "ines", form=LESSONS)
    settled(executor, run, set())
    found = WorkflowRun.objects.get(pk=run)
    output: Any = found.output
    assert (found.state, found.error) == ("SUCCEEDED", None)
    assert (output["approved"], output["dismissed"], output["lessons"]) == (True, False, LESSONS)
    assert [one["undoes"] for one in output["taken_back"]["undone"]] == ["Measure c", "Measure b", "Measure a"]
    assert output["filed"]["filed"][0]["obligation"] == "gdpr-33"
    assert {one["obligation"] for one in output["filed"]["open"]} > {"nis2-final"}, "clocks outlive the response"
    report = (found.steps.get(step="final_report").output or {})["markdown_path"]
    with open(report, encoding="utf-8") as file:
        text = file.read()
    for word in ("BfDI-17", "Disk image", "wrong gateway", "Measure a", "user:cara"):
        assert word in text, word
    assert re.search(
        r"\| GDPR: Notify the supervisory authority [^\n]*\| (met|late): filed [^\n]*BfDI-17 by user:dan", text
    )
    # Without a clock it is recorded as sent, and nothing says whether that was in time.
    sent = r"promptly: recorded as sent \d{4}-\d\d-\d\d \d\d:\d\d UTC as Letter-9 by user:dan; no clock says"
    assert re.search(rf"\| GDPR: [^\n]*\| {sent}", text), text
    assert "no-such" in text, "what fits nothing is said"
    assert "RUNNING" not in text, "the duties say where each stands"
    [letter] = [one for one in output["deadlines"] if one["code"] == "gdpr-34"]
    assert (letter["status"], "Letter-9" in letter["said"]) == ("promptly", True)
    [gdpr] = [one for one in output["deadlines"] if one["code"] == "gdpr-33"]
    assert gdpr["status"] in ("met", "late"), "so says the output"


def test_the_worst_level_contains_at_once_and_a_refusal_takes_it_back(executor: Executor) -> None:
    team()
    User.objects.create_user("bea").groups.add(Group.objects.get_or_create(name="board-chair")[0])
    with server(OK) as (port, received):
        given = {**sample_incident(), "affected_records": 200_000, "containment": {"measures": MEASURES}}
        run = begin(given, f"http://127.0.0.1:{port}/")
        votes(settled(executor, run, {"triage"})["triage"], "sol")
        asked = settled(executor, run, {"approve_board", "file", "secure"})
        assert len(received) == 3
        votes(asked["approve_board"], "bea", "refuse")
        settled(executor, run, {"file", "secure"})
    steps: Any = dict(WorkflowRun.objects.get(pk=run).steps.values_list("step", "output"))
    assert [one["action"] for one in steps["undo_containment"]["undone"]] == ["Undo c", "Undo b", "Undo a"]
    assert steps["undo_containment"]["reason"] == "The board refused it"
