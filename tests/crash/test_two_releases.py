"""The release before waits beside this one, as real processes on one database: old and new workers, an old and a new
leader, old and new definitions. Nothing is stuck."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from tests import workers
from tests.definitions import publish
from tests.workers import ROOT, until
from workflows import engine, store
from workflows.errors import NotYetReadable
from workflows.models import StepRun, Worker, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

#: the last commit that knows no step that waits ("Hooks: load_seeds keeps its name")
BEFORE = "b0e5f302dd308a3e17f8443b9d1b54b3d4b6e25d"

OLD = """
name: old
steps:
  first: {uses: sample.flaky, with: {times: 1}}
  each: {needs: [first], uses: sample.echo, foreach: [1, 2, 3], with: {value: "${{ item }}"}}
  last: {needs: [each], uses: sample.echo, with: {value: "${{ steps.each.output.total }}"}}
output: ${{ steps.last.output.value }}
"""
NEW = """
name: new
steps:
  first: {uses: sample.flaky, with: {times: 1}}
  nap: {needs: [first], wait: {for: 200ms}}
  hold: {needs: [nap], wait: {signal: go, timeout: 1h}}
  last: {needs: [hold], uses: sample.echo, with: {value: "${{ steps.hold.output.payload }}"}}
output: ${{ steps.last.output.value }}
"""
RUNS = 12

RUN_LEADER = ["manage.py", "run_leader"]

#: What that release also needs, and this one does not: only this one's packages are installed. The first guards the
#: admin's login, which no worker and no leader has; the second stops calls to servers that are away, and none is here.
SETTINGS = """
from erip.settings.test import *
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "axes"]
MIDDLEWARE = [each for each in MIDDLEWARE if not each.startswith("axes.")]
AUTHENTICATION_BACKENDS = [each for each in AUTHENTICATION_BACKENDS if not each.startswith("axes.")]
"""
PYBREAKER = """
import contextlib
STATE_OPEN, STATE_HALF_OPEN = "open", "half-open"
class CircuitBreakerError(Exception): pass
class CircuitBreaker:
    current_state = "closed"
    def __init__(self, *args, **more): pass
    def call(self, do, *args, **more): return do(*args, **more)
    def calling(self): return contextlib.nullcontext()
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the release before."""
    git = shutil.which("git")
    found = git and subprocess.run([git, "cat-file", "-e", f"{BEFORE}^{{commit}}"], cwd=ROOT, capture_output=True)
    if not found or found.returncode:
        pytest.skip(f"the commit {BEFORE[:7]} is not here: a shallow clone, or no clone at all")
    tree = tmp_path_factory.mktemp("before")
    packed = subprocess.run([str(git), "archive", BEFORE], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(tree)], input=packed.stdout, check=True)
    (tree / "without_logins.py").write_text(SETTINGS)
    (tree / "pybreaker.py").write_text(PYBREAKER)
    return tree


@contextmanager
def of(tree: Path, arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that release."""
    env = {**workers.environment(), "PYTHONPATH": str(tree), "DJANGO_SETTINGS_MODULE": "without_logins"}
    with log.open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, *arguments], env=env, cwd=tree, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield started
    finally:
        workers.kill(started)


def worker_of(tree: Path) -> list[str]:
    return [
        "-m", "celery", "-A", "erip", "worker", "--pool=threads", "-c", "4", "-Q", "critical,high,standard,bulk",
        "-n", "before@test", "--without-mingle", "--without-gossip", "--loglevel=INFO",
    ]  # fmt: skip


def refused() -> str:
    """Who keeps the new definition from being published, if anybody does; else it is."""
    try:
        publish(NEW)
    except NotYetReadable as error:
        return str(error)
    return ""


def start(name: str) -> list[str]:
    return [run.id for run in engine.start_runs(name, [engine.StartRequest({})] * RUNS, principal="t")]


def done(ids: list[str]) -> bool:
    return WorkflowRun.objects.filter(pk__in=ids, state="SUCCEEDED").count() == len(ids)


def test_old_and_new_workers_leaders_and_definitions_side_by_side(
    before: Path, broker: redis.Redis, log: Path, transactional_db: None
) -> None:
    old_log = log.with_name("before.log")
    publish(OLD)
    with ExitStack() as processes:
        first = processes.enter_context(of(before, RUN_LEADER, old_log))
        old_worker = processes.enter_context(of(before, worker_of(before), old_log))
        until(lambda: workers.registered(old_worker), seconds=90, what=f"the old worker registered; {old_log}")
        # That leader does not say what it reads, but it holds the lock.
        until(lambda: "the leader, which" in refused(), seconds=90, what="the old leader leads and is named")
        assert "worker before@test" in refused()
        # What is old goes on with the old ones alone.
        alone = start("old")
        until(lambda: done(alone), seconds=90, what="the old release does what it knows")
        # It meets the new definition all the same: it was given up, and was only frozen.
        old_worker.send_signal(signal.SIGSTOP)
        until(lambda: Worker.objects.exclude(stopped_at=None).exists(), seconds=90, what="the frozen one is given up")
        assert "worker" not in refused()
        workers.kill(first, signal.SIGTERM)
        until(lambda: not refused(), seconds=90, what="no old process is alive")
        # So is a leader that is started once more, as in a rollout that is taken back.
        old_leader = processes.enter_context(of(before, RUN_LEADER, old_log))
        until(lambda: store.living_below(2, lease=60), seconds=90, what="it leads")
        old_worker.send_signal(signal.SIGCONT)
        until(lambda: workers.registered(old_worker), seconds=90, what="it is back")

        processes.enter_context(workers.worker(log, "after"))
        processes.enter_context(workers.leader(log))
        old, new = start("old"), start("new")
        until(lambda: done(old), seconds=90, what="old definitions, with runs of new ones beside them")
        given = {run: engine.signal_run(run, "go", number, principal="t").step for number, run in enumerate(new)}
        assert set(given.values()) <= {"hold", None}
        assert old_worker.poll() is None
        assert old_leader.poll() is None, "what it cannot read does not end it"

        # The rollout goes on: what the old worker claimed and could not record is given back.
        old_worker.send_signal(signal.SIGTERM)
        old_leader.send_signal(signal.SIGTERM)
        until(lambda: old_worker.poll() is not None, seconds=90, what="the old worker ends")
        until(lambda: done(new), seconds=120, what=f"new definitions: {states(new)}")
        assert publish(NEW.replace("200ms", "100ms")) == "new"
    outputs = dict(WorkflowRun.objects.filter(pk__in=new).values_list("id", "output"))
    assert [outputs[key] for key in sorted(outputs)] == [new.index(str(key)) for key in sorted(outputs)]
    assert {run.output for run in WorkflowRun.objects.filter(pk__in=[*alone, *old])} == {3}
    assert not StepRun.objects.filter(state__in=["READY", "RUNNING", "WAITING"]).exists()


def states(ids: list[str]) -> list[tuple[str, str]]:
    rows = StepRun.objects.filter(run_id__in=ids).exclude(state="SUCCEEDED")
    return list(rows.values_list("step", "state"))
