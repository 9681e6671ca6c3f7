"""A request, and a round of events, each has a budget for its expressions: Note [Budgets] in `core/cost`."""

import time

import pytest

from tests.definitions import publish
from tests.support.events import accept, consuming, event
from tests.unit.workflows.core.test_budgets import COSTLY, MANY
from tests.workers import until
from workflows import engine
from workflows.errors import InvalidInput
from workflows.events.models import DeadLetter
from workflows.events.triggers import Triggers
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

OF_EVENT = COSTLY.replace("input.", "event.data.")
HEAVY = f"""
name: heavy
on: {{event: probe.heavy, input: {{many: "${{{{ event.data.many }}}}", n: "{OF_EVENT}"}}}}
steps:
  a: {{uses: sample.echo, with: {{value: "{COSTLY}"}}}}
"""
WIDE = """
name: wide
steps:
  a: {uses: sample.echo, with: {value: ["${{ input }}", "${{ input }}", "${{ input }}", "${{ input }}"]}}
"""


@pytest.mark.parametrize(
    ("source", "inputs", "why"),
    [
        (HEAVY, [{"many": MANY}] * 2_000, "their expressions take too long"),
        (WIDE, [{"text": "x" * 50_000}] * 500, "bytes"),
    ],
)
def test_a_request_that_would_take_too_long_or_too_much_starts_nothing(source: str, inputs: list, why: str) -> None:
    name = publish(source)
    began = time.process_time()
    with pytest.raises(InvalidInput, match=why) as refused:
        engine.start_runs(name, [engine.StartRequest(each) for each in inputs], principal="test")

    assert time.process_time() - began < 4
    assert refused.value.faults[0].path == "inputs"
    assert not WorkflowRun.objects.exists()


def test_a_large_request_of_ordinary_runs_starts_all_of_them() -> None:
    name = publish('name: plain\nsteps:\n  a: {uses: sample.echo, with: {value: "${{ input.n > 3 }}"}}\n')
    started = engine.start_runs(name, [engine.StartRequest({"n": n}) for n in range(2_500)], principal="test")
    assert len({run.id for run in started}) == WorkflowRun.objects.count() == 2_500


def test_events_whose_rules_take_long_are_done_a_few_at_a_time_and_none_is_lost() -> None:
    publish(HEAVY)
    accept([event(type="probe.heavy", subject="one", data={"many": MANY[:2_500]}) for _ in range(25)])
    with consuming(Triggers()):
        until(lambda: WorkflowRun.objects.count() == 25, seconds=60, what="each event has started its run")
    assert not DeadLetter.objects.exists()
