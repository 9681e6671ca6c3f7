"""Whoever gathers events, or starts the run for which they were gathered, may be killed at any step: each event is in
exactly one run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.definitions import publish
from tests.workers import environment, until
from workflows.events import active, gathering
from workflows.events.models import Block, DeadLetter, Event, PendingEvent, PendingStart, TriggeredRun
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

#: "all" kills before each statement, too, and takes a minute
STEPS = os.environ.get("ERIP_TEST_KILLS", "commits")
ROOT = Path(__file__).resolve().parents[2]


def test_killed_before_and_after_each_commit_each_event_is_in_exactly_one_run() -> None:
    publish(
        "name: respond\ninput: {type: object}\nsteps: {only: {uses: sample.echo, with: {value: 1}}}\n"
        'on: {event: acme.found, business_key: "${{ event.subject }}", input: {found: "${{ events }}"},'
        ' collect: {for: 1ms, max: 9, each: "${{ event.data.n }}"}}\n'
    )
    active.forget()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_gathering", STEPS],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    killed, sent = map(int, done.stdout.split())
    assert killed >= (20 if STEPS == "all" else 4), "there are at least as many steps"
    assert sent == killed + 2, "the last two got through"
    # What the last of them left for want of time is worked off as ever.
    until(lambda: (gathering.start_due(until=float("inf")), PendingStart.objects.exists())[1] is False, seconds=60)

    assert not Block.objects.exists()
    assert not PendingEvent.objects.exists()
    assert not DeadLetter.objects.exists()
    assert Event.objects.count() == sent
    runs = list(WorkflowRun.objects.all())
    assert sorted(n for run in runs for n in run.input["found"]) == list(range(1, sent + 1))
    assert TriggeredRun.objects.count() == sent
    assert set(TriggeredRun.objects.values_list("run_id", flat=True)) == {run.pk for run in runs}
