"""The examples of docs/reference/triggers.md run exactly as written there."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from erip.access.scopes import Scope
from tests.definitions import publish
from tests.support.api import Api, key
from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows import engine, queries
from workflows.events import pending
from workflows.events.models import Block, DeadLetter, PendingStart
from workflows.events.triggers import Triggers
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

DOCS = (Path(__file__).parents[2] / "docs" / "reference" / "triggers.md").read_text("utf-8")


def requests() -> dict[str, Any]:
    """The requests in the documentation, by their address."""
    found = re.findall(r"```http\nPUT /api/v1(/\S+)\n(.*?)```", DOCS, re.DOTALL)
    return {path: orjson.loads(body) for path, body in found}


def test_the_examples_of_the_documentation_run() -> None:
    publish(example("triage"))
    api = Api(key(Scope.AUTHOR))
    sent = requests()
    assert len(sent) == 2
    for path, body in sent.items():
        assert api.send("PUT", path, orjson.dumps(body)).status_code == 201
    critical = {"host": "web-1", "severity": "critical"}
    with consuming(Triggers()):
        accept(
            [
                event(type="scanner.finding", source="/lab/3", data=critical),
                event(type="scanner.finding", source="/lab-2/1", data=critical),
                event(type="scanner.finding", source="/prod/1", data=critical),
                event(type="scanner.finding", source="/prod/2", data=critical),
                event(type="scanner.finding", source="/prod/1", subject="web-2", data={"host": "x", "severity": "low"}),
                event(type="scanner.host.lost", source="/prod/1", subject="web-3", data={}),
            ]
        )
        until(lambda: not Block.objects.exists())
    assert not DeadLetter.objects.exists()
    assert sorted((run.input["host"], run.lane) for run in WorkflowRun.objects.all()) == [
        ("web-1", "critical"),
        ("web-2", "standard"),
        ("web-3", "standard"),
    ]


def test_the_example_of_gathering_starts_one_run_for_many_events() -> None:
    publish(example("patch-round"))
    with consuming(Triggers()):
        accept(
            [
                *[event(type="scanner.cve.found", subject="web-1", data={"cve": f"CVE-2026-{n}"}) for n in range(100)],
                *[event(type="host.changed", subject="web-2", data={"state": state}) for state in ("down", "up")],
            ]
        )
        until(lambda: not Block.objects.exists() and WorkflowRun.objects.exists(), seconds=30)
    assert len(WorkflowRun.objects.get().input["cves"]) == 100
    debounced = PendingStart.objects.get()
    assert (debounced.business_key, debounced.count) == ("web-2", 2)
    run_id = pending.start(str(debounced.pk))
    assert WorkflowRun.objects.get(pk=run_id).input == {"state": "up"}


def test_the_example_of_a_signal_ends_the_wait() -> None:
    publish(example("collect-evidence"))
    run = engine.start_runs("collect-evidence", [engine.StartRequest({}, "INC-1")], principal="test")[0].id
    stored = event(type="forensics.evidence.stored", data={"incident": "INC-1", "sha256": "abc"})
    with consuming(Triggers()):
        accept([stored])
        until(lambda: not Block.objects.exists(), seconds=30)
    output = queries.run_detail(run)["steps"][0]["output"]
    assert (output["signal"], output["payload"]) == ("evidence-received", {"hash": "abc"})


def example(name: str) -> str:
    found = re.search(rf"```yaml\n(name: {name}\n.*?)```", DOCS, re.DOTALL)
    assert found
    return found[1]
