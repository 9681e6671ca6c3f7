"""Workers that lack a step of a published version leave it to those that have it: a rollout fails no run."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from django.db.models.functions import Now
from pydantic import BaseModel, ConfigDict

from tests.definitions import one_step, publish
from tests.workers import until, worker
from workflows import engine, queries, registry, store
from workflows.graphs import graph_of
from workflows.leader.lost import LostSteps
from workflows.leader.unmet import Unmet
from workflows.models import StepRun, Worker, WorkflowRun
from workflows.store import lacking
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

#: what only the new release has
NEW = """
from pydantic import BaseModel
from workflows.registry import step


class Text(BaseModel):
    value: int = 0


@step("rolled.new")
def new(data: Text) -> Text:
    return data
"""
CHAIN = """
name: rolled
steps:
  before: {uses: sample.echo, with: {value: 1}}
  new: {uses: rolled.new, needs: [before], with: {value: 2}}
  after: {uses: sample.echo, needs: [new], with: {value: "${{ steps.new.output.value }}"}}
output: "${{ steps.after.output.value }}"
"""
#: the same where the new release's step takes one input more
GROWN = """
name: grown
steps:
  before: {uses: sample.echo, with: {value: 1}}
  new: {uses: grown.step, needs: [before], with: {value: "${{ steps.before.output.value }}", more: {by: 2}}}
  after: {uses: sample.echo, needs: [new], with: {value: "${{ steps.new.output.value }}"}}
output: "${{ steps.after.output.value }}"
"""
FAN_OUT = """
name: fan
steps:
  each: {uses: rolled.new, foreach: [1, 2, 3, 4, 5], with: {value: "${{ item }}"}}
"""


@pytest.fixture
def lacks_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.StepSpec]:
    """This process had `rolled.new` while the definitions were published, and has it no more."""
    package = tmp_path / "rolled"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "steps.py").write_text(textwrap.dedent(NEW))
    monkeypatch.syspath_prepend(str(tmp_path))
    import rolled.steps

    if "rolled.new" not in registry.all():
        registry.step("rolled.new")(rolled.steps.new)
    publish(CHAIN)
    publish(FAN_OUT)
    graph_of.cache_clear()
    spec = registry.withdraw("rolled.new")
    yield spec
    graph_of.cache_clear()
    for version, _ in lacking.split(lacking.pairs()):
        lacking.note(version, {})


def start(workflow: str, count: int = 1) -> list[str]:
    requests = [engine.StartRequest({}) for _ in range(count)]
    return [run.id for run in engine.start_runs(workflow, requests, principal="test")]


def waits_for(run_id: str, step: str) -> str | None:
    found = {each["id"]: each["waits_for"] for each in queries.run_detail(run_id)["steps"]}
    return found[step]


def test_a_rollout_fails_no_run(lacks_new, executor: Executor, tmp_path: Path) -> None:
    """This process is the worker of the old release, another is that of the new one."""
    ids = start("rolled", 20) + start("fan", 3)
    executor.execute(ids)  # it meets the versions, does what it can, and leaves the rest
    assert StepRun.objects.filter(run__workflow="rolled", step="before", state="SUCCEEDED").count() == 20
    with worker(tmp_path / "new.log", "new", ERIP_APPS="rolled", ERIP_APPS_DIR=str(tmp_path)):
        ids += start("rolled", 20)

        def ended() -> bool:
            executor.execute(ids)  # as eager as a worker can be
            return not WorkflowRun.objects.exclude(state__in=["SUCCEEDED", "FAILED"]).exists()

        until(ended, what="all runs ended")
        assert set(WorkflowRun.objects.values_list("state", flat=True)) == {"SUCCEEDED"}
        ran = StepRun.objects.filter(step__in=["new", "each"], items=None)
        assert ran.count() == 40 + 15
        assert set(ran.values_list("worker__name", flat=True)) == {"new@test"}


def test_a_worker_that_lacks_a_step_claims_it_once_at_most_and_takes_it_when_it_has_it(
    lacks_new, executor: Executor
) -> None:
    first, second = start("rolled", 2)
    for _ in range(5):
        executor.execute([first])
    assert StepRun.objects.get(run=first, step="new").attempt <= 1
    executor.execute([second])
    # By now it knows the version.
    assert StepRun.objects.get(run=second, step="new").attempt == 0
    assert store.stale_ready_runs([("standard", 9)], older_than=0.0, limit=9) == []
    registry.restore(lacks_new)
    graph_of.cache_clear()
    graph_of(WorkflowRun.objects.get(pk=first).version_id)  # as a worker does when it starts
    until(lambda: executor.execute([first, second]) == 0)
    assert set(WorkflowRun.objects.values_list("state", flat=True)) == {"SUCCEEDED"}


def test_a_lost_step_is_seen_to_by_a_process_that_has_it(lacks_new, executor: Executor) -> None:
    """Another one does not know whether it may be repeated, and would leave it to a person."""
    (run,) = start("rolled")
    executor.execute([run])
    gone = store.register_worker("gone", "there", 1, ["standard"])
    store.stop_worker(gone)
    StepRun.objects.filter(run=run, step="new").update(state="RUNNING", attempt=1, worker=gone, started_at=Now())
    with structlog.testing.capture_logs() as logs:
        LostSteps().see_to(max_lost=3)
    assert {"event": "lost_steps_left", "log_level": "warning", "steps": ["rolled.new"]} in logs
    assert waits_for(run, "new") == "the worker of attempt 1 is gone: waits for a leader that has the step rolled.new"
    assert StepRun.objects.get(run=run, step="new").state == "RUNNING"
    registry.restore(lacks_new)
    graph_of.cache_clear()
    with structlog.testing.capture_logs() as logs:
        LostSteps().see_to(max_lost=3)
    assert "lost_steps_left" not in {line["event"] for line in logs}
    assert StepRun.objects.get(run=run, step="new").state == "READY"


def test_a_step_that_nobody_has_is_said_and_is_no_load(lacks_new, executor: Executor) -> None:
    (run,) = start("rolled")
    until(lambda: executor.execute([run]) == 0)
    store.say_what_is_lacked(executor.worker_id)
    assert waits_for(run, "new") == (
        "waits for a worker that has the step rolled.new with these inputs: the only one that serves its lane lacks it"
    )
    assert store.lane_loads(["standard"], count_to=9)["standard"].waiting == 0
    unmet = Unmet().look()
    assert list(unmet) == ["bulk", "critical", "high", "standard"]
    assert store.rehint_stale_ready(older_than=-1, again_after=0, limit=9, nobody_has=unmet) == []
    # Another worker that has it, as far as anybody knows:
    other = store.register_worker("other", "there", 2, ["standard"])
    Worker.objects.filter(pk=other).update(lacks=[])
    assert waits_for(run, "new") == (
        "waits for a worker that has the step rolled.new with these inputs: 1 of the 2 that serve its lane lacks it"
    )
    assert store.lane_loads(["standard"], count_to=9)["standard"].waiting == 1
    assert "standard" not in lacking.nobody_has()
    assert store.rehint_stale_ready(older_than=-1, again_after=0, limit=9, nobody_has=lacking.nobody_has()) != []


class Older(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: int = 0


class More(BaseModel):
    model_config = ConfigDict(extra="forbid")
    by: int = 0


class Newer(Older):
    more: More = More()


def older(data: Older) -> Older:
    return data


def newer(data: Newer) -> Older:
    return Older(value=data.value + data.more.by)


@pytest.fixture
def lacks_an_input() -> Iterator[registry.StepSpec]:
    """The definition was published by a release whose step takes more; this process has the step of the release before.
    Yields the newer step."""
    registry.step("grown.step")(newer)
    publish(GROWN)
    new = registry.withdraw("grown.step")
    registry.step("grown.step")(older)
    graph_of.cache_clear()
    yield new
    registry.withdraw("grown.step")
    graph_of.cache_clear()
    for version, _ in lacking.split(lacking.pairs()):
        lacking.note(version, {})


def test_a_worker_whose_step_does_not_know_an_input_leaves_it_to_the_others(
    lacks_an_input: registry.StepSpec, executor: Executor
) -> None:
    ids = start("grown", 3)
    for _ in range(5):
        executor.execute(ids)
    rows = StepRun.objects.filter(step="new")
    assert set(rows.values_list("state", flat=True)) == {"READY"}, "none has failed"
    assert max(rows.values_list("attempt", flat=True)) <= 1
    store.say_what_is_lacked(executor.worker_id)
    assert "grown.step with these inputs: the only one" in str(waits_for(ids[0], "new"))
    # And the new release comes.
    registry.withdraw("grown.step")
    registry.restore(lacks_an_input)
    graph_of.cache_clear()
    graph_of(WorkflowRun.objects.get(pk=ids[0]).version_id)
    until(lambda: executor.execute(ids) == 0)
    assert set(WorkflowRun.objects.values_list("state", "output")) == {("SUCCEEDED", 3)}


def test_a_lost_step_whose_input_alone_the_leader_lacks_is_seen_to(
    lacks_an_input: registry.StepSpec, executor: Executor
) -> None:
    (run,) = start("grown")
    executor.execute([run])
    assert lacking.lacks(WorkflowRun.objects.get(pk=run).version_id, "new")
    gone = store.register_worker("gone", "there", 1, ["standard"])
    store.stop_worker(gone)
    StepRun.objects.filter(run=run, step="new").update(state="RUNNING", attempt=1, worker=gone, started_at=Now())
    LostSteps().see_to(max_lost=3)
    assert StepRun.objects.get(run=run, step="new").state == "READY"


class Dropping(BaseModel):
    value: int = 0


def dropping(data: Dropping) -> Dropping:
    return data


def test_a_worker_whose_model_drops_an_input_runs_the_step(
    lacks_an_input: registry.StepSpec, executor: Executor
) -> None:
    registry.withdraw("grown.step")
    registry.step("grown.step")(dropping)
    graph_of.cache_clear()
    ids = start("grown", 2)
    until(lambda: executor.execute(ids) == 0)
    assert set(WorkflowRun.objects.values_list("state", "output")) == {("SUCCEEDED", 1)}


def test_without_any_worker_of_the_lane_the_run_says_so(transactional_db: None) -> None:
    publish(one_step("sample.echo"))
    (run,) = start("one")
    assert waits_for(run, "only") == "waits for a worker: none that serves its lane is alive"
