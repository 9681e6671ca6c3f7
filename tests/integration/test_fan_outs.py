"""Fan-outs on a real database, with an executor in this process."""

import pytest

from tests.definitions import publish
from workflows import engine, store
from workflows.models import StepRun, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)


def fan_out(name: str = "fan", uses: str = "sample.echo", with_: str = '{value: "${{ item }}"}', extra: str = "") -> str:
    """Publish a fan-out over the run's `items` with a step after it."""
    return publish(f"""
name: {name}
steps:
  each: {{uses: {uses}, foreach: "${{{{ input.items }}}}", with: {with_}{extra}}}
  after: {{uses: sample.echo, needs: [each], with: {{value: "${{{{ steps.each.output.total }}}}"}}}}
output:
  each: ${{{{ steps.each.output }}}}
  after: ${{{{ steps.after.output.value }}}}
""")


def items(run: WorkflowRun) -> list[StepRun]:
    return list(StepRun.objects.filter(run=run, step="each", item__gte=0).order_by("item"))


def test_every_item_is_done_once_and_the_join_has_the_outputs_in_order(run_to_end) -> None:
    fan_out()
    run = run_to_end("fan", {"items": list(range(1_000))})
    assert run.state == "SUCCEEDED"
    assert run.output["after"] == 1_000
    assert [one["value"] for one in run.output["each"]["results"]] == list(range(1_000))
    assert [one["key"] for one in run.output["each"]["results"]] == [f"{run.pk}:each:{n}" for n in range(1_000)]
    assert run.output["each"]["failures"] == []
    assert {(row.state, row.attempt, row.lost) for row in items(run)} == {("SUCCEEDED", 1, 0)}
    assert StepRun.objects.get(run=run, step="each", item=-1).items == 1_000


def test_an_empty_list_succeeds_at_once(run_to_end) -> None:
    fan_out()
    run = run_to_end("fan", {"items": []})
    assert run.state == "SUCCEEDED"
    assert run.output["each"] == {"results": [], "total": 0, "succeeded": 0, "failed": 0, "failures": []}
