"""The example of docs/reference/definitions.md is a definition that runs."""

import re
from pathlib import Path
from types import SimpleNamespace

from workflows.core.definition import parse, validate

DOCS = Path(__file__).parents[4] / "docs" / "reference" / "definitions.md"


def registered(name: str) -> SimpleNamespace:
    return SimpleNamespace(
        name=name,
        input_schema={"type": "object"},
        output_schema={},
        idempotent=True,
        transactional=False,
        timeout=30.0,
        retry=None,
    )


def test_the_example_of_the_documentation_runs():
    example = re.search(r"```yaml\n(name: .*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert example
    document = parse(example[1], "yaml")
    graph = validate(document, {step["uses"]: registered(step["uses"]) for step in document["steps"].values()})
    given = {"breach_id": "B-7", "cves": ["CVE-2024-1"]}
    context = {
        "input": given,
        "steps": {
            "enrich": {"output": {"exploited": ["CVE-2024-1"]}, "status": "SUCCEEDED"},
            "decide": {"output": {"level": "board"}, "status": "SUCCEEDED"},
            "notify": {"output": None, "status": "PENDING"},
        },
        "run": {},
    }
    assert graph.input_faults(given) == []
    assert list(graph.steps) == ["enrich", "decide", "notify"]
    assert graph.steps["decide"].work.with_.render(context)["subject"] == "Breach B-7"
    assert graph.steps["notify"].condition.test(context) is True
    assert graph.steps["notify"].work.with_.render(context) == {"text": "B-7: board"}
    assert graph.output.render(context) == {"decision": {"level": "board"}, "exploited": True}
