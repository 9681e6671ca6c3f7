"""The cases of docs/how-to/cases.md on the real engine: each example is started, and goes on as people answer."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command

from people import voting
from tests.support.clocks import legal_clock
from tests.workers import until
from workflows import engine
from workflows.core.states import Lane
from workflows.library import cache
from workflows.models import ApprovalTask, WorkflowRun
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cases.md"
EXAMPLES = [
    json.loads(text)
    for text in re.findall(
        r"<!-- example: tests/integration/test_cases.py .*?-->\n```json\n(.*?)```", PAGE.read_text("utf-8"), re.S
    )
]
VULNERABILITY, CHANGE, QUESTIONNAIRE, VENDOR = EXAMPLES


@pytest.fixture(autouse=True)
def _shipped(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ERIP_REPORT_DIR = tmp_path
    cache.forget()
    call_command("bootstrap", "--json")
    cache.forget()
    yield
    cache.forget()


class Case:
    """A run, and the people who answer it: one user for each group."""

    def __init__(self, executor: Executor, workflow: str, given: dict[str, Any]) -> None:
        self.executor = executor
        self.run = str(engine.start_runs(workflow, [engine.StartRequest(given)], principal="test")[0].id)

    def until(self, *open_: str, state: str = "") -> dict[str, ApprovalTask]:
        def asked() -> dict[str, ApprovalTask]:
            return {one.step: one for one in ApprovalTask.objects.filter(run_id=self.run, closed_at=None)}

        def fact() -> bool:
            engine.release_due([str(lane) for lane in Lane], limit=9)
            self.executor.execute([self.run])
            row = WorkflowRun.objects.get(pk=self.run)
            return set(asked()) == set(open_) and not row.steps.filter(state__in=["READY", "RUNNING"]).exists()

        until(fact, what=f"open: {open_}")
        if state:
            found = WorkflowRun.objects.get(pk=self.run)
            assert (found.state, found.error) == (state, None)
        return asked()

    def vote(self, step: str, form: Any = None, choice: str = "approve", also: tuple[str, ...] = ()) -> None:
        task = self.until(step, *also)[step]
        for role in task.roles:
            name = f"person-{role}"
            user, made = User.objects.get_or_create(username=name)
            if made:
                user.groups.add(Group.objects.get_or_create(name=role)[0])
            comment = "" if choice == "approve" else "no"
            ballot = voting.Ballot(f"user:{name}", choice, task.content_hash, "console", "", comment, form)
            if voting.vote(task.pk, ballot).outcome:
                return

    @property
    def output(self) -> Any:
        return WorkflowRun.objects.get(pk=self.run).output


def test_a_vulnerability_is_treated_remedied_and_verified(executor: Executor) -> None:
    case = Case(executor, "vulnerability-response", VULNERABILITY)
    case.vote("treat", {"treatment": "patch", "plan": "next window"})
    case.until()
    engine.signal_run(case.run, "remedied", {"reference": "CHG-7"}, principal="user:someone")
    case.vote("verify", {"how": "scanned again"})
    case.until(state="SUCCEEDED")
    assert [case.output[name] for name in ("treatment", "remedied_in_time", "verified")] == ["patch", True, True]
    assert case.output["decision"]["level"] != "none"


def test_a_change_of_the_law_names_the_open_cases_and_is_adapted_and_proved(executor: Executor) -> None:
    clock = legal_clock(obligation="nis2-final")
    legal_clock(obligation="gdpr-33")
    case = Case(executor, "regulatory-change", CHANGE)
    asked = case.until("assess")["assess"]
    [named] = asked.content["evidence"]["open_cases"]["open"]
    assert (named["run_id"], named["obligation"]) == (str(clock.run_id), "nis2-final")
    case.vote("assess", {"impact": "medium", "who": ["Operations"]})
    case.vote("approve_executive", {"actions": [{"action": "Rewrite it", "owner": "anna", "due": "2026-12-31"}]})
    case.vote("adapt", {"done": [{"what": "The procedure", "where": "wiki/17"}]})
    case.vote("evidence", {"seen": ["wiki/17"]})
    case.until(state="SUCCEEDED")
    assert (case.output["adapted"], case.output["proved"], case.output["touched"]["cases"]) == (True, True, 1)


def test_answers_that_do_not_fit_the_form_are_refused_and_others_reviewed(executor: Executor) -> None:
    case = Case(executor, "questionnaire", QUESTIONNAIRE)
    task = case.until("answer")["answer"]
    assert [one["id"] for one in task.content["evidence"]["questions"]] == ["mfa", "incidents"]
    from people.errors import VoteInvalid

    with pytest.raises(VoteInvalid) as refused:
        case.vote("answer", {"answers": [{"question": "mfa", "answer": "maybe"}, {"answer": "yes"}], "other": 1})
    assert {str(fault.path) for fault in refused.value.faults} == {
        "form.answers[0].answer", "form.answers[1].question", "form.other",
    }  # fmt: skip
    case.vote("answer", {"answers": [{"question": "mfa", "answer": "yes"}, {"question": "incidents", "answer": "no"}]})
    case.vote("review")
    case.until(state="SUCCEEDED")
    assert (case.output["accepted"], case.output["result"]["score"], case.output["result"]["complete"]) == (
        True,
        100.0,
        True,
    )


def test_a_vendor_is_asked_rated_and_approved_with_conditions(executor: Executor) -> None:
    case = Case(executor, "vendor-assessment", VENDOR)
    questions = case.until("answer")["answer"].content["evidence"]["questions"]
    said = [{"question": one["id"], "answer": one["expects"] or "yes"} for one in questions]
    case.vote("answer", {"answers": [*said[:-1], {**said[-1], "answer": "partly"}]})
    conditions = {"conditions": [{"condition": "Name the incident", "owner": "anna", "due": "2027-01-31"}]}
    case.vote("approve_director", conditions)
    case.until(state="SUCCEEDED")
    assert (case.output["risk"], case.output["approved"]) == ("medium", True)
    assert case.output["decisions"][1]["votes"][0]["form"] == conditions
    again = WorkflowRun.objects.get(pk=case.run).steps.get(step="reassess")
    assert (again.state, str(again.due_at)[:10]) == ("WAITING", case.output["reassess_at"][:10])
