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
from workflows.events.models import Block, DeadLetter
from workflows.events.triggers import Triggers
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

DOCS = (Path(__file__).parents[2] / "docs" / "reference" / "triggers.md").read_text("utf-8")


def requests() -> dict[str, Any]:
    """The requests in the documentation, by their address."""
    found = re.findall(r"```http\nPUT /api/v1(/\S+)\n(.*?)```", DOCS, re.DOTALL)
    return {path: orjson.loads(body) for path, body in found}


def test_the_examples_of_the_documentation_run() -> None:
    example = re.search(r"```yaml\n(name: .*?)```", DOCS, re.DOTALL)
    assert example
    publish(example[1])
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
